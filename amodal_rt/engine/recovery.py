"""Runs whose process is gone: back to the queue, on with their journal, or failed."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

from amodal_rt.clock import Clock
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.journal import (
    GOES_ON,
    MOST_RESUMES,
    RESUMES_WITHIN,
    Entry,
    EntryType,
    latest_try,
    open_write,
    waited_last,
    write_sentence,
)
from amodal_rt.domain.outcome import Outcome, cut_off_in
from amodal_rt.domain.run import Run
from amodal_rt.errors import AmodalError
from amodal_rt.failpoints import hit
from amodal_rt.logs import Log
from amodal_rt.ports import JournalLedger, RunLedger

LEAST_SECONDS = 60.0
"""What a resumed run gets of its time at least, unless its whole time is less."""

_log = Log("engine")
_HARMLESS = frozenset({EntryType.RUN_STARTED, EntryType.PROMPT})
_BETWEEN = frozenset({EntryType.RUN_RESUMED, EntryType.RUN_RETRIED, EntryType.APPROVAL_ANSWERED})
_MOST_REQUEUES = 3
_AT_ONCE = 32


class RecoveryLedger(RunLedger, JournalLedger, Protocol):
    """What recovery needs of the ledger."""


class Settles(Protocol):
    """Commits an outcome with what it owes."""

    async def settle(
        self, run: Run, outcome: Outcome, definition: Definition | None, *, wrote: bool
    ) -> None:
        """Commit it."""
        ...

    def definition_of(self, run: Run) -> Definition | None:
        """The live version of the run's automation, if it has one."""
        ...


class Next(Enum):
    """What becomes of a run that was cut off."""

    REQUEUE = "requeue"
    RESUME = "resume"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Ruling:
    """`error` says in one line for people which rule ended the run, `write` the step of the
    write in which it was cut off."""

    next: Next
    error: str = ""
    write: str | None = None


async def entries_of(ledger: JournalLedger, run: Run) -> list[Entry]:
    """The journal since the run last began afresh."""
    return await latest_try(lambda after: ledger.entries(run.run_id, after=after))


async def requeues_of(ledger: JournalLedger, run: Run) -> int:
    """How often in a row the run went back to the queue without having journaled a step."""
    count = after = 0
    while page := await ledger.entries(run.run_id, after=after):
        for each in page:
            if each.type is EntryType.RUN_RETRIED:
                # A retry by rule has done what could be done, and failed.
                count = count + 1 if each.data.get("reason") == "requeued" else 0
            elif each.type not in _HARMLESS:
                count = 0
        after = page[-1].sequence
    return count


async def crashes_of(ledger: JournalLedger, run: Run) -> int:
    """How often the run was cut off and went on."""
    count = after = 0
    while page := await ledger.entries(run.run_id, after=after):
        count += sum(each.type is EntryType.RUN_RESUMED for each in page)
        after = page[-1].sequence
    return count


async def tries_of(ledger: JournalLedger, run: Run) -> int:
    """How often the run began afresh, the first time included."""
    count = after = 0
    while page := await ledger.entries(run.run_id, after=after):
        count += sum(each.type is EntryType.RUN_RETRIED for each in page)
        after = page[-1].sequence
    return count + 1


def rule(run: Run, entries: Sequence[Entry], now: datetime, *, requeues: int = 0) -> Ruling:
    """What becomes of a run that was cut off, by what it journaled since it last began afresh,
    and by how often in a row it had begun again before.

    One that had done nothing yet begins again, three times at most: it may be what ends the
    process. One that was cut off in a write fails, for nobody can tell whether it happened.
    Any other goes on with its journal, within an hour of its last sign of life and three
    times at most. The hour does not count for one that only just woke from a wait.
    """
    if all(each.type in _HARMLESS for each in entries):
        if requeues < _MOST_REQUEUES:
            return Ruling(Next.REQUEUE)
        return Ruling(Next.FAIL, _in_vain(run, requeues + 1))
    write = open_write(entries)
    if write is not None:
        told = _in_the_middle(write_sentence(write))
        return Ruling(Next.FAIL, told, write.step or "unknown")
    if run.resumes >= MOST_RESUMES:
        told = f"it was cut off again, after it had gone on {MOST_RESUMES} times"
        return Ruling(Next.FAIL, _in_the_middle(told))
    if now - entries[-1].at > RESUMES_WITHIN and not waited_last(entries):
        minutes = RESUMES_WITHIN / timedelta(minutes=1)
        told = f"it was cut off more than {minutes:g} minutes ago"
        return Ruling(Next.FAIL, _in_the_middle(told))
    return Ruling(Next.RESUME)


def _in_the_middle(rule: str) -> str:
    return f"the daemon ended in the middle of the run: {rule}"


def _in_vain(run: Run, times: int) -> str:
    return (
        f"the daemon ended {times} times in a row before the first step of the run, which may be"
        f" why: it does not begin again by itself. Nothing was done; start it again with"
        f" `ops runs replay {run.run_id}`"
    )


