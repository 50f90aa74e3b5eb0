"""Writes that a person decides on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from amodal_rt.domain.parked import ParkedStatus, ParkedWrite, Ruling
from amodal_rt.ports.signals import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedFilter:
    """Which parked writes; everything that is None or empty does not matter."""

    automation: str | None = None
    run_id: str | None = None
    statuses: Collection[ParkedStatus] = ()
    expired_by: datetime | None = None
    limit: int = 50


class ParkedLedger(Protocol):
    """What was parked, and what became of it. It outlives the end of its run by as long as it
    takes, and is then kept as long as runs are."""

    async def park_write(
        self, write: ParkedWrite, *, data: Mapping[str, object], attempt: int, term: int | None
    ) -> None:
        """Keep a write, with a `write.parked` entry of `data` in the journal of its run and a row
        `write.parked` in the audit trail, which holds a `digest` of it, all of it or nothing. With
        `term`, raises ConflictError (`fenced`) unless its run is running under it; NotFoundError
        for a run that is not there.
        """
        ...

    async def find_parked(self, write_id: str) -> ParkedWrite | None:
        """One parked write, or None."""
        ...

    async def list_parked(self, wanted: ParkedFilter) -> list[ParkedWrite]:
        """The newest first. `expired_by`: those whose time is over at that instant."""
        ...

    async def next_expiry(self) -> datetime | None:
        """When the time of the next one is over that is open or approved."""
        ...

    async def count_parked(
        self, automation: str | None = None
    ) -> Mapping[str, Sequence[tuple[ParkedStatus, bool, int]]]:
        """By automation, how many are kept of each status, and of each whether they were edited."""
        ...

    async def lost_parked(self, known: Collection[str]) -> list[ParkedWrite]:
        """Those that are being performed by a node that is gone, or by a former life of this one;
        of this one itself, those that are not among the `known` ids."""
        ...

    async def rule_on_parked(
        self, write_id: str, rule: Ruling, *, caller: Caller, at: datetime
    ) -> ParkedWrite | None:
        """Change it as `rule` says, together with the entry in the journal of its run (where that
        is still kept), the row in the audit trail, which holds a `digest` of what it is now, and
        the messages of the change. The rule is told where it is not what the last row of the
        trail says (`misfit`), but for who was asked by which links; of such a one no later row
        says otherwise. What it is now;
        None, and nothing written, where the rule says so. What the rule raises is raised, and
        nothing written. Raises NotFoundError (`approval_not_found`).
        """
        ...
