"""One schedule as the scheduler holds it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from amodal_rt.domain import schedule
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.run import Start
from amodal_rt.domain.trigger import CronTrigger

FRESH = timedelta(seconds=60)
"""A slot that is no older has been reached, not missed: schedules are at least this far apart."""

Key = tuple[str, str]
"""The automation's stem and the trigger's key."""


@dataclass(slots=True, eq=False)
class Armed:
    """One schedule. Slots up to `ruled` are on record; `next_at` is the first after it, and
    `following` the one after that. `late`: nobody watched when it fell due."""

    definition: Definition
    trigger: CronTrigger
    ruled: datetime
    next_at: datetime | None
    following: datetime | None
    late: bool
    beside: str | None = None
    """The fingerprint that stands on record in this one's place, where another node's files
    differ: this node goes on with its own."""

    @property
    def key(self) -> Key:
        """What names it."""
        return self.definition.automation.name, self.trigger.key

    @property
    def fingerprint(self) -> str:
        """What tells it from any other schedule."""
        return schedule.fingerprint(self.trigger.schedule)

    def is_behind(self, now: datetime) -> bool:
        """Whether what is due now should have been ruled on some time ago."""
        if self.late or (self.following is not None and self.following <= now):
            return True
        return self.next_at is not None and now - self.next_at > FRESH

    def step_on(self, ruled: datetime) -> None:
        """Slots up to `ruled` are on record, at least the next one: nearly always that alone."""
        if self.following is not None and self.following <= ruled:
            self.go_on_after(ruled)
            return
        what = self.trigger.schedule
        self.ruled, self.next_at = ruled, self.following
        self.following = schedule.first_after(what, self.next_at) if self.next_at else None

    def go_on_after(self, ruled: datetime) -> None:
        """Slots up to `ruled` are on record."""
        what = self.trigger.schedule
        self.ruled = ruled
        self.next_at = schedule.first_after(what, ruled)
        self.following = schedule.first_after(what, self.next_at) if self.next_at else None


Asked = tuple[Armed, list[Start]]
"""A schedule with the starts that it wants, in the order of their slots."""


def first_slot(starts: list[Start]) -> datetime:
    """The first slot of a schedule's starts."""
    slot = starts[0].scheduled_for
    assert slot is not None, "a schedule's start has a slot"
    return slot


def last_slot(starts: list[Start]) -> datetime:
    """The last slot of a schedule's starts."""
    slot = starts[-1].scheduled_until or starts[-1].scheduled_for
    assert slot is not None, "a schedule's start has a slot"
    return slot
