"""When a file that is not there any more is believed to be deleted.

A deletion ends what waits, forgets schedules and turns senders away, for good. A file that an
editor or a deployment puts back a moment later must cost none of it, and neither must a folder
whose volume is not mounted just now.
"""

from collections.abc import Collection

from amodal_rt.workspace.parsing import stem
from amodal_rt.workspace.reading import AUTOMATIONS, Scan

GRACE_SECONDS = 10.0
"""How long a file is missing before it counts as deleted."""


class Vanishing:
    """Follows which automations have lost their file.

    `missing` says why none of the files can be seen, or is None: while it says so, nothing
    is believed to be deleted.
    """

    def __init__(self) -> None:
        self.missing: str | None = None
        self._since: dict[str, float] = {}
        self._folder: tuple[int, int] | None = None
        self._deleted: set[str] = set()

    def believe(self, name: str) -> None:
        """Its file was deleted on purpose, by us: nothing is waited for."""
        self._deleted.add(name)

    def look(self, held: Collection[str], found: Scan) -> frozenset[str]:
        """Those of `held`, the automations known so far, that have no file now."""
        there = {stem(file) for file in found.singles[AUTOMATIONS]}
        lost = frozenset(held) - there
        self._deleted &= lost
        unexplained = lost - self._deleted
        self.missing = self._why(lost, found) if unexplained and not there else None
        if there:
            self._folder = found.listed.get(AUTOMATIONS)
        return lost

    def kept(
        self, lost: frozenset[str], *, renamed: frozenset[str], elapsed: float | None
    ) -> frozenset[str]:
        """Those of `lost` that go on as they were. `elapsed` is monotonic, and None at the
        first look: what was deleted before that is believed."""
        since, self._since = self._since, {}
        if self.missing:
            return lost - self._deleted
        if elapsed is None:
            return frozenset()
        for name in lost - renamed - self._deleted:
            began = since.get(name, elapsed)
            if elapsed - began < GRACE_SECONDS:
                self._since[name] = began
        return frozenset(self._since)

    def _why(self, lost: frozenset[str], found: Scan) -> str | None:
        if AUTOMATIONS not in found.listed:
            unreadable = any(each.file == AUTOMATIONS for each in found.problems)
            return "cannot be read" if unreadable else "is missing"
        # One file alone may be deleted like any other, but not by another folder in its place:
        # an empty mount point is one.
        swapped = self._folder is not None and found.listed[AUTOMATIONS] != self._folder
        return "holds no automation any more" if swapped or len(lost) > 1 else None
