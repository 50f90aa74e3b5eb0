"""What is due when, by instants: ten thousand schedules often share one."""

import heapq
from collections.abc import Sequence
from datetime import datetime

from amodal_rt.triggers.arming import Key


class Agenda:
    """Which schedules wait for which instant.

    One that changes leaves its entry behind: whoever takes it asks whether the schedule still
    waits for that instant.
    """

    def __init__(self) -> None:
        # Instants alone, each once: popped one by one, ten thousand entries that share their
        # instant would be sorted at the very moment that all of them are late.
        self._instants: list[datetime] = []
        self._keys: dict[datetime, list[Key]] = {}

    @property
    def first(self) -> datetime | None:
        """The earliest instant that any waits for."""
        return self._instants[0] if self._instants else None

    def put(self, at: datetime, key: Key) -> None:
        """Have the schedule wait for `at`, behind those that do already."""
        waiting = self._keys.get(at)
        if waiting is None:
            heapq.heappush(self._instants, at)
            self._keys[at] = [key]
        else:
            waiting.append(key)

    def waiting_for(self, at: datetime) -> Sequence[Key]:
        """Who waits for just that instant, in the order of `put`."""
        return self._keys.get(at, ())

    def take(self, until: datetime) -> list[tuple[datetime, Sequence[Key]]]:
        """Take out all that wait for an instant up to `until`, in the order of time."""
        taken: list[tuple[datetime, Sequence[Key]]] = []
        while self._instants and self._instants[0] <= until:
            at = heapq.heappop(self._instants)
            taken.append((at, self._keys.pop(at)))
        return taken
