"""When an automation runs next."""

from datetime import datetime

from amodal_rt.clock import Clock
from amodal_rt.domain import schedule
from amodal_rt.domain.automation import Definition

_KEPT = 50_000


class Upcoming:
    """The next instant of each schedule, computed once and kept until it has passed.

    A list of a thousand automations asks for a thousand of them, many times in one minute.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[datetime, datetime | None]] = {}

    def next_run_at(self, definition: Definition) -> datetime | None:
        """The earliest due instant of its schedules, or None."""
        now = self._clock.now()
        times = (self._next(definition, each.key, now) for each in definition.automation.crons)
        return min((time for time in times if time is not None), default=None)

    def _next(self, definition: Definition, key: str, now: datetime) -> datetime | None:
        known = self._known.get((definition.hash, key))
        # A clock that was set back makes instants due again that the answer has left behind.
        if known and known[0] <= now and (known[1] is None or now < known[1]):
            return known[1]
        if len(self._known) >= _KEPT:
            self._known.clear()
        found = next(each for each in definition.automation.crons if each.key == key)
        time = schedule.first_after(found.schedule, now)
        self._known[definition.hash, key] = (now, time)
        return time
