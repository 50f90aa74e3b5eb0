"""What the runtime says of itself on the bus (`automation.run.failed`, `connector.connected` …)."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from amodal_rt import ids as naming
from amodal_rt.clock import Clock, first_of, iso
from amodal_rt.domain.delivery import DeliveryRecord
from amodal_rt.domain.event import Event
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import Run, RunStatus
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.errors import AmodalError
from amodal_rt.ids import Ids
from amodal_rt.logs import Log
from amodal_rt.ports import (
    EVENTS,
    MAXIMUM_DEPTH,
    SNAPSHOT,
    BusLedger,
    Catalogue,
    Ending,
    RunRef,
    Signals,
)

RUN = "automation.run."
"""Followed by how a run ended: `completed`, `failed`, `cancelled`, `skipped`."""
STARTED, ENDED = "agent_session.started", "agent_session.completed"
DEAD = "delivery.dead"
CONNECTED, LOST = "connector.connected", "connector.disconnected"
CREDENTIAL = "credential.updated"
RESULT_CHARACTERS = 4000
"""How much of a run's result its event holds; the whole is found by its run."""

_MOST_NOTED = 10_000
_log = Log("bus")


class Wanting(Protocol):
    """Who waits for what."""

    def wants(self, type: str, snapshot: Snapshot) -> bool:
        """Whether any trigger of the snapshot could match events of the type."""
        ...


class OwnLedger(BusLedger, Protocol):
    """What this needs of the ledger."""

    async def find_run(self, run_id: str) -> Run | None:
        """As `ports.RunLedger`."""
        ...


