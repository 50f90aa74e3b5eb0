"""Runs from acceptance to their start or their early end: half of `ports.RunLedger`."""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property

from sqlalchemy import Connection, func, select, text, update

from amodal_rt.clock import from_millis, to_millis
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.profile import RunProfile
from amodal_rt.domain.run import OPEN, Run, RunStatus, SkippedReason, Start
from amodal_rt.domain.wait import Wait
from amodal_rt.errors import NotFoundError
from amodal_rt.ports import Act, Caller, CanRun, RunRef
from amodal_rt.storage import journal, sealing, tables
from amodal_rt.storage.admission import Expected
from amodal_rt.storage.claiming import Occupancy, Turns, claimable, held_back
from amodal_rt.storage.dialect import driver
from amodal_rt.storage.lines import candidate
from amodal_rt.storage.part import Part
from amodal_rt.storage.queued import waits
from amodal_rt.storage.rows import Row, dumped, profile_document, to_run

_RUNS = tables.runs.c
_AT_ONCE = 500
_OCCUPYING = (_RUNS.number, _RUNS.automation, _RUNS.concurrency, _RUNS.conversation_key)


class RunRows(Part):
    """Admission, claims and the ends that need no outcome."""

    _claimed_at = 0

    @cached_property
    def _turns(self) -> Turns:
        return Turns()

    @cached_property
    def _expected(self) -> Expected:
        return Expected()

    def expect(self, starts: Sequence[Start]) -> None:
        self._expected.add(starts)

    async def admit(self, starts: Sequence[Start], *, act: Act | None = None) -> list[RunRef]:
        wanted = self._expected.take(starts)
        if not wanted:
            return []

        def work(connection: Connection) -> list[RunRef]:
            refs = self._admission.rule(driver(connection), wanted)
            sealing.note_act(driver(connection), act)
            return refs

        return await self._database.write(work)

    async def claim(
        self, *, limit: int, overall: int, now: datetime, can_run: CanRun | None = None
    ) -> list[Run]:
        at, node = to_millis(now), self._node

        def work(connection: Connection) -> list[Run]:
            self._claimed_at = at
            if not self._may_act(connection, node):
                return []
            numbers = claimable(driver(connection), limit, overall, at, self._turns, can_run)
            if not numbers:
                return []
            connection.execute(
                update(tables.runs)
                .where(_RUNS.number.in_(numbers))
                .values(
                    status=RunStatus.RUNNING.value,
                    node=node,
                    term=_RUNS.term + 1,
                    reason=None,
                    not_before=None,
                    started_at=func.coalesce(_RUNS.started_at, at),
                )
            )
            query = select(tables.runs).where(_RUNS.number.in_(numbers)).order_by(_RUNS.number)
            runs = [to_run(row) for row in connection.execute(query).mappings()]
            for run in runs:
                self._turns.took(run.automation)
            return runs

        return await self._database.write(work)

    async def next_claimable_at(self) -> datetime | None:
        def work(connection: Connection) -> datetime | None:
            occupancy = Occupancy(driver(connection))
            query = (
                select(_RUNS.not_before, *_OCCUPYING)
                # What was due at the last claim and is pending still waits for a slot: its
                # time would wake the engine again and again.
                .where(text(tables.TIMED))
                .where(_RUNS.not_before > self._claimed_at)
                .order_by(_RUNS.not_before)
            )
            for row in connection.execute(query).mappings():
                if occupancy.has_room(candidate(row)):
                    return from_millis(row["not_before"])
            return None

        return await self._database.read(work)

    async def held_back(
        self, *, overall: int, now: datetime, can_run: CanRun | None = None
    ) -> list[RunRef]:
        at = to_millis(now)

        def work(connection: Connection) -> list[RunRef]:
            numbers = held_back(driver(connection), overall, at, self._turns, can_run)
            refs: list[RunRef] = []
            for begin in range(0, len(numbers), _AT_ONCE):
                query = (
                    select(_RUNS.id, _RUNS.automation)
                    .where(_RUNS.number.in_(numbers[begin : begin + _AT_ONCE]))
                    .where(_RUNS.started_at.is_(None))
                    .order_by(_RUNS.number)
                )
                rows = connection.execute(query).mappings()
                refs += [_ref(row, RunStatus.PENDING, None) for row in rows]
            return refs

        return await self._database.read(work)

    async def waits(
        self,
        run_ids: Sequence[str],
        *,
        overall: int,
        now: datetime,
        can_run: CanRun | None = None,
    ) -> dict[str, Wait]:
        at = to_millis(now)
        return await self._database.read(
            lambda connection: waits(driver(connection), run_ids, overall, at, self._turns, can_run)
        )

    async def expire(self, run_ids: Sequence[str], *, at: datetime) -> list[RunRef]:
        node, reason = self._node, SkippedReason.GLOBAL_LIMIT

        def work(connection: Connection) -> list[RunRef]:
            refs: list[RunRef] = []
            if not self._may_act(connection, node):
                return refs
            for run_id in run_ids:
                query = select(_RUNS.id, _RUNS.automation).where(
                    _RUNS.id == run_id, _RUNS.started_at.is_(None)
                )
                row = connection.execute(query).mappings().first()
                if row and _skip(connection, run_id, reason, "limits.startWithin", at):
                    refs.append(_ref(row, RunStatus.SKIPPED, reason.value))
            return refs

        return await self._database.write(work)

    async def bind(
        self, run_id: str, *, term: int, definition: str, profile: RunProfile | None = None
    ) -> None:
        bound = update(tables.runs).where(
            _RUNS.id == run_id, _RUNS.term == term, text(tables.RUNNING)
        )
        statement = bound.values(definition=definition)
        if profile is not None:
            named = dumped(profile_document(profile))
            statement = statement.values(profile=func.coalesce(_RUNS.profile, named))

        def work(connection: Connection) -> None:
            connection.execute(statement)

        await self._database.write(work)

    async def cancel(self, run_id: str, *, caller: Caller, at: datetime) -> RunStatus:
        query = select(_RUNS.status).where(_RUNS.id == run_id)
        ask = (
            update(tables.runs)
            .where(_RUNS.id == run_id, text(tables.RUNNING))
            .values(cancel_asked=1)
        )
        rule = f"cancelled by {caller.actor} ({caller.door})"

        def work(connection: Connection) -> RunStatus:
            found = connection.execute(query).scalar()
            if found is None:
                raise NotFoundError(f"no run {run_id}", code="run_not_found")
            if found == RunStatus.PENDING.value:
                end_pending(connection, run_id, RunStatus.CANCELLED, None, rule, at)
            else:
                connection.execute(ask)
            if RunStatus(found) in OPEN:
                told = {"status": found}
                sealing.note(driver(connection), "run.cancelled", run_id, caller, at, told)
            return RunStatus(found)

        return await self._database.write(work)

    async def cancels_asked(self) -> list[str]:
        query = (
            select(_RUNS.id)
            .where(text(tables.RUNNING), _RUNS.node == self._node, _RUNS.cancel_asked == 1)
            .order_by(_RUNS.number)
        )
        return await self._database.read(
            lambda connection: list(connection.execute(query).scalars())
        )

    async def cancel_pending(
        self, automation: str, *, rule: str, caller: Caller, at: datetime
    ) -> list[str]:
        told = f"{rule} ({caller.actor}, {caller.door})"
        return await self._database.write(
            lambda connection: cancel_pending(connection, automation, rule=told, at=at)
        )

    async def skip_pending(
        self, run_id: str, *, reason: SkippedReason, rule: str, at: datetime
    ) -> bool:
        return await self._database.write(
            lambda connection: _skip(connection, run_id, reason, rule, at)
        )


