"""What is to come, how it went lately, and what wants a person's attention."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from amodal_rt.clock import Clock
from amodal_rt.domain import schedule
from amodal_rt.domain.delivery import DeliveryStatus
from amodal_rt.domain.parked import ParkedStatus
from amodal_rt.domain.run import PendingReason, RunStatus
from amodal_rt.operations.automation_shapes import Standing
from amodal_rt.operations.automations import Automations
from amodal_rt.operations.managing import Managing
from amodal_rt.operations.run_pages import Wish
from amodal_rt.ports import Caller, Ledger, ParkedFilter, RunFilter

AHEAD = timedelta(hours=24)
MOST_FIRES = 24
"""So many instants are told one by one; of more, the first, the last and their number."""
MOST_ENDS = 20
"""How many ended runs a success rate speaks of."""
MOST_COUNTED = 100
_YEAR = timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fires:
    """When an automation is due between two instants. `times` is empty where `count` is more than
    `MOST_FIRES`; `first` and `last` are None where `count` is 0."""

    count: int = 0
    times: Sequence[datetime] = ()
    first: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """One automation with what is to come after `since`; `ends` are its newest runs that completed
    or failed, newest first."""

    standing: Standing
    since: datetime
    fires: Fires
    ends: Sequence[RunStatus]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospects:
    """One page of them, by name; cursors as of `AutomationPage`."""

    rows: Sequence[Prospect]
    before: str | None
    after: str | None
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """How many there are of each, counted up to `MOST_COUNTED`."""

    running: int
    waiting: int
    approvals: int
    dead: int


class Outlook:
    """Answers from the files and the ledger."""

    def __init__(
        self, managing: Managing, automations: Automations, ledger: Ledger, *, clock: Clock
    ) -> None:
        self._managing = managing
        self._automations = automations
        self._ledger = ledger
        self._clock = clock

    async def page(self, caller: Caller, wish: Wish) -> Prospects:
        """One page of all automations. Raises InvalidError (`bad_cursor`)."""
        page = await self._managing.page(caller, wish, type=None, status=None)
        return Prospects(
            rows=await self._prospects(page.standings),
            before=page.before,
            after=page.after,
            more=page.more,
        )

    async def show(self, caller: Caller, name: str) -> Prospect:
        """One. Raises NotFoundError."""
        standing = await self._automations.standing(name)
        (found,) = await self._prospects([standing])
        return found

    def next_times(self, standing: Standing, count: int) -> list[datetime]:
        """The next instants within a year at which it is due, as it stands."""
        definition = standing.state.definition
        if definition is None or standing.next_run_at is None:
            return []
        now = self._clock.now()
        found = {
            time
            for each in definition.automation.crons
            for time in schedule.slots(each.schedule, now, now + _YEAR, count)
        }
        return sorted(found)[:count]

    async def attention(self, caller: Caller) -> Attention:
        """What runs, waits and went wrong."""
        approval = PendingReason.AWAITING_APPROVAL.value
        most = MOST_COUNTED
        dead = await self._ledger.list_messages(limit=most, status=DeliveryStatus.DEAD)
        return Attention(
            running=await self._count(RunFilter(status=RunStatus.RUNNING, limit=most)),
            waiting=await self._count(RunFilter(status=RunStatus.PENDING, limit=most)),
            approvals=await self._count(
                RunFilter(status=RunStatus.PENDING, reason=approval, limit=most)
            )
            + len(await self._ledger.list_parked(ParkedFilter(statuses={ParkedStatus.OPEN}))),
            dead=len(dead),
        )

    async def _count(self, wanted: RunFilter) -> int:
        return len(await self._ledger.list_runs(wanted))

    async def _prospects(self, standings: Sequence[Standing]) -> list[Prospect]:
        now = self._clock.now()
        names = [each.state.name for each in standings]
        ends = await self._ledger.recent_ends(names, limit=MOST_ENDS)
        rows: list[Prospect] = []
        for each in standings:
            fires = fires_of(each, after=now, until=now + AHEAD)
            rows.append(
                Prospect(standing=each, since=now, fires=fires, ends=ends.get(each.state.name, ()))
            )
            # An automation may have many schedules, and a webhook must not wait for all of them.
            await self._clock.sleep(0)
        return rows


def fires_of(standing: Standing, *, after: datetime, until: datetime) -> Fires:
    """When it is due in `after < t <= until`, as it stands: never while nothing of it starts."""
    definition = standing.state.definition
    if definition is None or standing.next_run_at is None:
        return Fires()
    schedules = [each.schedule for each in definition.automation.crons]
    count = sum(schedule.count_slots(each, after, until) for each in schedules)
    if not count:
        return Fires()
    if count <= MOST_FIRES:
        found = {
            time for each in schedules for time in schedule.slots(each, after, until, MOST_FIRES)
        }
        times = sorted(found)
        return Fires(count=len(times), times=times, first=times[0], last=times[-1])
    lasts = (schedule.last_slot(each, after, until) for each in schedules)
    firsts = (schedule.slots(each, after, until, 1) for each in schedules)
    return Fires(
        count=count,
        first=min(each[0] for each in firsts if each),
        last=max(each for each in lasts if each is not None),
    )
