"""How long a run may be held back by the limit on all runs together."""

from amodal_rt.clock import Clock
from amodal_rt.logs import Log
from amodal_rt.ports import Catalogue, RunLedger

_LOOK_SECONDS = (1.0, 15.0)
"""How often it is looked, at most and at least, while runs are held back."""
_GAP_SECONDS = 60.0
"""Not having looked for that long, this node does not know what held a run back meanwhile."""
_log = Log("engine")


class Expiry:
    """Skips what this node saw held back by the global limit alone, without a break, for longer
    than `limits.startWithin`.

    The age of a run says nothing: it may have waited for its own automation, for a daemon that
    was down or for a database. So the time counts here, while this node looks, and on a clock
    that nobody sets. A run that ever started has no such end.
    """

    def __init__(self, ledger: RunLedger, catalogue: Catalogue, clock: Clock) -> None:
        self._ledger = ledger
        self._catalogue = catalogue
        self._clock = clock
        self._since: dict[str, float] = {}
        self._looked_at = float("-inf")

    async def look(self) -> float:
        """To be called after slots were filled. Returns after how many seconds to look again."""
        snapshot = self._catalogue.snapshot()
        limits = snapshot.settings.limits
        most, at = limits.start_within.total_seconds(), self._clock.monotonic()
        least_rest, rest = _LOOK_SECONDS
        pause = min(max(most / 4, least_rest), rest)
        passed = at - self._looked_at
        if passed < pause:
            return max(pause - passed, 0.01)
        if passed > _GAP_SECONDS:
            self._since.clear()
        held = await self._ledger.held_back(
            overall=limits.concurrency, now=self._clock.now(), can_run=snapshot.can_run
        )
        self._since = {ref.run_id: self._since.get(ref.run_id, at) for ref in held}
        self._looked_at = at
        if late := [run_id for run_id, since in self._since.items() if at - since > most]:
            await self._skip(late)
        return pause if held else float("inf")

    async def _skip(self, late: list[str]) -> None:
        for ref in await self._ledger.expire(late, at=self._clock.now()):
            _log.warning(
                "run.skipped", run=ref.run_id, automation=ref.automation, reason=ref.reason
            )
