"""Starts made before their instant, where ten thousand would be wanted at it."""

from datetime import datetime, timedelta

from amodal_rt.domain.run import Start
from amodal_rt.triggers.arming import Armed, Key

MANY = 500
"""From so many schedules that share an instant on, their starts are made ahead of it."""
LEAD = timedelta(seconds=2)
"""How long before."""


class Readying:
    """What was made for the next instant."""

    def __init__(self) -> None:
        self._at: datetime | None = None
        self._made: dict[Key, tuple[Armed, object, object, list[Start]]] = {}

    def wake_at(self, at: datetime, sharing: int) -> datetime:
        """When to wake for the `sharing` schedules that are due at `at`: earlier, where there is
        much to make."""
        return at - LEAD if sharing >= MANY and self._at != at else at

    def is_due(self, at: datetime, sharing: int, now: datetime) -> bool:
        """Whether the starts for `at` should be made now."""
        return at > now and self.wake_at(at, sharing) <= now

    def begin(self, at: datetime) -> None:
        """Make room for the starts of `at`; what was made for another instant goes."""
        self._at = at
        self._made = {}

    def keep(self, armed: Armed, facts: object, starts: list[Start]) -> None:
        """Remember what was made of `armed` as it stands, under `facts`."""
        self._made[armed.key] = (armed, armed.definition, facts, starts)

    def take(self, armed: Armed, facts: object, now: datetime) -> list[Start] | None:
        """What was made, if all that it was made of still stands and its instant is now."""
        made = self._made.pop(armed.key, None)
        if made is None or armed.next_at != self._at or armed.next_at is None:
            return None
        same = made[0] is armed and made[1] is armed.definition and made[2] is facts
        return made[3] if same and now - armed.next_at < LEAD else None
