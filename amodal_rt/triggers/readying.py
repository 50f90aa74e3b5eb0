"""Starts made before their instant, where ten thousand would be wanted at it."""

from collections import Counter
from datetime import datetime, timedelta

from amodal_rt.domain.run import Start
from amodal_rt.triggers.arming import Armed, Key

MANY = 500
"""From so many schedules that share an instant on, their starts are made ahead of it."""
LEAD = timedelta(seconds=2)
"""How long before."""


class Readying:
    """What is known of instants to come: how many share each, and what was made for the next."""

    def __init__(self) -> None:
        self._shared = Counter[datetime]()
        self._at: datetime | None = None
        self._made: dict[Key, tuple[Armed, object, object, list[Start]]] = {}

    def expect(self, at: datetime) -> None:
        """One more schedule is due at `at`."""
        self._shared[at] += 1

    def forget(self, at: datetime) -> None:
        """One schedule less is due at `at`."""
        self._shared[at] -= 1
        if self._shared[at] <= 0:
            del self._shared[at]

    def wake_at(self, at: datetime) -> datetime:
        """When to wake for what is due at `at`: earlier, where there is much to make."""
        return at - LEAD if self._shared[at] >= MANY and self._at != at else at

    def is_due(self, at: datetime, now: datetime) -> bool:
        """Whether the starts for `at` should be made now."""
        return at > now and self.wake_at(at) <= now

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