def interrupted(ruling: Ruling) -> Outcome:
    """The outcome of a run that does not go on."""
    return cut_off_in(ruling.write, ruling.error)


def seconds_left(entries: Sequence[Entry], timeout: timedelta) -> float:
    """What a resumed run has left of its timeout, in seconds.

    What it took counts in stretches, each from its first entry to its last; the time between
    them, when nothing of it ran, does not: a wait or a crash ends a stretch. At least a minute is
    left, or the whole timeout where that is less: else a run cut off near its end could never say
    what it found.
    """
    spans: dict[int, tuple[datetime, datetime]] = {}
    stretch = 0
    for each in entries:
        if each.type not in _BETWEEN:
            first, _ = spans.get(stretch, (each.at, each.at))
            spans[stretch] = (first, each.at)
        stretch += each.type in GOES_ON
    used = sum(max((last - first).total_seconds(), 0.0) for first, last in spans.values())
    whole = timeout.total_seconds()
    return max(whole - used, min(whole, LEAST_SECONDS))


class Recovery:
    """Runs that were running when their process died, or when their node was given up.

    A run that fails here fails as `interrupted`, and alerts like every failure.
    """

    def __init__(
        self,
        ledger: RecoveryLedger,
        settles: Settles,
        clock: Clock,
        carried: Callable[[], Collection[str]],
    ) -> None:
        self._ledger = ledger
        self._settles = settles
        self._clock = clock
        self._carried = carried
        self.taking = asyncio.Lock()
        """Held from a claim until what was claimed is among the `carried`: in between it would
        look like a run whose claim was never answered."""
        # The ledger gives an orphan once: what could not be settled must not be forgotten.
        self._owed: dict[str, Run] = {}
        self._left: set[str] = set()

    async def recover(self) -> int:
        """Take what nobody carries any more and settle each of it; returns how many those were.

        May be cut off and repeated at any point. What the ledger refused is tried again by
        the next call, which the caller owes after an error.
        """
        hit("recovery.before_take")
        async with self.taking:
            known = {*self._carried(), *self._owed, *self._left}
            found = await self._ledger.take_orphans(carried=known)
        self._owed |= {run.run_id: run for run in found}
        hit("recovery.after_take")
        count = len(self._owed)
        while self._owed:
            some = list(self._owed.values())[:_AT_ONCE]
            # Together they share commits: a node may leave hundreds behind.
            answers = await asyncio.gather(*map(self._settle, some), return_exceptions=True)
            for run, wrong in zip(some, answers, strict=True):
                if isinstance(wrong, AmodalError) or not isinstance(wrong, Exception | None):
                    raise wrong
                if wrong is not None:
                    self._leave(run, wrong)
        return count

    def _leave(self, run: Run, defect: Exception) -> None:
        """Leave a run that a defect of ours keeps from being settled to the next start: tried
        for ever it would keep others from their recovery."""
        _log.exception("run.lost", defect, run=run.run_id)
        self._owed.pop(run.run_id, None)
        self._left.add(run.run_id)

    async def cut_off(self, run: Run) -> Ruling:
        """Send a run that this process stops carrying back to the queue, or say why it fails.

        Its executor must have ended or be unable to journal. Nothing is written for a run
        that fails: its carrier settles it.
        """
        entries, requeues = await entries_of(self._ledger, run), 0
        if run.attempt > _MOST_REQUEUES:
            requeues = await requeues_of(self._ledger, run)
        judged = await self._without_waits(run)
        ruling = rule(judged, entries, self._clock.now(), requeues=requeues)
        if ruling.next is not Next.FAIL:
            await self._return(run, ruling.next)
        return ruling

    async def _without_waits(self, run: Run) -> Run:
        """To go on after a wait is no sign that something ends the process."""
        if run.resumes < MOST_RESUMES:
            return run
        return replace(run, resumes=await crashes_of(self._ledger, run))

    async def give_back(self, run: Run) -> None:
        """Send back a run that was claimed and not begun. One that goes on with its journal
        keeps it: it must not begin afresh."""
        await self._return(run, Next.RESUME if run.resumes else Next.REQUEUE)

    async def _settle(self, run: Run) -> None:
        ruling = await self.cut_off(run)
        if ruling.next is Next.FAIL:
            definition = self._settles.definition_of(run)
            await self._settles.settle(run, interrupted(ruling), definition, wrote=True)
        self._owed.pop(run.run_id, None)

    async def _return(self, run: Run, how: Next) -> None:
        now = self._clock.now()
        hit("recovery.before_return")
        if how is Next.REQUEUE:
            done = await self._ledger.requeue(run, at=now)
        else:
            done = await self._ledger.resume(run, at=now)
        hit("recovery.after_return")
        if done:
            _log.warning(f"run.{how.value}d", run=run.run_id, automation=run.automation)
