"""Runs from acceptance to their start or their early end: half of `ports.RunLedger`."""

import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from heapq import heapify, heappop, heappush
from itertools import count, islice

from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.profile import RunProfile
from amodal_rt.domain.run import OPEN, Run, RunStatus, SkippedReason, Start
from amodal_rt.domain.wait import Wait
from amodal_rt.ports import Act, Caller, CanRun, RunRef
from amodal_rt.testing.ledger import values
from amodal_rt.testing.ledger.admission import admit
from amodal_rt.testing.ledger.part import Part
from amodal_rt.testing.ledger.queued import Queue, can_run_here
from amodal_rt.testing.ledger.tables import RunRow


class Occupancy:
    """What runs right now, and so who must wait, where `overall` may run together."""

    def __init__(self, running: Iterable[Run], overall: int) -> None:
        self._overall = overall
        self._running = Counter[str]()
        self._keys = set[tuple[str, str | None]]()
        for run in running:
            self.take(run)

    def of(self, automation: str) -> int:
        """How many runs of it."""
        return self._running[automation]

    def has_room(self, row: RunRow) -> bool:
        """Whether the run's own automation and conversation let it start."""
        run = row.run
        if self._running[run.automation] >= row.concurrency < self._overall:
            return False
        return not (run.conversation_key and (run.automation, run.conversation_key) in self._keys)

    def take(self, run: Run) -> None:
        """Count one more running run."""
        self._running[run.automation] += 1
        self._keys.add((run.automation, run.conversation_key))


