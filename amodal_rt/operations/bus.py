"""The verbs of the bus: what programs and people say that happened."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from amodal_rt.clock import Clock
from amodal_rt.domain.cause import Cause
from amodal_rt.domain.event import REPLAY_OF, SENT_ID, DedupKey, Event, Rejection, order_of
from amodal_rt.domain.run import Start
from amodal_rt.errors import AmodalError, DeniedError, InvalidError, UnavailableError
from amodal_rt.guardrails.namespaces import speaker_from, speaker_of
from amodal_rt.ids import Ids
from amodal_rt.intake import cloudevents
from amodal_rt.intake.cloudevents import CloudEvent
from amodal_rt.logs import Log
from amodal_rt.operations import asked, shapes
from amodal_rt.operations.facts import KnownFacts
from amodal_rt.operations.overflow import Overflow
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import (
    QUEUE_FULL,
    RUNS_PENDING,
    Act,
    Caller,
    Catalogue,
    Ledger,
    Receipt,
    RunRef,
    Signals,
)
from amodal_rt.triggers.matching import Matching

CLI_SOURCE = "/cli"
"""Where an event comes from that somebody emits without saying."""

_TOGETHER = 50
_log = Log("events")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who says that something happened. `may_impersonate`: its word counts for providers and
    the runtime too. `headers` are what is kept of its request."""

    actor: str
    may_impersonate: bool = False
    cause: Cause | None = None
    headers: Mapping[str, str] | None = None


