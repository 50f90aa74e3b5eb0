"""What became of any slot or event, past or to come, and which rule decided."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from amodal_rt.clock import Clock, iso
from amodal_rt.domain import schedule
from amodal_rt.domain.automation import Definition, Lifecycle
from amodal_rt.domain.event import Event, Rejection
from amodal_rt.domain.run import Run, SkippedReason
from amodal_rt.domain.trigger import CronTrigger
from amodal_rt.domain.workspace import AutomationState
from amodal_rt.errors import InvalidError, NotFoundError
from amodal_rt.ids import drawn_at
from amodal_rt.operations import asked, shapes
from amodal_rt.operations.facts import KnownFacts
from amodal_rt.operations.queued import Queued
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import (
    DEDUP_RETENTION,
    Caller,
    Catalogue,
    EventRecord,
    Ledger,
    ModelPacing,
    RunFilter,
    ScheduleState,
    Versions,
)
from amodal_rt.triggers.explaining import (
    OWN_WEBHOOK,
    in_words,
    is_of_own_run,
    try_conditions,
)
from amodal_rt.triggers.holds import hold_on

NEAR = timedelta(seconds=30)
"""How far from the instant that was asked about a refused request is still told of."""
_TICK = timedelta(microseconds=1)
_YEARS = timedelta(days=366 * 8)
_MOST_REJECTIONS = 1000
_OUR_ID = re.compile(r"(run|evt)_[0-9a-z]{16}")


class Why:
    """Answers from the ledger; where it has no row, from the files and the schedule's own rules.

    Rows without a run say what they are in `status`: `due`, `no_slot`, `not_counted`,
    `undecided`, `forgotten`, `unrecorded`, `not_addressed`, `not_matched`, `rejected`.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        ledger: Ledger,
        facts: KnownFacts,
        *,
        clock: Clock,
        versions: Versions | None = None,
    ) -> None:
        self._versions = versions
        self._catalogue = catalogue
        self._ledger = ledger
        self._facts = facts
        self._clock = clock
        self._queued = Queued(catalogue, ledger, clock=clock)

    def pace_with(self, pacing: ModelPacing) -> None:
        """From now on, say what waits for a model's provider."""
        self._queued.pacing = pacing

    async def explain(
        self, caller: Caller, automation: str, *, at: str | None = None, limit: int = 20
    ) -> list[Document]:
        """The latest rulings, newest first; or all that is known `at` an instant (ISO time, or
        `24h` for a day ago), of an event, of a run, or of what a sender calls a delivery.

        Raises NotFoundError (`nothing_known`) for an id that nobody has on record, InvalidError
        (`bad_instant`) for a text that is no instant and no delivery's name.
        """
        if not at:
            wanted = RunFilter(automation=automation, limit=limit)
            return await self._rulings(await self._ledger.list_runs(wanted))
        if _OUR_ID.fullmatch(at):
            return await self._of_id(automation, at)
        try:
            instant = asked.instant(at, now=self._clock.now())
        except InvalidError as error:
            return await self._of_delivery(automation, at, error)
        assert instant is not None, "something was asked"
        return await self._of_instant(automation, instant, limit)

    async def _of_id(self, automation: str, id: str) -> list[Document]:
        if id.startswith("run_"):
            found = await self._ledger.find_run(id)
            if found is not None and found.automation == automation:
                return await self._rulings([found])
        else:
            event = await self._ledger.find_event(id)
            if event is not None:
                return await self._of_events(automation, [event])
        kept = self._kept()
        if self._is_past(id, kept):
            rule = f"older than limits.history {schedule.duration(kept)}: no row of it is kept"
            event = id if id.startswith("evt_") else None
            return [_row("forgotten", rule, event_id=event)]
        raise _unknown(automation, id)

    async def _rulings(self, runs: Sequence[Run]) -> list[Document]:
        waits = await self._queued.waits(runs)
        return [shapes.ruling(each, waits.get(each.run_id)) for each in runs]

    def _kept(self) -> timedelta:
        return self._catalogue.snapshot().settings.limits.history

    def _is_past(self, id: str, kept: timedelta) -> bool:
        """Whether an id was drawn before everything that is still on record."""
        try:
            return drawn_at(id) < self._clock.now() - kept
        except ValueError:
            return False

    async def _of_delivery(self, automation: str, name: str, error: InvalidError) -> list[Document]:
        events = await self._ledger.list_events(limit=10, automation=automation, delivery_id=name)
        # One that started nothing of it is not among its own: an integration has many to start.
        events = events or await self._ledger.list_events(limit=10, delivery_id=name)
        if not events:
            raise error
        return await self._of_events(automation, events)

    async def _of_events(self, automation: str, events: Sequence[EventRecord]) -> list[Document]:
        rows: list[Document] = []
        for each in events:
            wanted = RunFilter(automation=automation, event_id=each.event.id, limit=10)
            found = await self._ledger.list_runs(wanted)
            rulings = await self._rulings(found)
            rows += [{**row, "rule": row["rule"] or _first(each)} for row in rulings]
            if not found:
                rows.append(self._unmatched(automation, each.event))
        return rows

    def _unmatched(self, automation: str, event: Event) -> Document:
        """Why an event started nothing of the automation, by the files of now."""
        if event.address is not None:
            rule = f"it was addressed to {', '.join(event.addressees)}"
            return _row("not_addressed", rule, event_id=event.id)
        snapshot = self._catalogue.snapshot()
        state = snapshot.automations.get(automation)
        definition = state.definition if state else None
        if definition is None:
            rule = f"there is no version of {automation} that can be read"
            return _row("not_matched", rule, event_id=event.id)
        # Its own URL was not used: the event came over the bus.
        tried = [
            each
            for each in try_conditions(definition, event, snapshot)
            if each.event != OWN_WEBHOOK
        ]
        rule = in_words(definition, tried)
        if any(each.passes for each in tried):
            rule = f"it would match by the file as it is now, and did not then: {rule}"
        reason = SkippedReason.OWN_EVENT if is_of_own_run(definition, event) else None
        return _row("not_matched", rule, event_id=event.id, reason=reason, definition=definition)

    async def _of_instant(self, automation: str, instant: datetime, limit: int) -> list[Document]:
        runs = await self._ledger.list_runs(
            RunFilter(automation=automation, at=instant, limit=limit)
        )
        state = self._catalogue.snapshot().automations.get(automation)
        told = await self._of_slot(automation, state, instant, runs)
        rejections = await self._ledger.list_rejections(limit=_MOST_REJECTIONS)
        near = [
            _rejected(each)
            for each in rejections
            if each.automation == automation and abs(each.at - instant) <= NEAR
        ]
        return ([told] if told else []) + await self._rulings(runs) + near

    async def _of_slot(
        self,
        automation: str,
        state: AutomationState | None,
        instant: datetime,
        runs: Sequence[Run],
    ) -> Document | None:
        """What to say of the instant beside the runs on record; None where they say it all."""
        if any(run.scheduled_for == instant for run in runs):
            return None
        definition = state.definition if state else None
        crons = definition.automation.crons if definition else ()
        if state is None or definition is None or not crons:
            return None if runs else _row("no_slot", _no_schedule(automation, state))
        slot = next((each for each in crons if _is_slot(each, instant)), None)
        stretched = any(_covers(run, instant) for run in runs)
        if slot is None:
            if runs and not stretched:
                return None
            if await self._was_slot(runs, instant):
                return None
            return _row("no_slot", _nearest(crons, instant), definition=definition)
        if stretched:
            return None
        states = await self._ledger.schedule_states()
        mine = (each for each in states if (each.automation, each.key) == (automation, slot.key))
        status, reason, rule = self._ruling(state, definition, instant, next(mine, None))
        return _row(status, rule, at=instant, reason=reason, definition=definition)

    async def _was_slot(self, runs: Sequence[Run], instant: datetime) -> bool:
        """Whether the instant was a slot of a version that a stretch on record names."""
        if self._versions is None:
            return False
        for run in runs:
            if _covers(run, instant):
                for version in await self._versions.versions(run.automation):
                    if version.hash == run.definition:
                        return any(_is_slot(each, instant) for each in version.automation.crons)
        return False

    def _ruling(
        self,
        state: AutomationState,
        definition: Definition,
        slot: datetime,
        noted: ScheduleState | None,
    ) -> tuple[str, str | None, str]:
        """Status, reason and rule of a slot that no row is about."""
        now = self._clock.now()
        if slot > now:
            return self._to_come(state, definition, slot - now)
        if noted is None:
            return "not_counted", None, _never_counted(definition)
        if slot <= noted.counted_from:
            since = iso(noted.counted_from)
            rule = f"slots count from {since}, when this schedule was first loaded or activated"
            return "not_counted", None, rule
        if noted.last_slot is None or slot > noted.last_slot:
            return "undecided", None, _undecided(definition)
        kept = self._kept()
        if slot < now - kept:
            rule = f"older than limits.history {schedule.duration(kept)}: its row is no longer kept"
            return "forgotten", None, rule
        return "unrecorded", None, "it was ruled on, and no row of it is there: that is a defect"

    def _to_come(
        self, state: AutomationState, definition: Definition, left: timedelta
    ) -> tuple[str, str | None, str]:
        due = f"due in {_roughly(left)}"
        if state.blocked:
            return "due", "invalid", f"{due}; it could not run: {state.blocked[0].sentence()}"
        if definition.automation.status is Lifecycle.DRAFT:
            rule = f"status draft in {definition.place('/status')}: its schedule does not count"
            return "not_counted", "draft", rule
        facts = self._facts.of(definition.automation.name)
        hold = hold_on(definition, facts, self._catalogue.snapshot().identities)
        if hold:
            rule = f"{due}; it would be skipped as it stands: {hold.rule}"
            return "due", hold.reason.value, rule
        return "due", None, due