class RuntimeEvents:
    """Implements `ports.OwnEvents`.

    What a run causes is one deeper than it, so that automations which start each other by
    their ends stop like those that do it on any other road.
    """

    def __init__(
        self,
        *,
        ledger: OwnLedger,
        catalogue: Catalogue,
        matching: Wanting,
        signals: Signals,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._ledger = ledger
        self._catalogue = catalogue
        self._matching = matching
        self._signals = signals
        self._clock = clock
        self._ids = ids
        self._noted: list[str] = []
        self._answers: dict[str, bool] = {}
        self._connections: list[tuple[str, bool, str | None]] = []
        self._has_news = asyncio.Event()

    def ending(self, run: Run) -> Ending:
        """As `ports.OwnEvents`."""
        # Asked now, in the event loop: the rest happens in the ledger's thread.
        wanted = self._wanted((*(f"{RUN}{each}" for each in _ENDS), ENDED), run.depth + 1)

        def events(outcome: Outcome, reason: str | None, at: datetime) -> tuple[Event, ...]:
            if not wanted:
                return ()
            data = {
                **_of_run(run),
                "status": outcome.status.value,
                "reason": reason,
                "error": outcome.error,
                **_cut(outcome.text),
                "finished_at": iso(at),
            }
            types = [f"{RUN}{outcome.status}"]
            if outcome.status is not RunStatus.SKIPPED:
                types.append(ENDED)
            return tuple(self._of(run, type, data, at=at) for type in types if type in wanted)

        return events

    async def dead(self, record: DeliveryRecord) -> tuple[Event, ...]:
        """As `ports.OwnEvents`. Raises UnavailableError."""
        message = record.message
        if not self._wanted((DEAD,), 0):
            return ()
        run = await self._ledger.find_run(message.run_id) if message.run_id else None
        if run and not self._wanted((DEAD,), run.depth + 1):
            return ()
        data = {
            "delivery_id": message.delivery_id,
            "run_id": message.run_id,
            "automation": message.automation,
            "kind": message.kind.value,
            "target": message.target.label,
            "status": record.status.value,
            "attempts": record.attempts,
            "error": record.last_error,
        }
        now = self._clock.now()
        if run is not None:
            return (self._of(run, DEAD, data, at=now, subject=message.delivery_id),)
        return (self._made(DEAD, "/runtime", data, at=now, subject=message.delivery_id),)

    async def begun(self, run: Run) -> None:
        """As `ports.OwnEvents`."""
        if self._wanted((STARTED,), run.depth + 1):
            now = self._clock.now()
            data = {**_of_run(run), "started_at": iso(run.started_at)}
            await self._store([self._of(run, STARTED, data, at=now)])

    async def tell(
        self, type: str, *, source: str, subject: str | None, data: Mapping[str, object]
    ) -> None:
        """As `ports.OwnEvents`."""
        if self._wanted((type,), 0):
            now = self._clock.now()
            await self._store([self._made(type, source, data, at=now, subject=subject)])

    def note(self, refs: Iterable[RunRef]) -> None:
        """Remember runs that ended without having run, to be told of by `tell_noted`: they are
        skipped and cancelled in transactions that do more than that."""
        for each in refs:
            type = f"{RUN}{each.status}"
            if each.status not in (RunStatus.SKIPPED, RunStatus.CANCELLED):
                continue
            if len(self._noted) < _MOST_NOTED and self._wanted((type,), 0):
                self._noted.append(each.run_id)
                self._has_news.set()

    def connection(self, name: str, *, ok: bool, detail: str | None) -> None:
        """As `ports.OwnEvents`."""
        if self._answers.get(name) is not ok:
            self._answers[name] = ok
            self._connections.append((name, ok, detail))
            self._has_news.set()

    async def run(self) -> None:
        """Say what was noted, and which variables of `.env` changed, until cancelled."""
        before = self._catalogue.environment().dotenv
        with self._signals.listen(SNAPSHOT) as changed:
            while True:
                await first_of(_set(self._has_news), changed())
                self._has_news.clear()
                now = self._catalogue.environment().dotenv
                # A defect in here must not end the daemon.
                try:
                    await self.tell_noted()
                    await self._tell_changed(before, now)
                except Exception as error:  # noqa: BLE001
                    _log.exception("bus.own_events_failed", error)
                before = now

    async def _tell_changed(self, before: Mapping[str, str], now: Mapping[str, str]) -> None:
        for name in sorted(before.keys() | now.keys()):
            if before.get(name) != now.get(name):
                change = "updated" if name in before and name in now else "added"
                # Its name only: an event goes to models and receivers.
                data = {"name": name, "change": change if name in now else "removed"}
                await self.tell(CREDENTIAL, source="/runtime", subject=name, data=data)

    async def tell_noted(self) -> None:
        """Say what was noted. Never raises for a ledger that is away."""
        connections, self._connections = self._connections, []
        for name, ok, detail in connections:
            data = {"connection": name, "detail": detail}
            source = f"/connections/{name}"
            await self.tell(CONNECTED if ok else LOST, source=source, subject=name, data=data)
        noted, self._noted = self._noted, []
        for run_id in noted:
            try:
                run = await self._ledger.find_run(run_id)
            except AmodalError as error:
                _log.warning("bus.own_event_lost", run=run_id, error=error.message)
                continue
            if run is not None and run.status in (RunStatus.SKIPPED, RunStatus.CANCELLED):
                await self._store(self._unrun(run))

    def _unrun(self, run: Run) -> Sequence[Event]:
        type = f"{RUN}{run.status}"
        if not self._wanted((type,), run.depth + 1):
            return ()
        at = run.finished_at or self._clock.now()
        data = {
            **_of_run(run),
            "status": run.status.value,
            "reason": run.reason,
            "error": run.error,
            "rule": run.rule,
            **_cut(None),
            "finished_at": iso(at),
        }
        return [self._of(run, type, data, at=at)]

    def _wanted(self, types: Iterable[str], depth: int) -> frozenset[str]:
        """Those that somebody waits for. One level past the deepest is still said: it ends as a
        run that was skipped for its depth, which is on record."""
        if depth > MAXIMUM_DEPTH + 1:
            return frozenset()
        snapshot = self._catalogue.snapshot()
        return frozenset(each for each in types if self._matching.wants(each, snapshot))

    async def _store(self, events: Iterable[Event]) -> None:
        for each in events:
            try:
                await self._ledger.emit(each)
            except AmodalError as error:
                _log.warning("bus.own_event_lost", type=each.type, error=error.message)
                continue
            self._signals.notify(EVENTS)

    def _of(
        self,
        run: Run,
        type: str,
        data: Mapping[str, object],
        *,
        at: datetime,
        subject: str | None = None,
    ) -> Event:
        """An event that `run` is the cause of."""
        return Event(
            id=self._ids.event(),
            type=type,
            source=f"/automations/{run.automation}",
            subject=subject or run.run_id,
            data=dict(data),
            time=at,
            received_at=at,
            actor=f"run:{run.run_id}",
            depth=run.depth + 1,
            cause=run.run_id,
        )

    def _made(
        self,
        type: str,
        source: str,
        data: Mapping[str, object],
        *,
        at: datetime,
        subject: str | None,
    ) -> Event:
        return Event(
            id=self._ids.event(),
            type=type,
            source=source,
            subject=subject,
            data=dict(data),
            time=at,
            received_at=at,
            actor="runtime",
        )


_ENDS = (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.SKIPPED)


async def _set(flag: asyncio.Event) -> None:
    await flag.wait()


def _of_run(run: Run) -> dict[str, object]:
    return {
        "automation": run.automation,
        "title": run.title,
        "run_id": run.run_id,
        "session_id": naming.session(run.run_id),
        "trigger": run.trigger.value,
        "requester": run.requester,
        "attempt": run.attempt,
        "event_id": run.event_id,
    }


def _cut(text: str | None) -> dict[str, object]:
    whole = text or ""
    cut = whole[:RESULT_CHARACTERS]
    return {"result": cut or None, "truncated": len(whole) > len(cut)}
