"""The steps of runs, and what outlives them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from amodal_rt.domain.journal import Entry, EntryType
from amodal_rt.domain.records import StoreItem


class JournalLedger(Protocol):
    """The steps of runs."""

    async def record(
        self,
        run_id: str,
        type: EntryType,
        *,
        at: datetime,
        attempt: int = 1,
        step: str | None = None,
        parent: str | None = None,
        data: Mapping[str, object] | None = None,
        term: int | None = None,
    ) -> int:
        """Append one entry; returns its sequence: 1, 2, 3 … without a gap within the run.

        With `term`, raises ConflictError (`fenced`) and writes nothing unless the run is
        running under it. Raises NotFoundError for a run that is not there.
        """
        ...

    async def entries(self, run_id: str, *, after: int = 0, limit: int = 1000) -> list[Entry]:
        """Entries with a greater sequence, in order."""
        ...


class StoreLedger(Protocol):
    """Typed collections that outlive a run."""

    async def put(
        self,
        store: str,
        item: StoreItem,
        *,
        expires_at: datetime | None,
        step: str | None,
        term: int | None = None,
    ) -> None:
        """Insert or replace by key, together with a `store.written` entry in the run's journal.

        With `term`, raises ConflictError (`fenced`) and writes nothing unless the item's run
        is running under it.
        """
        ...

    async def query(
        self,
        store: str,
        *,
        now: datetime,
        where: Mapping[str, object] | None = None,
        since: datetime | None = None,
        limit: int = 100,
    ) -> list[StoreItem]:
        """Newest first, without what has expired. `where` wants equality of top-level keys."""
        ...

    async def find_item(self, store: str, key: str, *, now: datetime) -> StoreItem | None:
        """The value under that key, or None; an expired one is none."""
        ...

    async def remove(
        self,
        store: str,
        key: str,
        *,
        run_id: str,
        at: datetime,
        step: str,
        term: int | None = None,
    ) -> bool:
        """Forget the value under that key, together with a `store.written` entry that says
        `removed` in the journal of the run; whether there was one. With `term` as for `put`."""
        ...

    async def count_items(self) -> Mapping[str, int]:
        """How many values each store holds."""
        ...
