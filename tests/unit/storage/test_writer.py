"""Group commit: many works, one transaction, each one's failure its own."""

import asyncio
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection

sys.path.insert(0, str(Path(__file__).parents[2]))

from closed_disk import REFUSED, close_disk, open_disk

from amodal_rt.errors import ConflictError, InternalError, UnavailableError
from amodal_rt.storage.database import Database
from amodal_rt.storage.dialect import sqlite_driver as driver
from amodal_rt.storage.sqlite_file import SqliteFile
from amodal_rt.storage.writer import BATCH

Work = Callable[[Connection], object]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(SqliteFile(tmp_path / "ledger.db"))
    await opened.open()
    await opened.write(lambda c: sql(c, "CREATE TABLE numbers (n INTEGER PRIMARY KEY)"))
    yield opened
    await opened.close()


def sql(connection: Connection, statement: str) -> list[tuple[object, ...]]:
    return driver(connection).execute(statement).fetchall()


def insert(number: object) -> Work:
    return lambda c: sql(c, f"INSERT INTO numbers VALUES ({number}) RETURNING n")


async def numbers(database: Database) -> list[object]:
    rows = await database.read(lambda c: sql(c, "SELECT n FROM numbers ORDER BY n"))
    return [row[0] for row in rows]


async def together(database: Database, *works: Work) -> list[object]:
    """Results and errors of works that share a batch: the first one holds the writer back."""
    begun, go = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        begun.set()
        go.wait(10)

    first = asyncio.ensure_future(database.write(hold))
    await asyncio.to_thread(begun.wait, 10)
    rest = [asyncio.ensure_future(database.write(work)) for work in works]
    await asyncio.sleep(0)
    go.set()
    await first
    return await asyncio.gather(*rest, return_exceptions=True)


async def watch(database: Database) -> list[str]:
    """The statements that the writer sends from now on."""
    sent: list[str] = []
    await database.write(lambda c: driver(c).set_trace_callback(sent.append))
    sent.clear()
    return sent


async def test_works_that_wait_share_one_commit(database: Database) -> None:
    sent = await watch(database)

    await together(database, *(insert(number) for number in range(100)))

    assert await numbers(database) == list(range(100))
    # The work that held the writer back had a commit of its own.
    assert sent.count("COMMIT") == 2
    assert sent.count("BEGIN IMMEDIATE") == 2


async def test_a_batch_is_bounded(database: Database) -> None:
    sent = await watch(database)

    await together(database, *(insert(number) for number in range(BATCH + 1)))

    assert len(await numbers(database)) == BATCH + 1
    assert sent.count("COMMIT") == 3


async def test_results_are_those_of_each_work_in_order(database: Database) -> None:
    assert await together(database, *(insert(number) for number in (3, 1, 2))) == [
        [(3,)],
        [(1,)],
        [(2,)],
    ]


async def test_one_bad_row_never_fails_its_neighbours(database: Database) -> None:
    before, bad, after = await together(database, insert(1), insert(1), insert(2))

    assert (before, after) == ([(1,)], [(2,)])
    assert isinstance(bad, InternalError)
    assert bad.code == "ledger_row"
    assert await numbers(database) == [1, 2]


async def test_what_a_work_raises_undoes_all_of_it_and_nothing_else(database: Database) -> None:
    def half(connection: Connection) -> None:
        sql(connection, "INSERT INTO numbers VALUES (7)")
        raise ConflictError("no", code="mine")

    before, refused, after = await together(database, insert(1), half, insert(2))

    assert (before, after) == ([(1,)], [(2,)])
    assert isinstance(refused, ConflictError)
    assert refused.code == "mine"
    assert await numbers(database) == [1, 2]


async def test_a_work_that_ends_the_transaction_costs_its_neighbours_nothing(
    database: Database,
) -> None:
    """As SQLite itself does on some errors: all is rolled back, not only the statement."""

    def destroy(connection: Connection) -> None:
        sql(connection, "ROLLBACK")
        raise sqlite3.OperationalError("gone")

    before, gone, after = await together(database, insert(1), destroy, insert(2))

    assert (before, after) == ([(1,)], [(2,)])
    assert isinstance(gone, UnavailableError)
    assert await numbers(database) == [1, 2]


async def test_a_defect_in_a_work_reaches_its_caller_as_it_is(database: Database) -> None:
    def defect(_: Connection) -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await database.write(defect)
    await database.write(insert(1))


async def test_a_caller_that_gave_up_stops_nothing(database: Database) -> None:
    begun, go = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        begun.set()
        go.wait(10)
        sql(connection, "INSERT INTO numbers VALUES (1)")

    caller = asyncio.ensure_future(database.write(hold))
    await asyncio.to_thread(begun.wait, 10)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    go.set()
    await database.write(insert(2))

    assert await numbers(database) == [1, 2]


async def test_a_read_sees_every_acknowledged_write(database: Database) -> None:
    for number in range(200):
        await database.write(insert(number))
        assert (await numbers(database))[-1] == number


async def test_a_read_never_sees_half_of_a_work(database: Database) -> None:
    def pair(number: int) -> Work:
        def work(connection: Connection) -> None:
            sql(connection, f"INSERT INTO numbers VALUES ({number})")
            sql(connection, f"INSERT INTO numbers VALUES ({-number})")

        return work

    def balance(connection: Connection) -> object:
        plus = sql(connection, "SELECT COUNT(*) FROM numbers WHERE n > 0")
        minus = sql(connection, "SELECT COUNT(*) FROM numbers WHERE n < 0")
        return plus == minus

    writes = [asyncio.ensure_future(database.write(pair(n))) for n in range(1, 300)]
    seen = [await database.read(balance) for _ in range(50)]
    await asyncio.gather(*writes)

    assert all(seen)


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(UnavailableError):
        await database.read(insert(1))


async def test_a_long_read_holds_up_neither_the_loop_nor_the_writer(database: Database) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(connection: Connection) -> object:
        rows = sql(connection, "SELECT COUNT(*) FROM numbers")
        begun.set()
        go.wait(10)
        return rows

    reading = asyncio.ensure_future(database.read(slow))
    await asyncio.to_thread(begun.wait, 10)
    await database.write(insert(1))
    assert not reading.done()

    go.set()
    assert await reading == [(0,)]


async def test_a_refused_write_is_known_until_one_comes_through(database: Database) -> None:
    await close_disk(database)
    before = database.unwritable
    with pytest.raises(UnavailableError):
        await database.write(insert(1))
    refused = database.unwritable
    # Passes on a full disk too, and proves nothing.
    await database.write(lambda c: sql(c, "SELECT 1"))
    still = database.unwritable
    await open_disk(database)
    await database.write(insert(2))

    assert before is None
    assert refused is not None
    assert (refused.code, refused.message) == ("ledger", REFUSED)
    assert still is refused
    assert database.unwritable is None


async def test_a_work_that_refuses_by_a_rule_says_nothing_about_the_disk(
    database: Database,
) -> None:
    def full(_: Connection) -> None:
        raise UnavailableError("no room", code="queue_full")

    with pytest.raises(UnavailableError):
        await database.write(full)

    assert database.unwritable is None