class RunRows(Part):
    """Admission, claims and the ends that need no outcome."""

    _claimed_at: datetime | None = None

    @cached_property
    def _turns(self) -> dict[str, int]:
        """By automation, when this node last claimed a run of it: the higher, the later."""
        return {}

    @cached_property
    def _next_turn(self) -> Iterator[int]:
        return count(1)

    def expect(self, starts: Sequence[Start]) -> None:
        """Nothing of it is dear here."""

    async def admit(self, starts: Sequence[Start], *, act: Act | None = None) -> list[RunRef]:
        def work() -> list[RunRef]:
            refs = admit(self.store, starts)
            self.store.note_act(act)
            return refs

        return await self._write("admit", work) if starts else []

    async def claim(
        self, *, limit: int, overall: int, now: datetime, can_run: CanRun | None = None
    ) -> list[Run]:
        at, node = values.instant(now), self._node

        def work() -> list[Run]:
            self._claimed_at = at
            runs = self.store.runs
            most = min(limit, overall - len(runs.running))
            if most <= 0 or not runs.pending or not self._may_act(node):
                return []
            ready = islice(self._ready(at, overall, can_run), most)
            found = sorted(ready, key=lambda row: row.number)
            for row in found:
                self._turns[row.run.automation] = next(self._next_turn)
            return [self._claimed(row, node, at) for row in found]

        return await self._write("claim", work)

    async def next_claimable_at(self) -> datetime | None:
        self._check_reach()
        occupancy = self._occupancy(sys.maxsize)
        waiting = [
            row.run.not_before
            for row in self.store.runs.rows(self.store.runs.pending)
            if row.run.not_before is not None
            # What was due at the last claim and is pending still waits for a slot.
            and (self._claimed_at is None or row.run.not_before > self._claimed_at)
            and occupancy.has_room(row)
        ]
        return min(waiting, default=None)

    async def held_back(
        self, *, overall: int, now: datetime, can_run: CanRun | None = None
    ) -> list[RunRef]:
        self._check_reach()
        free = max(0, overall - len(self.store.runs.running))
        found = list(self._ready(values.instant(now), overall, can_run))[free:]
        held = sorted(found, key=lambda row: row.number)
        return [_ref(row.run) for row in held if row.run.started_at is None]

    async def waits(
        self,
        run_ids: Sequence[str],
        *,
        overall: int,
        now: datetime,
        can_run: CanRun | None = None,
    ) -> dict[str, Wait]:
        self._check_reach()
        at, runs = values.instant(now), self.store.runs
        queue = Queue(
            line=[row.run for row in self._ready(at, overall, can_run)],
            running=[runs.row(run_id).run for run_id in runs.running.values()],
            overall=overall,
            now=at,
            can_run=can_run,
        )
        rows = [row for run_id in run_ids if (row := runs.get(run_id))]
        return {
            row.run.run_id: queue.wait_of(row, self._first_of(row, at).run)
            for row in rows
            if row.run.status is RunStatus.PENDING
        }

    async def expire(self, run_ids: Sequence[str], *, at: datetime) -> list[RunRef]:
        node, reason = self._node, SkippedReason.GLOBAL_LIMIT.value
        rule = "limits.startWithin"

        def work() -> list[RunRef]:
            refs: list[RunRef] = []
            for run_id in run_ids if self._may_act(node) else ():
                row = self.store.runs.get(run_id)
                if row is None or row.run.started_at is not None:
                    continue
                if self._end_pending(run_id, RunStatus.SKIPPED, reason, rule, at):
                    refs.append(_ref(self.store.runs.row(run_id).run))
            return refs

        return await self._write("expire", work)

    async def bind(
        self, run_id: str, *, term: int, definition: str, profile: RunProfile | None = None
    ) -> None:
        def work() -> None:
            row = self.store.runs.get(run_id)
            if row and (row.run.status, row.run.term) == (RunStatus.RUNNING, term):
                kept = row.run.profile or profile
                self._change(row, definition=definition, profile=kept)

        await self._write("bind", work)

    async def cancel(self, run_id: str, *, caller: Caller, at: datetime) -> RunStatus:
        rule = f"cancelled by {caller.actor} ({caller.door})"

        def work() -> RunStatus:
            row = self._require_run(run_id)
            if row.run.status is RunStatus.PENDING:
                self._end_pending(run_id, RunStatus.CANCELLED, None, rule, at)
            elif row.run.status is RunStatus.RUNNING:
                self.store.runs.put(run_id, replace(row, cancel_asked=True))
            if row.run.status in OPEN:
                told = {"status": row.run.status.value}
                self.store.note("run.cancelled", run_id, caller, at, told)
            return row.run.status

        return await self._write("cancel", work)

    async def cancels_asked(self) -> list[str]:
        self._check_reach()
        running = self.store.runs.rows(self.store.runs.running)
        return [
            row.run.run_id for row in running if row.cancel_asked and row.run.node == self._node
        ]

    async def cancel_pending(
        self, automation: str, *, rule: str, caller: Caller, at: datetime
    ) -> list[str]:
        told = f"{rule} ({caller.actor}, {caller.door})"
        return await self._write(
            "cancel_pending", lambda: self._cancel_pending(automation, told, at)
        )

    async def skip_pending(
        self, run_id: str, *, reason: SkippedReason, rule: str, at: datetime
    ) -> bool:
        return await self._write(
            "skip_pending",
            lambda: self._end_pending(run_id, RunStatus.SKIPPED, reason.value, rule, at),
        )

    def _ready(self, at: datetime, overall: int, can_run: CanRun | None) -> Iterator[RunRow]:
        """Those that may start together: what was cut off first, then of the automation with the
        fewest runs under way, of the one that had its turn longest ago, the oldest."""
        occupancy, turn = self._occupancy(overall), self._turns
        lines: dict[str, deque[RunRow]] = {}
        for row in self.store.runs.rows(self.store.runs.pending):
            if _is_due(row.run, at):
                lines.setdefault(row.run.automation, deque()).append(row)

        def place(name: str) -> tuple[bool, int, int, int, str]:
            row, running = lines[name][0], occupancy.of(name)
            return row.run.resumes == 0, running, turn.get(name, 0), row.number, name

        heads = [place(name) for name in lines]
        heapify(heads)
        while heads:
            *_, name = heappop(heads)
            each = lines[name].popleft()
            row = self._first_of(each, at) if occupancy.has_room(each) else None
            if row is not None and _is_due(row.run, at) and can_run_here(row.run, can_run):
                occupancy.take(row.run)
                yield row
            if lines[name]:
                heappush(heads, place(name))

    def _first_of(self, row: RunRow, at: datetime) -> RunRow:
        """The run of its conversation that must go first: of the lowest key, or itself where
        it has none."""
        run = row.run
        if run.conversation_key is None or run.order_key is None:
            return row
        rows = self.store.runs.rows(self.store.runs.open_of.get(run.automation, {}))
        same = [
            each
            for each in rows
            if each.run.status is RunStatus.PENDING
            and each.run.conversation_key == run.conversation_key
            and each.run.order_key is not None
            and (each.run.reason is None or _is_due(each.run, at))
        ]
        return min(same, key=lambda each: (each.run.order_key or "", each.number))

    def _occupancy(self, overall: int) -> Occupancy:
        runs = self.store.runs
        return Occupancy((runs.row(run_id).run for run_id in runs.running.values()), overall)

    def _claimed(self, row: RunRow, node: str, at: datetime) -> Run:
        run = row.run
        return self._change(
            row,
            status=RunStatus.RUNNING,
            node=node,
            term=run.term + 1,
            reason=None,
            not_before=None,
            started_at=run.started_at or at,
        )

    def _change(self, row: RunRow, **changed: object) -> Run:
        """Replace columns of a run; returns it as it stands then."""
        run = replace(row.run, **changed)
        self.store.runs.put(run.run_id, replace(row, run=run))
        return run

    def _cancel_pending(self, automation: str, rule: str, at: datetime) -> list[str]:
        waiting = [row.run for row in self.store.runs.rows(self.store.runs.pending)]
        found = [run.run_id for run in waiting if run.automation == automation]
        for run_id in found:
            self._end_pending(run_id, RunStatus.CANCELLED, None, rule, at)
        return found

    def _end_pending(
        self, run_id: str, status: RunStatus, reason: str | None, rule: str, at: datetime
    ) -> bool:
        """End a pending run without an outcome, with the entry that tells its readers so."""
        row = self.store.runs.get(run_id)
        if row is None or row.run.status is not RunStatus.PENDING:
            return False
        self._change(row, status=status, reason=reason, rule=rule, finished_at=values.instant(at))
        data = {"status": status.value, "reason": reason, "rule": rule}
        self.store.append(run_id, EntryType.RUN_FINISHED, at=at, attempt=row.run.attempt, data=data)
        return True


def _is_due(run: Run, now: datetime) -> bool:
    """Whether a pending run wants a slot now."""
    # A parked run without an instant waits for an answer.
    return run.reason is None if run.not_before is None else run.not_before <= now


def _ref(run: Run) -> RunRef:
    return RunRef(
        run_id=run.run_id, automation=run.automation, status=run.status, reason=run.reason
    )
