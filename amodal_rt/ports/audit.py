"""The record of what was done, and the proof that nobody touched it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from amodal_rt.domain.chain import Head, Verdict
from amodal_rt.domain.trail import TrailFilter, TrailRow
from amodal_rt.ports.signals import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What the audit trail is to say of a change, in one transaction with it: after a crash there
    is either both or neither."""

    action: str
    subject: str
    caller: Caller
    at: datetime
    data: Mapping[str, object] = field(default_factory=dict[str, object])


class AuditLedger(Protocol):
    """What `FactLedger.audit` and the journals append, read and checked.

    A row that stands in the trail, an entry of a journal and a run that has ended stand in chains:
    a change, a gap, an addition or another order shows.
    """

    async def trail(self, wanted: TrailFilter) -> list[TrailRow]:
        """The audit trail with the writes of runs, those refused included, newest first."""
        ...

    async def head(self) -> Head:
        """The last row of either chain."""
        ...

    async def verify(self, kept: Head | None = None) -> Verdict:
        """Look at every row. With `kept`, what that head names must be there still."""
        ...
