"""How often somebody may fail to sign in."""

from collections import deque

from amodal_rt.clock import Clock
from amodal_rt.errors import DeniedError

MOST = 20
"""Failures of one address within `SECONDS`. A secret has 160 random bits: this bounds work and
noise, and leaves whoever sits behind the same proxy in peace."""
SECONDS = 60.0
_MOST_ADDRESSES = 1024


class Tries:
    """Failures by address; of very many addresses, the oldest are forgotten."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: dict[str, deque[float]] = {}

    def require_room(self, address: str) -> None:
        """Raise DeniedError (`too_many_tries`) where the address failed too often lately."""
        found = self._failures.get(address)
        while found and found[0] <= self._clock.monotonic() - SECONDS:
            found.popleft()
        if found and len(found) >= MOST:
            raise DeniedError(
                "too many tries to sign in", code="too_many_tries", hint="wait a minute"
            )

    def failed(self, address: str) -> None:
        """Count one more."""
        found = self._failures.pop(address, None) or deque(maxlen=MOST)
        found.append(self._clock.monotonic())
        while len(self._failures) >= _MOST_ADDRESSES:
            del self._failures[next(iter(self._failures))]
        self._failures[address] = found
