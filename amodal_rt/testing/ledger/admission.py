"""The ruling on wishes for runs."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from amodal_rt.clock import AHEAD
from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.run import Run, RunStatus, SkippedReason, Start
from amodal_rt.errors import InternalError
from amodal_rt.ports import RunRef
from amodal_rt.testing.ledger import keyed, values
from amodal_rt.testing.ledger.store import MemoryStore
from amodal_rt.testing.ledger.tables import RunRow

_NEVER = datetime(1, 1, 1, tzinfo=UTC)
_FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)


def admit(store: MemoryStore, starts: Sequence[Start]) -> list[RunRef]:
    """Write the rows that `RunLedger.admit` promises, and say what they are."""
    sitting = _Sitting(store)
    return [ref for start in starts if (ref := sitting.rule_on(start)) is not None]


def foretell(store: MemoryStore, start: Start) -> tuple[SkippedReason, str | None] | None:
    """What `admit` would say of a start without a slot. Writes nothing."""
    reason, rule, *_ = _Sitting(store).judge(start)
    return None if reason is None else (reason, rule)


class _Sitting:
    """The rulings of one call."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._refused: dict[tuple[str, str | None], datetime] = {}
        """Schedules of which a slot was taken already, and up to where all of theirs are."""
        self._stood = {key: state.last_slot for key, state in store.schedules.items()}

    def rule_on(self, start: Start) -> RunRef | None:
        if start.scheduled_for is not None and not self._take_slot(start, start.scheduled_for):
            return None
        reason, rule, others, newer = self.judge(start)
        if newer is not None:
            keyed.join(self._store, newer)
        if reason is None:
            ref = self._insert(start, RunStatus.PENDING, None, rule)
            keyed.take_place(self._store, start, others)
            return ref
        extended = self._extend(start, reason, rule)
        if extended is not None:
            return extended
        return self._insert(start, RunStatus.SKIPPED, reason.value, rule)

    def _take_slot(self, start: Start, slot: datetime) -> bool:
        slots = self._store.slots
        first, last = values.instant(slot), values.instant(start.scheduled_until or slot)
        schedule = (start.automation, start.schedule_key)
        if schedule in self._refused and first <= self._refused[schedule]:
            return False
        if (start.automation, first) in slots:
            stood = self._stood.get(schedule) or _NEVER  # pyright: ignore[reportArgumentType]
            self._refused.setdefault(schedule, stood)
            if last != first:
                self._refused[schedule] = _FOR_EVER
            return False
        slots.put((start.automation, first), start.run_id)
        if (start.automation, last) not in slots:
            slots.put((start.automation, last), start.run_id)
        self._move_schedule(start, last)
        return True

    def _move_schedule(self, start: Start, slot: datetime) -> None:
        if start.schedule_key is None:
            return
        key = (start.automation, start.schedule_key)
        state = self._store.schedules.get(key)
        if state is not None and (state.last_slot is None or state.last_slot < slot):
            self._store.schedules.put(key, replace(state, last_slot=slot))

    def judge(
        self, start: Start
    ) -> tuple[SkippedReason | None, str | None, Sequence[Run], Run | None]:
        """Why the start is ruled out, or whose place it takes; last the newer run that it joins."""
        if start.skip is not None:
            return start.skip, values.maybe_text(start.rule), (), None
        known = keyed.known(self._store, start)
        if known is not None:
            return *known, (), None
        others = keyed.waiting(self._store, start)
        newer = keyed.newer(start, others)
        if newer is not None:
            return SkippedReason.COALESCED, f"coalesced into {newer.run_id}", (), newer
        return *self._reason(start, {run.run_id for run in others}), others, None

    def _reason(
        self, start: Start, others: Collection[str]
    ) -> tuple[SkippedReason | None, str | None]:
        """The limit that rules the start out, which would take the place of `others`."""
        if start.on_limit is OnLimit.SKIP and self._open_runs(start, others) >= start.concurrency:
            return SkippedReason.CONCURRENCY_LIMIT, f"limits.concurrency {start.concurrency}"
        limit = start.starts_per_hour
        if limit is not None and self._is_too_often(start, limit, others):
            return SkippedReason.RATE_LIMIT, f"limits.startsPerHour {start.starts_per_hour}"
        return None, values.maybe_text(start.rule)

    def _open_runs(self, start: Start, others: Collection[str]) -> int:
        """Runs of the automation that hold or want a slot, but for `others`."""
        runs, now = self._store.runs, values.instant(start.created_at)
        found = (runs.row(each).run for each in runs.open_of.get(start.automation, {}).values())
        return sum(
            run.run_id not in others
            and (run.status is RunStatus.RUNNING or _wants_a_slot(run, now))
            for run in found
        )

    def _is_too_often(self, start: Start, limit: int, others: Collection[str]) -> bool:
        """Whether the hour before this start already has `limit` runs beside `others`."""
        now = values.instant(start.created_at)
        found = 0
        if limit <= 0:
            return True
        for run in self._of(start.automation):
            if run.run_id in others:
                continue
            if run.status is not RunStatus.SKIPPED and run.created_at <= now + AHEAD:
                found += 1
                if found == limit:
                    return run.created_at > now - _HOUR
        return False

    def _extend(self, start: Start, reason: SkippedReason, rule: str | None) -> RunRef | None:
        """Add the slot to the skipped row of its schedule that it directly follows, if there
        is one that was ruled alike."""
        if start.scheduled_for is None:
            return None
        slot = values.instant(start.scheduled_for)
        last = values.instant(start.scheduled_until or start.scheduled_for)
        slots = (run for run in self._of(start.automation) if run.scheduled_for)
        latest = next((run for run in slots if run.schedule_key == start.schedule_key), None)
        alike = (RunStatus.SKIPPED, reason.value, rule, start.definition)
        if latest is None:
            return None
        if (latest.status, latest.reason, latest.rule, latest.definition) != alike:
            return None
        end = latest.scheduled_until or latest.scheduled_for
        if end is None or end >= slot or self._stands_between(start, end, slot):
            return None
        grown = replace(latest, scheduled_until=last, count=latest.count + start.count)
        self._store.runs.put(latest.run_id, replace(self._store.runs.row(latest.run_id), run=grown))
        for each in {slot, last}:
            self._store.slots.put((start.automation, each), latest.run_id)
        return _ref(grown)

    def _stands_between(self, start: Start, after: datetime, before: datetime) -> bool:
        """Whether a slot of the schedule between the two has a row."""
        for (name, slot), run_id in self._store.slots.items():
            if name == start.automation and after < slot < before:
                run = self._store.runs.row(run_id).run
                if run.schedule_key == start.schedule_key:
                    return True
        return False

    def _of(self, automation: str) -> Iterator[Run]:
        """The automation's runs, newest first."""
        runs = self._store.runs
        return (runs.row(each).run for each in reversed(runs.of.get(automation, {}).values()))

    def _insert(
        self, start: Start, status: RunStatus, reason: str | None, rule: str | None
    ) -> RunRef:
        if start.run_id in self._store.runs:
            raise InternalError("the ledger refused a row (run id)", code="ledger_row")
        run = _run(start, status, reason, rule)
        row = RunRow(next(self._store.numbers), run, start.concurrency, start.on_limit)
        self._store.runs.put(run.run_id, row)
        if start.event_id is not None:
            others = self._store.runs_of_event.get(start.event_id) or ()
            self._store.runs_of_event.put(start.event_id, (*others, run.run_id))
        return _ref(run)


