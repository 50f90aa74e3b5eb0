"""What is past its retention is forgotten, a little at a time: no batch holds the writer up.

Two halves. Readers look for what may go, page by page, beside the writer. Each write deletes
one small batch and asks again, in its own transaction, whether all of it may go still.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Delete, Executable, Table, select

from amodal_rt import failpoints
from amodal_rt.clock import Clock, from_millis, to_millis
from amodal_rt.domain.chain import Link
from amodal_rt.ports import DEDUP_RETENTION
from amodal_rt.storage import cutting, forgetting, tables
from amodal_rt.storage.database import Database
from amodal_rt.storage.part import Part
from amodal_rt.storage.rows import Row

K = TypeVar("K")
_HEAVY = 100
"""A run that weighs more, in rows and pages, loses its journal first."""
_PAGE = 200
"""Rows that are looked at together."""
_FIRST, _MOST = 20, 500
"""Rows and pages that the first batch deletes, and any batch at the most."""
_WANTED_SECONDS = 0.005
"""What a batch may take of the writer's time; larger ones are halved. 20 ms must not be passed."""
_REST = 4
"""Times as long as a batch took, the next one waits: the writer has other work."""


@dataclass(slots=True)
class Pruned:
    """How many rows were deleted by name (others went with them), and the longest time in
    seconds that one batch held the writer."""

    rows: int = 0
    longest: float = 0.0


class RetentionRows(Part):
    """Forgets by age. Never: what is pending, running or still to be sent, the newest run of an
    automation and the one whose summary it is told, counters, facts, the audit trail."""

    async def prune(self, now: datetime, *, history: timedelta | None = None) -> Pruned:
        """Delete what is older than its retention.

        Delivery keys go after `DEDUP_RETENTION`, store values at their expiry. With `history`,
        so does what ended longer ago than that (and than `DEDUP_RETENTION`): runs with their
        journal and messages, slots that every schedule of the automation has passed, events
        without a run that do not wait to be matched, rejections, versions of definitions that no
        run names and that are not live, what the gates of automations saw that are gone, revoked
        tokens, parked writes, and what models cost.
        Raises UnavailableError (`ledger`); what was deleted before stays deleted.
        """
        batches = _Batches(self._database, self._clock)
        await batches.sweep(forgetting.keys(to_millis(now - DEDUP_RETENTION)))
        await batches.sweep(forgetting.items(to_millis(now)))
        if history is not None:
            # The answer to a duplicate names the first event and its runs.
            before = to_millis(now - max(history, DEDUP_RETENTION))
            cut = await self._database.write(cutting.declared(before, now))
            await self._forget_runs(batches, before, cut, now)
            await self._cut_seals(batches, cut, now)
            await self._forget_slots(batches, before)
            async for page in self._old_rows(tables.events, tables.events.c.received_at, before):
                await batches.each([row["number"] for row in page], forgetting.events)
            await batches.sweep(forgetting.alerts(before))
            await batches.sweep(forgetting.rejections(before))
            await batches.sweep(forgetting.gate_values(before))
            await batches.sweep(forgetting.tokens(before))
            await batches.sweep(forgetting.parked_writes(before))
            await batches.sweep(forgetting.spending(from_millis(before).date().isoformat()))
            await self._forget_versions(batches, before)
        return batches.pruned

    async def _forget_runs(
        self, batches: "_Batches", before: int, cut: Link, now: datetime
    ) -> None:
        kept: dict[str, set[int]] = {}
        async for page in self._old_rows(tables.runs, tables.runs.c.created_at, before):
            for name in {row["automation"] for row in page} - kept.keys():
                kept[name] = await self._database.read(forgetting.told_of(name))
            old = [row["number"] for row in page if row["number"] not in kept[row["automation"]]]
            ended = await self._database.read(forgetting.ended(old, before))
            await self._say_forgotten([each.run_id for each in ended], cut, now)
            # One run's journal may be larger than a batch: it goes before, in pieces.
            heavy = [each.run_id for each in ended if each.weight > _HEAVY]
            # Until its row goes too, it would seem to have lost a part.
            await self._say_forgotten(heavy, Link(), now)
            for run_id in heavy:
                await batches.sweep(forgetting.journal_of(run_id))
            weights = {run.number: min(run.weight, _HEAVY) for run in ended}
            await batches.each(
                list(weights), lambda some: forgetting.runs(some, before), weight=weights.get
            )

    async def _say_forgotten(self, run_ids: Sequence[str], cut: Link, now: datetime) -> None:
        for begin in range(0, len(run_ids), cutting.PAGE):
            some = run_ids[begin : begin + cutting.PAGE]
            # Most are said so of by the cut alone.
            if await self._database.read(cutting.unsaid(some, cut)):
                await self._database.write(cutting.forgotten(some, cut, now))

    async def _cut_seals(self, batches: "_Batches", cut: Link, now: datetime) -> None:
        after = 0
        while numbers := await self._database.read(cutting.staying(after, cut)):
            await self._database.write(cutting.renewed(numbers, now))
            after = numbers[-1]
        await batches.sweep(forgetting.seals(cut.place))

    async def _forget_slots(self, batches: "_Batches", before: int) -> None:
        slots, name = tables.occurrences.c, ""
        # From name to name along the key: no other index knows how old a slot is.
        while True:
            oldest = (
                select(slots.automation, slots.scheduled_for)
                .where(slots.automation > name)
                .order_by(slots.automation, slots.scheduled_for)
                .limit(1)
            )
            found = await self._database.read(_rows(oldest))
            if not found:
                return
            name = found[0]["automation"]
            if found[0]["scheduled_for"] < before:
                await batches.sweep(forgetting.slots_of(name, before))

    async def _forget_versions(self, batches: "_Batches", before: int) -> None:
        unused = await self._database.read(forgetting.unused_versions(before))
        await batches.each(unused, forgetting.versions)

    async def _old_rows(
        self, table: Table, at: "Column[int]", before: int
    ) -> AsyncGenerator[Sequence[Row], None]:
        """Old rows by their number, up to the first page without any: numbers grow with time."""
        last = -1
        while True:
            number = table.c.number
            query = select(table).where(number > last).order_by(number).limit(_PAGE)
            narrow = query.with_only_columns(*_columns(table, at))
            page = await self._database.read(_rows(narrow))
            old = [row for row in page if row["at"] < before]
            if not old:
                return
            last = page[-1]["number"]
            yield old


