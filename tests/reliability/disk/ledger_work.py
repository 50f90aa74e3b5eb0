"""A little of everything that a daemon does to its ledger, and what must hold of it after."""

import asyncio
import sqlite3
from collections.abc import Awaitable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from integration import older_ledger as older
from integration.older_ledger import NOW, start

from amodal_rt.clock import SystemClock
from amodal_rt.domain.delivery import Attempt, AttemptResult, Plan
from amodal_rt.domain.event import DedupKey, Event
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import Run, RunStatus
from amodal_rt.errors import AmodalError
from amodal_rt.ids import SystemIds
from amodal_rt.ports import StoreItem
from amodal_rt.storage.sqlite import SqliteLedger

LEASE = timedelta(seconds=6)
HISTORY = timedelta(days=90)
LATER = NOW + timedelta(days=200)


@dataclass
class Told:
    """What was acknowledged, and how often nothing could be."""

    events: set[str] = field(default_factory=set)
    finished: set[str] = field(default_factory=set)
    delivered: set[str] = field(default_factory=set)
    facts: set[str] = field(default_factory=set)
    slots: set[str] = field(default_factory=set)
    refused: int = 0
    opened: bool = False

    @property
    def count(self) -> int:
        """How many acknowledgements."""
        kinds = (self.events, self.finished, self.delivered, self.facts, self.slots)
        return sum(len(each) for each in kinds)


