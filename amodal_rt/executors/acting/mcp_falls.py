"""How long to wait before a server that keeps ending is started again."""

from dataclasses import dataclass

from amodal_rt.clock import Clock

STEADY_SECONDS = 60.0
"""A server that lived so long is started again at once."""
LONGEST_SECONDS = 60.0

_FORGIVEN = 2

_Place = tuple[str, int]


@dataclass(slots=True)
class _Fall:
    key: str
    count: int
    again_at: float


class Falls:
    """Ends of servers, by where they stand. Two are forgiven; then runs wait 2, 4 … 60 s."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._falls: dict[_Place, _Fall] = {}
        self._began: dict[_Place, float] = {}

    def begin(self, place: _Place) -> None:
        """A server was started there."""
        self._began[place] = self._clock.monotonic()

    def note(self, place: _Place, key: str) -> None:
        """It ended, or could not be started."""
        now = self._clock.monotonic()
        began = self._began.pop(place, now)
        before = self._falls.get(place)
        steady = before is None or before.key != key or now - began >= STEADY_SECONDS
        count = 1 if steady or before is None else before.count + 1
        pause = 0.0 if count <= _FORGIVEN else min(LONGEST_SECONDS, 2.0 ** (count - _FORGIVEN))
        self._falls[place] = _Fall(key, count, now + pause)

    def patience(self, place: _Place, key: str) -> float:
        """Seconds until it may be started again; none for another server than the one that fell."""
        fall = self._falls.get(place)
        if fall is None or fall.key != key:
            return 0.0
        return max(0.0, fall.again_at - self._clock.monotonic())
