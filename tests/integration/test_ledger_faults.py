"""Disks that are full, dying or not ours: no false acknowledgement, and reads go on."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import ledger_child
import pytest
from sqlalchemy import Connection

from amodal_rt.clock import SystemClock
from amodal_rt.errors import ConflictError, UnavailableError
from amodal_rt.storage.sqlite import SqliteLedger
from amodal_rt.storage.writer import driver

CHILD = Path(__file__).parent / "ledger_child.py"


def opened(path: Path) -> SqliteLedger:
    return SqliteLedger(path, clock=SystemClock())


async def limit_pages(ledger: SqliteLedger, more: int | None) -> None:
    """A disk with room for `more` pages, or for any number again."""

    def work(connection: Connection) -> None:
        raw = driver(connection)
        used = raw.execute("PRAGMA page_count").fetchone()[0]
        raw.execute(f"PRAGMA max_page_count = {2**30 if more is None else used + more}")

    await ledger._database.write(work)


async def test_a_full_disk_refuses_without_a_false_acknowledgement(tmp_path: Path) -> None:
    async with opened(tmp_path / "ledger.db") as ledger:
        await limit_pages(ledger, 40)

        refusals: list[UnavailableError] = []

        async def attempt(number: int) -> bool:
            try:
                await ledger_child.accept(ledger, str(number), size=3000)
            except UnavailableError as error:
                refusals.append(error)
                return False
            return True

        told = await asyncio.gather(*(attempt(number) for number in range(200)))

        assert {(refusal.code, refusal.hint) for refusal in refusals} == {
            ("ledger", "free space on the disk that holds the ledger")
        }
        assert 0 < sum(told) < 200
        listed = await ledger.list_events(limit=1000)
        assert {record.event.id for record in listed} == {
            f"evt_{number}" for number, taken in enumerate(told) if taken
        }
        assert not ledger.broken


async def test_when_there_is_room_again_the_ledger_goes_on(tmp_path: Path) -> None:
    async with opened(tmp_path / "ledger.db") as ledger:
        await limit_pages(ledger, 0)
        with pytest.raises(UnavailableError):
            await ledger_child.accept(ledger, "big", size=30_000)

        await limit_pages(ledger, None)
        await ledger_child.accept(ledger, "big", size=30_000)

        assert await ledger.find_event("evt_big") is not None


def test_after_an_io_error_at_a_commit_nothing_is_acknowledged_and_reads_go_on(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.db"

    done = subprocess.run(
        [sys.executable, str(CHILD), str(path), "unwritable", "0"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=50,
    )

    assert "refused unavailable ledger broken=True" in done.stdout
    assert "then unavailable ledger" in done.stdout
    assert "reads 1" in done.stdout
    told = sum(line.startswith("ack ") for line in done.stdout.splitlines())
    assert told >= 1

    async def count() -> int:
        async with opened(path) as ledger:
            return len(await ledger.list_events(limit=100_000))

    assert asyncio.run(count()) == told


async def test_a_ledger_that_is_closed_refuses(tmp_path: Path) -> None:
    ledger = opened(tmp_path / "ledger.db")
    for _ in range(2):
        await ledger.open()
        await ledger.set_fact("k", "v")
        await ledger.close()

    for refused in (ledger.fact("k"), ledger.set_fact("k", "v")):
        with pytest.raises(UnavailableError) as error:
            await refused
        assert error.value.code == "ledger"


async def test_what_was_queued_is_committed_before_closing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = opened(path)
    await ledger.open()
    queued = [asyncio.ensure_future(ledger.set_fact(str(n), "v")) for n in range(50)]
    await asyncio.sleep(0)

    await ledger.close()

    assert await asyncio.gather(*queued) == ["v"] * 50
    async with opened(path) as again:
        assert await again.fact("49") == "v"


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"not a database, but long enough to look at" * 100)

    with pytest.raises(UnavailableError) as error:
        await opened(path).open()

    assert error.value.code == "ledger"
    assert path.read_bytes().startswith(b"not a database")


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(UnavailableError) as error:
        await opened(tmp_path / "file" / "ledger.db").open()

    assert error.value.code == "ledger"


@pytest.mark.parametrize("umask", [0o000, 0o077])
async def test_the_ledger_is_for_its_owner_alone_whatever_the_umask(
    tmp_path: Path, umask: int
) -> None:
    path = tmp_path / "state" / "ledger.db"
    before = os.umask(umask)
    try:
        async with opened(path) as ledger:
            await ledger.set_fact("k", "v")
            modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    finally:
        os.umask(before)

    assert modes == dict.fromkeys(("ledger.db", "ledger.db-wal", "ledger.db-shm"), 384)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.touch(mode=0o644)
    path.chmod(0o644)

    async with opened(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE theirs (a)")

    with pytest.raises(ConflictError) as error:
        await opened(path).open()

    assert error.value.code == "ledger_foreign"
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]