class EventBus:
    """Takes events in, and starts old ones again: committed before it answers."""

    def __init__(
        self,
        catalogue: Catalogue,
        ledger: Ledger,
        facts: KnownFacts,
        matching: Matching,
        *,
        signals: Signals,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._overflow: Overflow | None = None
        self._catalogue = catalogue
        self._ledger = ledger
        self._facts = facts
        self._matching = matching
        self._signals = signals
        self._clock = clock
        self._ids = ids

    def count_with(self, overflow: Overflow) -> None:
        """From now on, count what of programs a full queue refuses."""
        self._overflow = overflow

    async def take(self, sender: Sender, sent: Sequence[CloudEvent]) -> list[Document]:
        """Commit what a program sends; one receipt each, in order.

        Raises DeniedError (`reserved_type`) before anything is committed, and UnavailableError
        when not all could be: those that were are duplicates when they are sent again.
        """
        for place, each in enumerate(sent):
            self._require_own_word(sender, each, f"events[{place}]: " if len(sent) > 1 else "")
        receipts: list[Receipt] = []
        for begin in range(0, len(sent), _TOGETHER):
            # Together they share a commit; all at once they would keep webhooks waiting.
            asks = (self._take(sender, each) for each in sent[begin : begin + _TOGETHER])
            answers = await asyncio.gather(*asks, return_exceptions=True)
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer
                receipts.append(answer)
        return [_receipt(each) for each in receipts]

    async def emit(self, caller: Caller, body: Mapping[str, object], *, sender: Sender) -> Document:
        """Say that something happened: `type`, and if given `data`, `subject`, `source`, `id`,
        `time`.

        Raises InvalidError (`bad_event`), DeniedError (`reserved_type`), UnavailableError.
        """
        known = {"type", "data", "subject", "source", "id", "time"}
        if unknown := sorted(body.keys() - known):
            raise InvalidError(f"an event has no {unknown[0]!r}", code="bad_event")
        said = {"source": CLI_SOURCE, "id": self._ids.event(), **_given(body)}
        event = cloudevents.parse_document({"specversion": "1.0", **said})
        if body.get("id") is None:
            # Nobody called it anything: it goes out under the id that it has here.
            event = replace(event, kept=_without_id(event.kept))
        self._require_own_word(sender, event, "")
        return _receipt(await self._take(sender, event, by=caller))

    async def replay(
        self, caller: Caller, event_id: str, *, again: bool, cause: Cause | None = None
    ) -> Document:
        """Start what the event starts by the files of now.

        Automations that have a run of it are `skipped/duplicate`. With `again` it counts as a
        new event, under an id of its own, which says whose replay it is.

        Raises NotFoundError, UnavailableError.
        """
        found = await self._ledger.find_event(event_id)
        if found is None:
            raise asked.missing("event", event_id)
        depth = max(found.event.depth, cause.depth + 1 if cause else 0)
        event = replace(found.event, depth=depth)
        told: Document = {"again": again}
        event = self._afresh(event) if again else event
        if again:
            told["event_id"] = event.id
        act = self._act("event.replayed", event_id, caller, told)
        if again:
            refs = (await self._accept(event, None, act)).runs
        else:
            starts, _ = self._starts(event)
            refs = tuple(await self._ledger.replay(event_id, starts=starts, act=act))
            if refs:
                self._signals.notify(RUNS_PENDING)
        return {
            "event_id": event.id,
            "replay_of": event_id if again else None,
            "runs": [_ref(each) for each in refs],
        }

    async def show_cloud_event(self, caller: Caller, event_id: str) -> Document:
        """One event as a CloudEvent: the shape in which events are handed on. Raises
        NotFoundError."""
        found = await self._ledger.find_event(event_id)
        if found is None:
            raise asked.missing("event", event_id)
        return cloudevents.document_of(found.event)

    async def list_all(
        self,
        caller: Caller,
        *,
        automation: str | None = None,
        type: str | None = None,
        limit: int = 50,
    ) -> list[Document]:
        """Events with the runs that they led to, newest first; `*` in `type` stands for any
        text."""
        found = await self._ledger.list_events(limit=limit, automation=automation, type=type)
        return [shapes.event(each) for each in found]

    async def note_refusal(self, reason: str) -> None:
        """Count a request that was not taken, for `ops events list --rejected`."""
        refused = Rejection(
            endpoint=cloudevents.ENDPOINT, automation=None, reason=reason, at=self._clock.now()
        )
        try:
            await self._ledger.reject(refused)
        except AmodalError as error:
            # The sender is refused either way, and must not be told to come again.
            _log.warning("events.rejection_lost", code=error.code, reason=reason)

    def _require_own_word(self, sender: Sender, event: CloudEvent, where: str) -> None:
        if sender.may_impersonate:
            return
        snapshot = self._catalogue.snapshot()
        speaker = speaker_of(
            event.type, connections=snapshot.connections, integrations=snapshot.integrations
        )
        wrong = f"type {event.type}" if speaker else f"source {event.source}"
        speaker = speaker or speaker_from(event.source)
        if speaker:
            raise DeniedError(
                f"{where}{wrong}: only {speaker} says so",
                code="reserved_type",
                hint="name it otherwise, or use a token with the scope manage",
            )

    async def _take(self, sender: Sender, sent: CloudEvent, *, by: Caller | None = None) -> Receipt:
        now, cause = self._clock.now(), sender.cause
        of_run = f"run:{cause.run_id}" if cause and cause.run_id else None
        event = Event(
            id=self._ids.event(),
            type=sent.type,
            source=sent.source,
            subject=sent.subject,
            data=sent.data,
            time=sent.time or now,
            received_at=now,
            actor=of_run or sender.actor,
            depth=cause.depth + 1 if cause else 0,
            cause=cause.run_id if cause else None,
            delivery_id=sent.id,
            order=order_of(sent.time, now=now),
            headers={**_about_request(sender.headers or {}), **sent.kept},
        )
        told = {"type": event.type}
        act = self._act("event.emitted", event.id, by, told) if by else None
        return await self._accept(event, sent.dedup, act)

    async def _accept(self, event: Event, dedup: DedupKey | None, act: Act | None) -> Receipt:
        starts, missed = self._starts(event)
        try:
            receipt = await self._ledger.accept(
                event,
                dedup=dedup,
                starts=starts,
                missed=missed,
                queue_limit=self._catalogue.snapshot().settings.limits.queue,
                act=act,
            )
        except UnavailableError as error:
            if error.code == "queue_full":
                self._signals.notify(QUEUE_FULL)
                if self._overflow is not None and dedup is not None:
                    self._overflow.note(dedup.endpoint, event)
            raise
        if receipt.runs and not receipt.duplicate:
            self._signals.notify(RUNS_PENDING)
        return receipt

    def _starts(self, event: Event) -> tuple[list[Start], int]:
        return self._matching.starts_for(
            event, self._catalogue.snapshot(), self._facts.current, now=self._clock.now()
        )

    def _afresh(self, event: Event) -> Event:
        # Where it stood among the events of its source is past: it would be stale there.
        return replace(
            event,
            id=self._ids.event(),
            received_at=self._clock.now(),
            order=None,
            headers={**_without_id(event.headers), REPLAY_OF: event.id},
        )

    def _act(self, action: str, subject: str, caller: Caller, data: Mapping[str, object]) -> Act:
        return Act(action=action, subject=subject, caller=caller, at=self._clock.now(), data=data)


def _without_id(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != SENT_ID}


def _about_request(headers: Mapping[str, str]) -> dict[str, str]:
    # What a request says of its content is true of the envelope: the data would go out as one.
    return {name: value for name, value in headers.items() if name != "content-type"}


def _given(body: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in body.items() if value is not None}


def _receipt(receipt: Receipt) -> Document:
    document: Document = {
        "status": "duplicate" if receipt.duplicate else "accepted",
        "event_id": receipt.event_id,
        "runs": [_ref(each) for each in receipt.runs],
    }
    if receipt.duplicate:
        hint = f"seen before; to start it again: ops events replay {receipt.event_id} --again"
        document["hint"] = hint
    return document


def _ref(found: RunRef) -> Document:
    return {
        "run_id": found.run_id,
        "automation": found.automation,
        "status": found.status.value,
        "reason": found.reason,
    }