@dataclass(slots=True)
class _Batches:
    """Deletes in batches whose size follows the time that they take."""

    database: Database
    clock: Clock
    size: int = _FIRST
    pruned: Pruned = field(default_factory=Pruned)

    async def sweep(self, some: Callable[[int], Delete]) -> None:
        """Delete with `some(limit)` until that finds less than it may."""
        while True:
            size = self.size
            if await self._delete(some(size), size) < size:
                return

    async def each(
        self,
        keys: Sequence[K],
        some: Callable[[Sequence[K]], Delete],
        weight: Callable[[K], int | None] = lambda _: 1,
    ) -> None:
        """Delete with `some(keys)`, as many of the keys at a time as weigh no more than a batch."""
        batch: list[K] = []
        load = 0
        for key in keys:
            more = weight(key) or 1
            if batch and load + more > self.size:
                await self._delete(some(batch), load)
                batch, load = [], 0
            batch.append(key)
            load += more
        if batch:
            await self._delete(some(batch), load)

    async def _delete(self, statement: Delete, load: int) -> int:
        def work(connection: Connection) -> tuple[int, float]:
            began = self.clock.monotonic()
            rows = connection.execute(statement).rowcount
            return rows, self.clock.monotonic() - began

        failpoints.hit("prune.before_batch")
        rows, took = await self.database.write(work)
        failpoints.hit("prune.after_batch")
        self.pruned.rows += rows
        self.pruned.longest = max(self.pruned.longest, took)
        if took > _WANTED_SECONDS:
            self.size = max(self.size // 2, 1)
        elif load * 2 > self.size:
            self.size = min(self.size * 2, _MOST)
        if rows:
            await self.clock.sleep(took * _REST)
        return rows


def _columns(table: Table, at: "Column[int]") -> list[Any]:
    named = [table.c.automation] if "automation" in table.c else []
    return [table.c.number, at.label("at"), *named]


def _rows(query: Executable) -> Callable[[Connection], list[Row]]:
    return lambda connection: list(connection.execute(query).mappings())
