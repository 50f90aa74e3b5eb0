"""What becomes of slots that are due: started, caught up, or recorded as skipped."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from amodal_rt.clock import iso
from amodal_rt.domain import schedule
from amodal_rt.domain.automation import CatchUpPolicy, Definition
from amodal_rt.domain.run import SkippedReason, Start
from amodal_rt.domain.trigger import CronTrigger, TriggerKind
from amodal_rt.ids import Ids
from amodal_rt.triggers.arming import FRESH, Armed
from amodal_rt.triggers.holds import Hold, Holds

PAUSED = Hold(SkippedReason.PAUSED, "paused")
_CATCH_UP_AT_MOST = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """The slots of one schedule in `(after, now]`, and what may be done about them.

    `fresh` is how old a slot may be to count as reached rather than missed; `hold` is
    what holds the automation back, or None. `only` is the one slot there is, where the
    caller knows: thousands that are due at once need no calendar then. `taken` are instants at
    which a slot of the automation stands on record: no stretch covers one.
    """

    definition: Definition
    trigger: CronTrigger
    after: datetime
    now: datetime
    fresh: timedelta
    hold: Hold | None
    only: datetime | None = None
    taken: Sequence[datetime] = ()


def wishes_of(
    armed: Armed, holds: Holds, now: datetime, ids: Ids, taken: Sequence[datetime] = ()
) -> list[Start]:
    """What a schedule wants for its slots up to `now` that are not on record."""
    definition, after = armed.definition, armed.ruled
    known = holds.facts.get(definition.automation.name)
    resumed = known.resumed_at if known and not known.paused else None
    wishes: list[Start] = []
    if resumed is not None and armed.next_at is not None and armed.next_at <= resumed <= now:
        # It was resumed before anybody looked: what fell due until then was skipped.
        wishes = starts(_due(armed, after, resumed, PAUSED, taken), ids)
        after = resumed
    return wishes + starts(_due(armed, after, now, holds.on(definition), taken), ids)


def _due(
    armed: Armed, after: datetime, now: datetime, hold: Hold | None, taken: Sequence[datetime]
) -> Due:
    alone = armed.following is None or armed.following > now
    return Due(
        definition=armed.definition,
        trigger=armed.trigger,
        after=after,
        now=now,
        fresh=timedelta(0) if armed.late else FRESH,
        hold=hold,
        only=armed.next_at if alone and after == armed.ruled else None,
        taken=taken,
    )


def starts(due: Due, ids: Ids) -> list[Start]:
    """One start for each slot that runs, one for each stretch that is skipped, in order."""
    if due.only is not None:
        whole = schedule.Stretch(first=due.only, last=due.only, count=1)
    else:
        whole = schedule.stretch(due.trigger.schedule, due.after, due.now)
    if whole is None:
        return []
    if due.hold is not None:
        return list(_skipped(due, ids, whole, due.hold.reason, due.hold.rule))
    if whole.count == 1 and due.now - whole.last <= due.fresh:
        return [_run(due, ids, whole.last, TriggerKind.CRON, None)]
    return list(_missed(due, ids, whole))


def _missed(due: Due, ids: Ids, whole: schedule.Stretch) -> Iterator[Start]:
    wanted = list(_wanted(due, whole))
    first_wanted = wanted[0] if wanted else None
    lost = whole if first_wanted is None else _before(due, whole, first_wanted, len(wanted))
    rule = f"catchUp {due.definition.automation.catch_up.policy} within {_within(due)}"
    if lost is not None:
        yield from _skipped(due, ids, lost, SkippedReason.MISSED, rule)
    for slot in wanted:
        reached = due.now - slot <= due.fresh
        kind = TriggerKind.CRON if reached else TriggerKind.CATCH_UP
        yield _run(due, ids, slot, kind, None if reached else rule)


def given_up(due: Due, ids: Ids, why: str) -> list[Start]:
    """All slots of a schedule that is no more and that nobody watched, as missed."""
    whole = schedule.stretch(due.trigger.schedule, due.after, due.now)
    if whole is None:
        return []
    if due.hold is not None:
        return list(_skipped(due, ids, whole, due.hold.reason, due.hold.rule))
    return list(_skipped(due, ids, whole, SkippedReason.MISSED, why))


def _wanted(due: Due, whole: schedule.Stretch) -> list[datetime]:
    """Slots that run, in order. A slot just reached always does."""
    catch_up = due.definition.automation.catch_up
    reached = [whole.last] if due.now - whole.last <= due.fresh else []
    if catch_up.policy is CatchUpPolicy.NONE:
        return reached
    oldest = due.now - catch_up.within
    if catch_up.policy is CatchUpPolicy.LAST:
        return [whole.last] if whole.last >= oldest else []
    after = max(due.after, oldest - timedelta(microseconds=1))
    return _newest(due, after)


def _newest(due: Due, after: datetime) -> list[datetime]:
    """As many of the slots after `after` as may wait at once: of more, the newest."""
    what, early, late = due.trigger.schedule, after, due.now
    if schedule.count_slots(what, after, due.now) > _CATCH_UP_AT_MOST:
        while late - early > timedelta(seconds=1):
            middle = early + (late - early) / 2
            if schedule.count_slots(what, middle, due.now) > _CATCH_UP_AT_MOST:
                early = middle
            else:
                late = middle
        after = late
    return schedule.slots(what, after, due.now, _CATCH_UP_AT_MOST)


def _before(
    due: Due, whole: schedule.Stretch, first_wanted: datetime, wanted: int
) -> schedule.Stretch | None:
    if first_wanted == whole.first:
        return None
    last = schedule.last_slot(
        due.trigger.schedule, due.after, first_wanted - timedelta(microseconds=1)
    )
    assert last is not None, "a stretch holds what lies between its ends"
    return schedule.Stretch(first=whole.first, last=last, count=whole.count - wanted)


def _within(due: Due) -> str:
    return schedule.duration(due.definition.automation.catch_up.within)


def _run(due: Due, ids: Ids, slot: datetime, kind: TriggerKind, rule: str | None) -> Start:
    limits = due.definition.automation.limits
    return Start(
        run_id=ids.run(),
        automation=due.definition.automation.name,
        title=due.definition.automation.title,
        trigger=kind,
        definition=due.definition.hash,
        created_at=due.now,
        concurrency=limits.concurrency,
        on_limit=limits.over(kind),
        starts_per_hour=limits.starts_per_hour,
        payload={"scheduled_at": iso(slot)},
        requester=due.definition.automation.run_as,
        scheduled_for=slot,
        schedule_key=due.trigger.key,
        door="cron",
        rule=rule,
    )


def _skipped(
    due: Due, ids: Ids, lost: schedule.Stretch, reason: SkippedReason, rule: str
) -> Iterator[Start]:
    for each in _untaken(due, lost):
        yield _skip(due, ids, each, reason, rule)


def _untaken(due: Due, lost: schedule.Stretch) -> Iterator[schedule.Stretch]:
    """The parts of a stretch between those of its slots that stand on record: what a clock
    that was ahead ruled on has its row."""
    what, instant = due.trigger.schedule, timedelta(microseconds=1)
    inside = [each for each in due.taken if lost.first <= each <= lost.last]
    edges = [each for each in inside if schedule.last_slot(what, each - instant, each) == each]
    if not edges:
        yield lost
        return
    after = lost.first - instant
    for edge in (*edges, lost.last + instant):
        part = schedule.stretch(what, after, edge - instant)
        if part is not None:
            yield part
        after = edge


def _skip(due: Due, ids: Ids, lost: schedule.Stretch, reason: SkippedReason, rule: str) -> Start:
    limits = due.definition.automation.limits
    return Start(
        run_id=ids.run(),
        automation=due.definition.automation.name,
        title=due.definition.automation.title,
        trigger=TriggerKind.CRON,
        definition=due.definition.hash,
        created_at=due.now,
        concurrency=limits.concurrency,
        on_limit=limits.over(TriggerKind.CRON),
        scheduled_for=lost.first,
        scheduled_until=lost.last if lost.count > 1 else None,
        schedule_key=due.trigger.key,
        count=lost.count,
        door="cron",
        skip=reason,
        rule=rule,
    )
