"""One schedule as the scheduler holds it."""

from dataclasses import dataclass
from datetime import datetime

from amodal_rt.domain.automation import Definition
from amodal_rt.domain.trigger import CronTrigger

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

    @property
    def key(self) -> Key:
        """What names it."""
        return self.definition.automation.name, self.trigger.key
