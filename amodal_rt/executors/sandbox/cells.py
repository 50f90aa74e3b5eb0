"""The control groups of this daemon's sandboxes, from the first to the last of them."""

import sys

from amodal_rt.clock import Clock
from amodal_rt.domain.profile import Bounds
from amodal_rt.errors import UnavailableError
from amodal_rt.executors.sandbox.cgroups import Cell, Cgroups, find_cgroups
from amodal_rt.ids import Ids

_TRIES = 50
_PAUSE_SECONDS = 0.01


class Cells:
    """Makes one for each sandbox and takes it away; there are none where this machine gives this
    daemon no control groups."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids
        self._groups: Cgroups | None = None
        self._looked = False
        self._left: list[Cell] = []

    def tidy(self) -> None:
        """Look where groups can be made, once, and end what a daemon before this one left."""
        if self._looked:
            return
        self._looked = True
        self._groups = find_cgroups() if sys.platform == "linux" else None
        if self._groups is not None:
            self._left += self._groups.find_left()
            for each in self._left:
                each.kill()

    def make(self, bounds: Bounds) -> Cell | None:
        """A cell with these bounds; None where there are no groups. Raises UnavailableError
        (`sandbox_unavailable`) where one cannot be made."""
        self.tidy()
        self._left = [each for each in self._left if not _ended(each)]
        if self._groups is None:
            return None
        try:
            return self._groups.make(self._ids.token(), bounds)
        except OSError as error:
            raise UnavailableError(
                f"the sandbox cannot be had: no control group can be made: {error.strerror}",
                code="sandbox_unavailable",
                hint="docs/how-to/run-a-command.md says what it needs of the machine",
            ) from error

    async def leave(self, cell: Cell | None) -> None:
        """Take its groups away; one whose last process is still on its way out, later."""
        for _ in range(_TRIES):
            if cell is None or cell.remove():
                return
            await self._clock.sleep(_PAUSE_SECONDS)
        if cell is not None:
            self._left.append(cell)


def _ended(cell: Cell) -> bool:
    """Whether nothing of it is left. What was born while its parent was being killed is killed
    with the next look."""
    if cell.remove():
        return True
    cell.kill()
    return False
