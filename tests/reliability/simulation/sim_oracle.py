"""What must become of every slot, run and event, judged from outside while it happens.

Knows the schedules, the catch-up policies, the pauses and when somebody looked; not how the
program decides. Nominal slots come from a calendar of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sim_calendar import Slots

from amodal_rt.domain.automation import CatchUp, CatchUpPolicy
from amodal_rt.domain.run import Run, RunStatus, SkippedReason, Start, may_follow
from amodal_rt.ports import DEDUP_RETENTION, Receipt, RunRef, ScheduleState

REACHED = timedelta(seconds=60)
"""A slot that is no older is on time."""
_NEVER = datetime(1, 1, 1, tzinfo=UTC)
_FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)
TICK_SECONDS = 5.0
GRACE_SECONDS = 1.5
"""Delays of the ledger that a scheduler may meet on its way, in elapsed seconds."""


@dataclass
class Era:
    """A schedule of an automation from when it was first armed. `counted_from` None: not yet."""

    slots: Slots
    counted_from: datetime | None = None
    ended: datetime | None = None
    ended_at: float = float("inf")
    counts: list[tuple[datetime, float]] = field(default_factory=list)
    """From when it counted, and when that was put on record: once, and again after each clock
    that was set back to before."""

    def count_from(self, at: datetime, elapsed: float) -> None:
        """It counts from `at` on."""
        self.counted_from = at
        self.counts.append((at, elapsed))

    def began_at(self, slot: datetime) -> float:
        """Since when the slot was one that counts."""
        return min((elapsed for at, elapsed in self.counts if at < slot), default=float("inf"))


@dataclass
class Watched:
    """One automation."""

    eras: dict[str, Era] = field(default_factory=dict)
    """By fingerprint, in order."""
    policies: dict[str, tuple[CatchUp, str]] = field(default_factory=dict)
    """By definition hash: its policy and the fingerprint of its schedule."""
    covered: dict[datetime, float] = field(default_factory=dict)
    """When each slot was ruled on, in elapsed seconds."""
    by: dict[datetime, str] = field(default_factory=dict)
    """By slot, the fingerprint of the schedule that ruled on it."""
    newest: dict[str, datetime] = field(default_factory=dict)
    """The newest slot that each schedule ruled on."""
    inner: set[datetime] = field(default_factory=set)
    """Slots within a stretch of skipped ones, of which only the first and the last are on record.
    After the clock was set back and the schedule changed, another schedule with a slot at the
    same instant rules on it anew; likewise its stretch may reach over what others ruled on."""
    pauses: list[tuple[float, datetime, bool]] = field(default_factory=list)
    """Elapsed, wall, and whether it was paused then."""

    def was(self, paused: bool, since: float) -> bool:
        """Whether it was so at any time from `since` on."""
        state, found = False, False
        for elapsed, _, now in self.pauses:
            if elapsed > since and state is paused:
                found = True
            state = now
        return found or state is paused


class Oracle:
    """Told of everything that the ledger did; `wrong` holds what should not have been."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.watched: dict[str, Watched] = {}
        self.slots = self.doubled = self.caught_up = self.skipped = 0
        self.statuses: dict[str, tuple[RunStatus, int, int]] = {}
        self.running: dict[str, str] = {}
        self.limits: dict[str, int] = {}
        self.most = 0
        self._keys: dict[str, tuple[str, datetime]] = {}
        self.acknowledged: dict[str, tuple[str, ...]] = {}

    def complain(self, elapsed: float, text: str) -> None:
        self.wrong.append(f"{elapsed:.2f}s: {text}")

    # schedules

    def on_states(self, states: Sequence[ScheduleState], elapsed: float) -> None:
        for state in states:
            era = self.watched[state.automation].eras.get(state.fingerprint)
            if era is not None and era.counted_from is None:
                era.count_from(state.counted_from, elapsed)
            elif era is not None and state.counted_from < (era.counted_from or _NEVER):
                # Armed while the clock was ahead, it counts anew: by its slots alone.
                era.count_from(state.counted_from, elapsed)
                self.watched[state.automation].newest.pop(state.fingerprint, None)

    def on_admit(self, starts: Sequence[Start], refs: Sequence[RunRef], elapsed: float) -> None:
        expected = 0
        refused: dict[tuple[str, str | None], datetime] = {}
        stood = {name: dict(each.newest) for name, each in self.watched.items()}
        for start in starts:
            if start.scheduled_for is None:
                expected += 1
                continue
            watched = self.watched[start.automation]
            covered = watched.covered
            key = (start.automation, start.schedule_key)
            self._forget_inner(start, watched)
            if start.scheduled_for <= refused.get(key, _NEVER):
                continue
            if start.scheduled_for in covered:
                _, mine = watched.policies[start.definition]
                refused.setdefault(key, stood[start.automation].get(mine, _NEVER))
                if start.count > 1:
                    refused[key] = _FOR_EVER
                continue
            expected += 1
            self._cover(start, elapsed)
        if expected != len(refs):
            self.complain(elapsed, f"{expected} rows expected, {len(refs)} made of {starts}")
        for ref in refs:
            self.on_ref(ref, elapsed)

    def _forget_inner(self, start: Start, watched: Watched) -> None:
        """Let the start's schedule rule anew on what another skipped within a stretch."""
        slot, (_, fingerprint) = start.scheduled_for, watched.policies[start.definition]
        if slot is not None and slot in watched.inner and watched.by[slot] != fingerprint:
            watched.inner.discard(slot)
            del watched.covered[slot]

    def _cover(self, start: Start, elapsed: float) -> None:
        watched = self.watched[start.automation]
        policy, fingerprint = watched.policies[start.definition]
        era = watched.eras[fingerprint]
        assert start.scheduled_for is not None
        last = start.scheduled_until or start.scheduled_for
        slots = era.slots.between(start.scheduled_for, last)
        what = f"{start.automation} {start.scheduled_for} to {last} as {start.skip or 'run'}"
        if (
            len(slots) != start.count
            or not slots
            or (slots[0], slots[-1])
            != (
                start.scheduled_for,
                last,
            )
        ):
            self.complain(elapsed, f"{what}: {start.count} slots, nominal {slots[:5]}")
        for slot in slots:
            others = slot != slots[0] and watched.by.get(slot) != fingerprint
            if slot in watched.covered and not others:
                self.doubled += 1
                self.complain(elapsed, f"{what}: {slot} was ruled on before")
            watched.covered[slot], watched.by[slot] = elapsed, fingerprint
        watched.inner |= set(slots[1:-1])
        watched.newest[fingerprint] = max(last, watched.newest.get(fingerprint, last))
        self.slots += len(slots)
        wrong = self._judge(start, last, watched, era, policy, elapsed)
        if wrong:
            self.complain(elapsed, f"{what} at {start.created_at}: {wrong}")

    def _judge(
        self,
        start: Start,
        last: datetime,
        watched: Watched,
        era: Era,
        policy: CatchUp,
        elapsed: float,
    ) -> str | None:
        look, first = start.created_at, start.scheduled_for
        assert first is not None
        if last > look:
            return "ruled on before it was due"
        if era.counted_from is None or first <= era.counted_from:
            return f"counted from {era.counted_from}"
        window = elapsed - 4 * GRACE_SECONDS
        if start.skip is SkippedReason.PAUSED:
            self.skipped += 1
            resumed = any(wall >= last for _, wall, paused in watched.pauses if not paused)
            return None if watched.was(True, window) or resumed else "it was not paused"
        if not watched.was(False, window):
            return "it was paused"
        newest = era.slots.newest(look) == last
        young = last >= look - policy.within
        if start.skip is SkippedReason.MISSED:
            self.skipped += 1
            wanted = {
                CatchUpPolicy.NONE: False,
                CatchUpPolicy.LAST: newest and young,
                CatchUpPolicy.ALL: young,
            }[policy.policy]
            return f"policy {policy} wants it" if wanted else None
        if look - last <= REACHED and newest:
            return None
        self.caught_up += 1
        allowed = {
            CatchUpPolicy.NONE: False,
            CatchUpPolicy.LAST: newest and young,
            CatchUpPolicy.ALL: young,
        }[policy.policy]
        return None if allowed else f"policy {policy} does not want it"

    def lost(self, name: str, until: datetime) -> list[datetime]:
        """Nominal slots up to `until` that nothing stands for."""
        watched = self.watched[name]
        return [
            slot
            for era in watched.eras.values()
            if era.counted_from is not None
            for slot in era.slots.between(era.counted_from, min(era.ended or until, until))
            if slot > era.counted_from and slot not in watched.covered
        ]

    # runs

    def on_ref(self, ref: RunRef, elapsed: float) -> None:
        if ref.status is RunStatus.PENDING:
            self.statuses[ref.run_id] = (RunStatus.PENDING, 1, 0)

    def on_claim(self, runs: Sequence[Run], overall: int, elapsed: float) -> None:
        for run in runs:
            self._move(run.run_id, RunStatus.RUNNING, run.attempt, run.term, elapsed)
            self.running[run.run_id] = run.automation
        self.most = max(self.most, len(self.running))
        if len(self.running) > overall:
            self.complain(elapsed, f"{len(self.running)} runs at once, {overall} are allowed")
        for name in {run.automation for run in runs}:
            at_once = list(self.running.values()).count(name)
            if at_once > self.limits[name]:
                self.complain(elapsed, f"{at_once} of {name} at once")

    def on_taken(self, runs: Sequence[Run], elapsed: float) -> None:
        for run in runs:
            before = self.statuses[run.run_id]
            if before[0] is not RunStatus.RUNNING or run.term <= before[2]:
                self.complain(elapsed, f"{run.run_id} was taken over: {before} to {run.term}")
            self.statuses[run.run_id] = (RunStatus.RUNNING, run.attempt, run.term)

    def on_entry(self, run_id: str, term: int | None, elapsed: float) -> None:
        """A step of a run was journaled."""
        if term is not None and self.statuses[run_id][::2] != (RunStatus.RUNNING, term):
            self.complain(elapsed, f"{run_id} was journaled under an old term")

    def on_left(self, run: Run, status: RunStatus, again: bool, elapsed: float) -> None:
        """A write about a running run was accepted."""
        self.running.pop(run.run_id, None)
        if self.statuses[run.run_id][2] != run.term:
            self.complain(elapsed, f"{run.run_id} was written about under an old term")
        attempt = run.attempt + 1 if again else run.attempt
        self._move(run.run_id, status, attempt, run.term, elapsed)

    def _move(self, run_id: str, after: RunStatus, attempt: int, term: int, elapsed: float) -> None:
        before = self.statuses.get(run_id)
        if before is None:
            self.complain(elapsed, f"{run_id} came from nowhere")
        elif not may_follow(before[0], after) or attempt < before[1] or term < before[2]:
            self.complain(elapsed, f"{run_id} went from {before} to {after} {attempt} {term}")
        self.statuses[run_id] = (after, attempt, term)

    # events

    def on_accept(
        self, receipt: Receipt, event_id: str, key: str, at: datetime, elapsed: float
    ) -> None:
        known = self._keys.get(key)
        repeats = known is not None and known[1] > at - DEDUP_RETENTION
        if receipt.duplicate != repeats:
            self.complain(elapsed, f"{key} at {at} after {known}: {receipt}")
        if receipt.duplicate:
            if known is not None and receipt.event_id != known[0]:
                self.complain(elapsed, f"{key} is told to be {receipt.event_id}, not {known[0]}")
            return
        self._keys[key] = (event_id, at)
        for ref in receipt.runs:
            self.on_ref(ref, elapsed)