def _row(
    status: str,
    rule: str,
    *,
    at: datetime | None = None,
    event_id: str | None = None,
    reason: str | None = None,
    definition: Definition | None = None,
) -> Document:
    return {
        "scheduled_for": iso(at),
        "scheduled_until": None,
        "count": 1,
        "event_id": event_id,
        "run_id": None,
        "status": status,
        "reason": reason,
        "rule": rule,
        "definition": definition.hash if definition else None,
        "waits_for": None,
    }


def _rejected(found: Rejection) -> Document:
    return _row("rejected", f"a request was refused at {iso(found.at)}", reason=found.reason)


def _first(record: EventRecord) -> str | None:
    """What a second delivery of the event is answered."""
    event = record.event
    if event.delivery_id is None:
        return None
    until = iso(event.received_at + DEDUP_RETENTION)
    return f"the first delivery called so; until {until} the same one again starts nothing"


def _is_slot(trigger: CronTrigger, instant: datetime) -> bool:
    return schedule.first_after(trigger.schedule, instant - _TICK) == instant


def _covers(run: Run, instant: datetime) -> bool:
    first, last = run.scheduled_for, run.scheduled_until
    return first is not None and last is not None and first <= instant <= last


def _nearest(crons: Sequence[CronTrigger], instant: datetime) -> str:
    before = [
        found
        for each in crons
        if (found := schedule.last_slot(each.schedule, instant - _YEARS, instant)) is not None
    ]
    after = [found for each in crons if (found := schedule.first_after(each.schedule, instant))]
    near = [iso(max(before))] if before else []
    near += [iso(min(after))] if after else []
    told = "; ".join(
        f"{schedule.describe(each.schedule)} {each.schedule.timezone}" for each in crons
    )
    nearest = f"the nearest: {' and '.join(map(str, near))}" if near else "it has none"
    return f"{iso(instant)} is no slot of {told}; {nearest}"


def _no_schedule(automation: str, state: AutomationState | None) -> str:
    if state is None:
        return f"there is no file of {automation} any more"
    if state.definition is None:
        return f"no version of {automation} can be read"
    kinds = " and ".join(each.kind.value for each in state.definition.automation.triggers)
    return f"{automation} has no schedule: it starts by {kinds}"


def _never_counted(definition: Definition) -> str:
    if definition.automation.status is Lifecycle.DRAFT:
        return f"status draft in {definition.place('/status')}: its schedule does not count"
    return "the schedule has not been loaded yet"


def _undecided(definition: Definition) -> str:
    policy = definition.automation.catch_up
    within = schedule.duration(policy.within)
    return (
        "nobody has ruled on it yet, as while the daemon or its database is away; "
        f"catchUp {policy.policy} within {within} will"
    )


def _roughly(left: timedelta) -> str:
    """`3d`, `5h`, `12m` or `40s`: the largest unit that fits, rounded down."""
    seconds = max(int(left.total_seconds()), 0)
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _unknown(automation: str, id: str) -> NotFoundError:
    return NotFoundError(
        f"nothing called {id!r} is on record for {automation}",
        code="nothing_known",
        hint="what is older than its retention is gone",
    )