def _wants_a_slot(run: Run, now: datetime) -> bool:
    return run.reason is None and (run.not_before is None or run.not_before <= now)


def _run(start: Start, status: RunStatus, reason: str | None, rule: str | None) -> Run:
    return Run(
        run_id=start.run_id,
        automation=start.automation,
        title=values.text(start.title),
        trigger=start.trigger,
        status=status,
        definition=start.definition,
        created_at=values.instant(start.created_at),
        reason=reason,
        rule=rule,
        event_id=start.event_id,
        payload=values.document(start.payload),
        scheduled_for=values.maybe_instant(start.scheduled_for),
        scheduled_until=values.maybe_instant(start.scheduled_until),
        schedule_key=start.schedule_key,
        count=start.count,
        depth=start.depth,
        requester=values.maybe_text(start.requester),
        actor=values.maybe_text(start.actor),
        door=start.door,
        conversation_key=values.maybe_text(start.conversation_key),
        order_key=values.maybe_text(start.order_key),
        idempotency_key=values.maybe_text(start.idempotency_key),
        fault=values.maybe_text(start.fault),
        rehearse=start.rehearse,
    )


def _ref(run: Run) -> RunRef:
    return RunRef(
        run_id=run.run_id, automation=run.automation, status=run.status, reason=run.reason
    )
