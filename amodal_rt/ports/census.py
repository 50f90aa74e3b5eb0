"""The whole ledger in a few numbers."""

from typing import Protocol

from amodal_rt.domain.census import Census


class CensusLedger(Protocol):
    """What somebody asks who measures every few seconds."""

    async def census(self) -> Census:
        """How much of everything is open now, as of one instant. Counts in indexes that hold
        what is open alone, and the dead letters: it costs no more where history is long."""
        ...