class Worker:
    """Works on the ledger at `path`; what it is told of stands in `told`."""

    def __init__(self, path: Path) -> None:
        self.told = Told()
        clock = SystemClock()
        self._ledger = SqliteLedger(path, clock=clock, ids=SystemIds(clock))

    def run(self) -> None:
        """All of it; a refusal ends a step and not the work."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        try:
            await self._ledger.open()
        except AmodalError:
            self.told.refused += 1
            return
        self.told.opened = True
        try:
            for step in (self._join(), self._crowd(), self._carry(), self._send()):
                await self._try(step)
            for step in (self._keep(), self._slot(), self._large(), self._forget()):
                await self._try(step)
        finally:
            await self._ledger.close()

    async def _try(self, step: Awaitable[None]) -> None:
        try:
            await step
        except AmodalError:
            self.told.refused += 1

    async def _join(self) -> None:
        await self._ledger.join(host="h", pid=1, version="v", lease=LEASE)
        for run in await self._ledger.take_orphans():
            await self._ledger.requeue(run, at=NOW)

    async def _crowd(self) -> None:
        """One after another, then four in one commit."""
        await self._accept("alone")
        results = await asyncio.gather(
            *(self._accept(f"crowd_{n}") for n in range(4)), return_exceptions=True
        )
        self.told.refused += sum(isinstance(each, BaseException) for each in results)

    async def _accept(self, name: str, size: int = 100) -> None:
        event = Event(
            id=f"evt_{name}", type="t", source="s", data="x" * size, time=NOW, received_at=LATER
        )
        dedup = DedupKey(endpoint="e", keys=(name,))
        wish = start(name, event_id=event.id, created_at=LATER)
        await self._ledger.accept(event, dedup=dedup, starts=[wish], queue_limit=1000)
        self.told.events.add(event.id)

    async def _carry(self) -> None:
        for run in await self._ledger.claim(limit=2, overall=10, now=LATER):
            await self._ledger.record(
                run.run_id, EntryType.PROMPT, at=LATER, data={"text": "x" * 3000}, term=run.term
            )
            await self._finish(run)

    async def _finish(self, run: Run) -> None:
        plan = Plan((older.message(run.run_id),))
        outcome = Outcome(status=RunStatus.COMPLETED, text="done", model="m:m")
        if await self._ledger.finish(run, outcome, at=LATER, plan=lambda _: plan):
            self.told.finished.add(run.run_id)

    async def _send(self) -> None:
        for each in await self._ledger.claim_messages(limit=9, now=NOW):
            await self._ledger.record_attempt(
                Attempt(
                    delivery_id=each.message.delivery_id, result=AttemptResult.DELIVERED, at=LATER
                )
            )
            # What the template owed is old enough to be forgotten in the end.
            if not each.message.delivery_id.startswith("msg_run_slot"):
                self.told.delivered.add(each.message.delivery_id)

    async def _keep(self) -> None:
        await self._ledger.set_fact("kept", "x")
        self.told.facts.add("kept")
        item = StoreItem(key="b", value={"n": 1}, updated_at=NOW)
        await self._ledger.put("seen", item, expires_at=None, step=None)

    async def _slot(self) -> None:
        for ref in await self._ledger.admit([start("slot", scheduled_for=LATER, created_at=LATER)]):
            self.told.slots.add(ref.run_id)

    async def _large(self) -> None:
        await self._accept("large", size=40_000)

    async def _forget(self) -> None:
        await self._ledger.prune(LATER, history=HISTORY)


@dataclass
class Found:
    """What is wrong with a ledger after a fault; nothing, if all promises hold."""

    lost: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def look(path: Path, told: Told) -> Found:
    """Open the ledger as the next daemon does, use it, and compare it with what was told."""
    found = Found()
    try:
        asyncio.run(_use(path))
    except AmodalError as error:
        found.broken.append(f"does not open: {error.code} {error.message}")
        return found
    with closing(sqlite3.connect(path)) as raw:
        for check in ("integrity_check", "foreign_key_check"):
            rows = raw.execute(f"PRAGMA {check}").fetchall()
            found.broken += [f"{check}: {row}" for row in rows if row != ("ok",)]
        for name, query in _NEVER.items():
            if rows := raw.execute(query).fetchall():
                found.broken.append(f"{name}: {rows[:3]}")
        for what, query in _STORED.items():
            stored = {row[0] for row in raw.execute(query)}
            missing = getattr(told, what) - stored
            found.lost += [f"{what}: {each}" for each in sorted(missing)]
    return found


async def _use(path: Path) -> None:
    clock = SystemClock()
    async with SqliteLedger(path, clock=clock, ids=SystemIds(clock)) as ledger:
        await ledger.set_fact("again", "x")


_NEVER = {
    "run without its event": "SELECT runs.id FROM runs LEFT JOIN events ON events.id = event_id"
    " WHERE event_id IS NOT NULL AND events.id IS NULL",
    "event without its run": "SELECT events.id FROM events LEFT JOIN runs ON events.id = event_id"
    " WHERE runs.id IS NULL",
    "event with two runs": "SELECT event_id FROM runs WHERE event_id IS NOT NULL"
    " GROUP BY event_id HAVING COUNT(*) > 1",
    "run without its delivery key": "SELECT runs.id FROM runs LEFT JOIN dedup_keys AS k"
    " ON k.event_id = runs.event_id WHERE runs.id LIKE 'run_crowd%' AND k.key IS NULL",
    "finished without an entry": "SELECT id FROM runs WHERE status = 'completed' AND NOT EXISTS"
    " (SELECT 1 FROM journal WHERE run_id = runs.id AND type = 'run.finished')",
    "entry without being finished": "SELECT runs.id FROM runs JOIN journal ON run_id = runs.id"
    " WHERE type = 'run.finished' AND status NOT IN ('completed', 'failed')",
    "finished without its message": "SELECT id FROM runs WHERE result_text = 'done' AND NOT EXISTS"
    " (SELECT 1 FROM outbox WHERE run_id = runs.id)",
    "gap in a journal": "SELECT run_id FROM journal GROUP BY run_id"
    " HAVING MIN(sequence) <> 1 OR MAX(sequence) <> COUNT(*)",
    "slot without its run": "SELECT run_id FROM occurrences WHERE run_id = 'run_slot'"
    " AND NOT EXISTS (SELECT 1 FROM runs WHERE id = 'run_slot')",
}
"""Half of something that is one fact: each must find nothing."""
_STORED = {
    "events": "SELECT id FROM events",
    "finished": "SELECT id FROM runs WHERE status = 'completed'",
    "delivered": "SELECT id FROM outbox WHERE status = 'delivered'",
    "facts": "SELECT key FROM facts",
    "slots": "SELECT run_id FROM occurrences",
}
