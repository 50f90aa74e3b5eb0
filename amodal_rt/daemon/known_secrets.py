"""The secret values of this moment, for masking."""

from collections.abc import Callable, Iterable

from amodal_rt.clock import Clock
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.ports import Catalogue
from amodal_rt.settings import Environment

FRESH_SECONDS = 5.0
"""A secret may stand in a file that its variable names, and such a file changes unseen."""


class KnownSecrets:
    """Asked at every masked text, so what it found is kept until something may have changed."""

    def __init__(
        self,
        catalogue: Catalogue,
        find: Callable[[Snapshot, Environment], Iterable[str]],
        own: Iterable[str],
        clock: Clock,
    ) -> None:
        self._catalogue = catalogue
        self._find = find
        self._own = tuple(own)
        self._clock = clock
        self._seen: tuple[Snapshot, Environment] | None = None
        self._until = 0.0
        self._values: tuple[str, ...] = ()

    def __call__(self) -> tuple[str, ...]:
        snapshot, environment = self._catalogue.snapshot(), self._catalogue.environment()
        seen, now = self._seen, self._clock.monotonic()
        same = seen and seen[0] is snapshot and seen[1] is environment
        if not same or now >= self._until:
            self._values = (*self._own, *self._find(snapshot, environment))
            self._seen, self._until = (snapshot, environment), now + FRESH_SECONDS
        return self._values
