"""`ports.StoreLedger`, sentence by sentence."""

from datetime import datetime
from typing import Any

import ledger_values as given
import pytest
from ledger_values import HOUR, MINUTE, NOW

from amodal_rt.domain.journal import EntryType
from amodal_rt.errors import ConflictError, NotFoundError
from amodal_rt.ports import Ledger, StoreItem


def item(key: str, value: object, at: datetime = NOW, run_id: str | None = None) -> StoreItem:
    return StoreItem(key=key, value=value, updated_at=at, run_id=run_id)


async def put(ledger: Ledger, one: StoreItem, expires_at: datetime | None = None) -> None:
    await ledger.put("drift", one, expires_at=expires_at, step=None)


async def keys(ledger: Ledger, **wanted: Any) -> list[str]:
    asked: dict[str, Any] = {"now": NOW, **wanted}
    found = await ledger.query("drift", **asked)
    return [one.key for one in found]


async def test_a_value_comes_back_as_it_was_put(ledger: Ledger) -> None:
    one = item("k", {"a": [1, None, "ü"]})

    await put(ledger, one)

    assert await ledger.query("drift", now=NOW) == [one]


async def test_a_value_is_replaced_by_key(ledger: Ledger) -> None:
    await put(ledger, item("k", 1), expires_at=NOW + MINUTE)
    changed = item("k", 2, NOW + HOUR)

    await put(ledger, changed)

    assert await ledger.query("drift", now=NOW + HOUR) == [changed]


async def test_a_value_is_put_together_with_its_entry_in_the_journal(ledger: Ledger) -> None:
    run = await given.running(ledger)

    await ledger.put("drift", item("k", 1, run_id=run.run_id), expires_at=None, step="call_1")

    (entry,) = await ledger.entries(run.run_id)
    assert (entry.type, entry.step, entry.at) == (EntryType.STORE_WRITTEN, "call_1", NOW)
    assert entry.data == {"store": "drift", "key": "k"}


async def test_a_value_whose_entry_cannot_be_written_is_not_put(ledger: Ledger) -> None:
    with pytest.raises(NotFoundError):
        await put(ledger, item("k", 1, run_id="run_none"))

    assert await keys(ledger) == []


async def test_values_are_found_newest_first_up_to_the_limit(ledger: Ledger) -> None:
    for number in (2, 3, 1):
        await put(ledger, item(f"k{number}", number, NOW + number * MINUTE))

    assert await keys(ledger) == ["k3", "k2", "k1"]
    assert await keys(ledger, limit=2) == ["k3", "k2"]


async def test_expired_values_are_left_out(ledger: Ledger) -> None:
    await put(ledger, item("short", 1), expires_at=NOW + MINUTE)
    await put(ledger, item("long", 1), expires_at=NOW + HOUR)

    assert await keys(ledger, now=NOW + MINUTE) == ["long"]


async def test_since_leaves_out_what_is_older(ledger: Ledger) -> None:
    await put(ledger, item("old", 1, NOW - MINUTE))
    await put(ledger, item("then", 1, NOW))

    assert await keys(ledger, since=NOW) == ["then"]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"status": "open"}, ["b", "a"]),
        ({"status": "open", "count": 1}, ["a"]),
        ({"count": 1.0}, ["a"]),
        ({"count": True}, ["c"]),
        ({"status": None}, ["d"]),
        ({"tags": ["x", 1]}, ["b"]),
        ({"tags": ["x", True]}, []),
        ({"nested": {"deep": {"a": 1}}}, ["c"]),
        ({"missing": None}, []),
        ({}, ["e", "d", "c", "b", "a"]),
    ],
)
async def test_where_compares_top_level_keys_for_equality(
    ledger: Ledger, where: dict[str, object], expected: list[str]
) -> None:
    values = {
        "a": {"status": "open", "count": 1},
        "b": {"status": "open", "tags": ["x", 1]},
        "c": {"count": True, "nested": {"deep": {"a": 1}}},
        "d": {"status": None},
        "e": ["status", "open"],
    }
    for number, (key, value) in enumerate(values.items()):
        await put(ledger, item(key, value, NOW + number * MINUTE))

    assert await keys(ledger, where=where) == expected


async def test_the_limit_counts_what_where_let_through(ledger: Ledger) -> None:
    for number in range(6):
        value = {"odd": bool(number % 2)}
        await put(ledger, item(f"k{number}", value, NOW + number * MINUTE))

    assert await keys(ledger, where={"odd": False}, limit=2) == ["k4", "k2"]


async def test_items_are_counted_per_store_without_the_expired(
    ledger: Ledger, clock: given.HeldClock
) -> None:
    assert await ledger.count_items() == {}
    await put(ledger, item("a", 1))
    await put(ledger, item("b", 1), expires_at=NOW + MINUTE)
    await ledger.put("other", item("a", 1), expires_at=None, step=None)
    assert await ledger.count_items() == {"drift": 2, "other": 1}

    clock.instant = NOW + HOUR

    assert await ledger.count_items() == {"drift": 1, "other": 1}


async def test_one_value_is_found_by_its_key_while_it_is_fresh(ledger: Ledger) -> None:
    await put(ledger, item("k", 1), expires_at=NOW + MINUTE)

    found = await ledger.find_item("drift", "k", now=NOW)

    assert found == item("k", 1)
    assert await ledger.find_item("drift", "k", now=NOW + MINUTE) is None
    assert await ledger.find_item("drift", "other", now=NOW) is None
    assert await ledger.find_item("other", "k", now=NOW) is None


async def test_a_value_is_forgotten_together_with_its_entry_in_the_journal(ledger: Ledger) -> None:
    run = await given.running(ledger)
    await put(ledger, item("k", 1))
    wanted: dict[str, Any] = {"run_id": run.run_id, "at": NOW, "step": "drop", "term": run.term}

    assert await ledger.remove("drift", "k", **wanted)

    assert await keys(ledger) == []
    (entry,) = await ledger.entries(run.run_id)
    assert (entry.type, entry.step) == (EntryType.STORE_WRITTEN, "drop")
    assert entry.data == {"store": "drift", "key": "k", "removed": True}
    assert not await ledger.remove("drift", "k", **wanted)


async def test_nothing_is_forgotten_under_an_old_term(ledger: Ledger) -> None:
    run = await given.running(ledger)
    await put(ledger, item("k", 1))

    with pytest.raises(ConflictError):
        await ledger.remove("drift", "k", run_id=run.run_id, at=NOW, step="s", term=run.term + 1)

    assert await keys(ledger) == ["k"]
    assert await ledger.entries(run.run_id) == []
