"""Which daemons live."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Protocol

from amodal_rt.domain.node import NodeRecord

LAPSED = timedelta(minutes=1)
"""How long a node whose lease ended unseen still counts as one that holds what it said."""


class NodeLedger(Protocol):
    """Which daemons live. Leases count by the database's clock, so that the clocks of the
    nodes need not agree."""

    @property
    def node_id(self) -> str:
        """The life under which this ledger claims."""
        ...

    async def join(self, *, host: str, pid: int, version: str, lease: timedelta) -> str:
        """Begin a life, under a fresh id from now on; returns it.

        Over a ledger that only one process can hold, every other node is retired with it.
        """
        ...

    async def renew(self, *, lease: timedelta) -> bool:
        """Extend the lease of this life; False when it was retired: it must claim and write
        nothing more and join anew."""
        ...

    async def leave(self) -> None:
        """End this life; what it still carries is an orphan at once."""
        ...

    async def retire_lapsed(self) -> list[str]:
        """Retire the nodes whose lease has ended; returns their ids. Never this one."""
        ...

    async def list_nodes(self) -> list[NodeRecord]:
        """The living, then those gone within a day, newest first."""
        ...

    async def hold(self, holdings: Mapping[str, Collection[str]]) -> None:
        """Say what this node holds: the names of its automations, and of each the fingerprints
        of the schedules that it keeps. Stands instead of what was said before, and for every
        life that begins after it from its first moment."""
        ...

    async def held_by_others(
        self, *, seen_within: timedelta | None = None
    ) -> Mapping[str, frozenset[str]]:
        """What any other node said that it holds, of those that live: they neither left nor
        were retired, and their lease has not ended over `LAPSED` ago. With `seen_within`,
        of all that lived no longer ago than that.

        Over a ledger that only one process can hold, nothing.
        """
        ...


class Lease(Protocol):
    """Whether this node may still act on the runs that it carries."""

    def held(self) -> bool:
        """False from the moment at which another node may have taken over, by this node's
        own monotonic clock: asked right before each effect that must not happen twice."""
        ...
