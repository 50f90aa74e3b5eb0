"""The steps of runs, and the values that outlive them."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import cast

from amodal_rt.domain.journal import Entry, EntryType
from amodal_rt.ports import StoreItem
from amodal_rt.testing.ledger import values
from amodal_rt.testing.ledger.part import Part
from amodal_rt.testing.ledger.store import ItemRow


class JournalRows(Part):
    """`ports.JournalLedger` in memory."""

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
        def work() -> int:
            if term is not None:
                self._require_held(run_id, term)
            self._require_run(run_id)
            return self.store.append(
                run_id, type, at=at, attempt=attempt, step=step, parent=parent, data=data
            )

        return await self._write("record", work)

    async def entries(self, run_id: str, *, after: int = 0, limit: int = 1000) -> list[Entry]:
        self._check_reach()
        last = min(self.store.lengths.get(run_id) or 0, after + limit)
        found = (self.store.journals.get((run_id, each)) for each in range(after + 1, last + 1))
        return [entry for entry in found if entry is not None]


class StoreRows(Part):
    """`ports.StoreLedger` in memory."""

    async def put(
        self,
        store: str,
        item: StoreItem,
        *,
        expires_at: datetime | None,
        step: str | None,
        term: int | None = None,
    ) -> None:
        key = values.text(item.key)

        def work() -> None:
            if term is not None and item.run_id is not None:
                self._require_held(item.run_id, term)
            stored = StoreItem(
                key=key,
                value=values.document(item.value),
                updated_at=values.instant(item.updated_at),
                run_id=item.run_id,
            )
            self.store.items.put((store, key), ItemRow(stored, values.maybe_instant(expires_at)))
            if item.run_id is not None:
                self.store.append(
                    item.run_id,
                    EntryType.STORE_WRITTEN,
                    at=item.updated_at,
                    attempt=self._require_run(item.run_id).run.attempt,
                    step=step,
                    data={"store": store, "key": key},
                )

        await self._write("put", work)

    async def query(
        self,
        store: str,
        *,
        now: datetime,
        where: Mapping[str, object] | None = None,
        since: datetime | None = None,
        limit: int = 100,
    ) -> list[StoreItem]:
        self._check_reach()
        found = [
            item
            for item in self._fresh(store, now)
            if (since is None or item.updated_at >= since)
            and (not where or _has(item.value, where))
        ]
        found.sort(key=lambda item: item.key)
        found.sort(key=lambda item: item.updated_at, reverse=True)
        return found[:limit]

    async def find_item(self, store: str, key: str, *, now: datetime) -> StoreItem | None:
        self._check_reach()
        wanted = values.text(key)
        return next((item for item in self._fresh(store, now) if item.key == wanted), None)

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
        place = (store, values.text(key))

        def work() -> bool:
            if term is not None:
                self._require_held(run_id, term)
            found = place in self.store.items
            if found:
                self.store.items.remove(place)
            self.store.append(
                run_id,
                EntryType.STORE_WRITTEN,
                at=at,
                attempt=self._require_run(run_id).run.attempt,
                step=step,
                data={"store": store, "key": place[1], "removed": True},
            )
            return found

        return await self._write("remove", work)

    async def count_items(self) -> Mapping[str, int]:
        self._check_reach()
        now = self._clock.now()
        stores = {store for store, _ in self.store.items}
        counts = Counter({store: len(self._fresh(store, now)) for store in stores})
        return dict(+counts)

    def _fresh(self, store: str, now: datetime) -> list[StoreItem]:
        return [
            row.item
            for (name, _), row in self.store.items.items()
            if name == store and (row.expires_at is None or row.expires_at > now)
        ]


def _has(value: object, where: Mapping[str, object]) -> bool:
    """Whether an object has all of these keys with equal JSON values."""
    if not isinstance(value, dict):
        return False
    document = cast("dict[str, object]", value)
    return all(key in document and _same(document[key], where[key]) for key in where)


def _same(one: object, other: object) -> bool:
    """Equality of JSON values: `true` is not 1, though Python says so."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        left, right = cast("dict[str, object]", one), cast("dict[str, object]", other)
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(one, list) and isinstance(other, list):
        firsts, seconds = cast("list[object]", one), cast("list[object]", other)
        return len(firsts) == len(seconds) and all(map(_same, firsts, seconds))
    return one == other
