"""What would keep an event from starting a run although it matches, by what stands on record."""

from collections.abc import Mapping

from amodal_rt.clock import Clock
from amodal_rt.domain.event import DedupKey
from amodal_rt.domain.run import RunStatus, SkippedReason
from amodal_rt.operations import shapes
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import EventRecord, Ledger
from amodal_rt.triggers.explaining import Explanation

_AS_SHOWN = ("type", "source", "subject", "actor", "time", "depth", "data")
_DUPLICATE = SkippedReason.DUPLICATE


class Foreseen:
    """Asks the ledger. Writes nothing."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def recorded(self, shown: Mapping[str, object]) -> EventRecord | None:
        """The event that `ops events show` printed as this; None where there is no such event, or
        somebody changed what it says."""
        event_id = shown.get("event_id") or shown.get("eventid") or shown.get("id")
        found = await self._ledger.find_event(event_id) if isinstance(event_id, str) else None
        if found is None:
            return None
        stands = shapes.event_in_full(found)
        same = all(shown[key] == stands[key] for key in _AS_SHOWN if key in shown)
        return found if same else None

    async def skipped(
        self, found: Explanation, *, record: EventRecord | None, dedup: DedupKey | None
    ) -> Document | None:
        """The reason and the rule by which it would be skipped now; None where a run would come
        of it. `record` is the event where it is one that came: what `replay` would make of it.
        What has the keys `dedup` would come through a door that knows them."""
        now = self._clock.now()
        if dedup is not None and (first := await self._ledger.find_first(dedup, now=now)):
            return _skipped(_DUPLICATE, f"it came before, as {first.event.id}{_led_to(first)}")
        if found.hold is not None:
            return _skipped(found.hold.reason, found.hold.rule)
        start = found.start
        if start is None:
            return None
        for ref in record.runs if record else ():
            if ref.automation == start.automation and ref.status is not RunStatus.SKIPPED:
                return _skipped(_DUPLICATE, f"the event started {ref.run_id}")
        foretold = await self._ledger.foretell(start)
        return _skipped(*foretold) if foretold else None


def _skipped(reason: SkippedReason, rule: str | None) -> Document:
    return {"reason": reason.value, "rule": rule}


def _led_to(first: EventRecord) -> str:
    runs = ", ".join(ref.run_id for ref in first.runs)
    return f", which led to {runs}" if runs else ", which led to no run"