def cancel_pending(
    connection: Connection, automation: str, *, rule: str, at: datetime
) -> list[str]:
    """End all pending runs of `automation` as cancelled, oldest first; returns their ids."""
    query = (
        select(_RUNS.id)
        .where(_RUNS.automation == automation, text(tables.PENDING))
        .order_by(_RUNS.number)
    )
    ids = list(connection.execute(query).scalars())
    return [
        run_id
        for run_id in ids
        if end_pending(connection, run_id, RunStatus.CANCELLED, None, rule, at)
    ]


def _skip(
    connection: Connection, run_id: str, reason: SkippedReason, rule: str, at: datetime
) -> bool:
    return end_pending(connection, run_id, RunStatus.SKIPPED, reason.value, rule, at)


def end_pending(
    connection: Connection,
    run_id: str,
    status: RunStatus,
    reason: str | None,
    rule: str,
    at: datetime,
) -> bool:
    """End a pending run without an outcome, with the entry that tells its readers so."""
    statement = (
        update(tables.runs)
        .where(_RUNS.id == run_id, text(tables.PENDING))
        .values(status=status.value, reason=reason, rule=rule, finished_at=to_millis(at))
        .returning(_RUNS.attempt)
    )
    attempt = connection.execute(statement).scalar()
    if attempt is None:
        return False
    journal.append(
        connection,
        run_id,
        EntryType.RUN_FINISHED,
        at=at,
        attempt=attempt,
        data={"status": status.value, "reason": reason, "rule": rule},
    )
    return True


def _ref(row: Row, status: RunStatus, reason: str | None) -> RunRef:
    return RunRef(run_id=row["id"], automation=row["automation"], status=status, reason=reason)
