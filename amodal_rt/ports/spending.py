"""What was spent on models, and what is held back for requests under way."""

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from amodal_rt.domain.budget import Budget, Hold, Spent, Standing


class SpendLedger(Protocol):
    """What each day cost. All nodes share it, and it outlives runs."""

    async def reserve(self, hold: Hold, budgets: Sequence[Budget]) -> list[Standing]:
        """Hold back what a request wants, as far as each budget of `hold.day` has room for it;
        how each of them stood before, in order.

        Nothing is held where one that the request uses has nothing left: spent, or held by
        others. What is held for a run that is not running under its term any more is counted as
        used before: whether its request was answered, nobody can tell. Raises ConflictError
        (`fenced`) unless `hold.run_id` runs under `hold.term`, NotFoundError for a run that is
        not there.
        """
        ...

    async def charge(self, hold: Hold, spent: Spent | None) -> None:
        """Give back what the request held and count what it used, None for nothing: in one
        transaction. The run may have ended since."""
        ...

    async def spending(
        self, *, since: date, until: date | None = None, automation: str | None = None
    ) -> list[Spent]:
        """What was used from that day on, up to `until` included: a row for each day,
        automation and model, newest day first, then by name."""
        ...
