"""One chain followed from row to row, and what does not fit."""

from collections.abc import Callable
from dataclasses import dataclass, field

from amodal_rt.domain.chain import Link, Misfit, linked

BEFORE_ALL = -(2**62)
"""No row has a lower number, whoever wrote it."""

_SHOWN = 20
"""Misfits that are named; all of them are counted."""


@dataclass(slots=True)
class Tally:
    """What was met so far."""

    entries: int = 0
    sealed: int = 0
    deliveries: int = 0
    forgotten: int = 0
    open_runs: int = 0
    trail_before: int = 0
    runs_before: int = 0
    old_runs: int = 0
    """Runs up to this number are older than the chain."""
    wrong: int = 0
    misfits: list[Misfit] = field(default_factory=list[Misfit])

    def miss(self, table: str, id: str | int, what: str, run_id: str | None = None) -> None:
        """Count a row that does not fit."""
        self.wrong += 1
        if len(self.misfits) < _SHOWN:
            self.misfits.append(Misfit(table=table, id=str(id), run_id=run_id, what=what))


class Chain:
    """The rows of `table`, one after another, up to and past the one that was `kept`."""

    def __init__(self, tally: Tally, table: str, kept: Link) -> None:
        self._tally = tally
        self._table = table
        self._kept = kept
        self.last = Link()
        """The row that was met last."""

    def follow(
        self,
        here: Link,
        content: str,
        *,
        id: str | int,
        run_id: str | None = None,
        may_begin: Callable[[int], bool] = lambda _: False,
    ) -> None:
        """Go on to the next row. `may_begin` says of a place that what stood before it was let go
        of on record."""
        due = self.last.place + 1
        if here.place == due:
            if linked(self.last.digest, content) != here.digest:
                what = "its digest does not fit: it was changed, or the row before it"
                self._tally.miss(self._table, id, what, run_id)
        elif here.place < due:
            what = f"it has the place {here.place} in the chain, which another has"
            self._tally.miss(self._table, id, what, run_id)
        elif not may_begin(here.place):
            gone = str(due) if here.place == due + 1 else f"{due} to {here.place - 1}"
            self._tally.miss(self._table, id, f"before it, {gone} of the chain is missing", run_id)
        if here.place == self._kept.place and here.digest != self._kept.digest:
            what = "it is not the row that the head names: the record was written anew"
            self._tally.miss(self._table, id, what, run_id)
        self.last = here

    def end(self) -> None:
        """There is no further row: those that the head names must have been met."""
        if self.last.place < self._kept.place:
            what = f"the end is cut off: the head names the place {self._kept.place}"
            self._tally.miss(self._table, self.last.place, what)
