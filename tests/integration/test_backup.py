"""A backup is one checked file; a restore puts it back whole, or changes nothing."""

import asyncio
import json
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import daemon_child
import older_ledger as older
import pytest
from backup_scene import cli, filled, put_back, set_fact, whole, workspace

from amodal_rt.domain.run import FailedReason, RunStatus
from amodal_rt.errors import AmodalError, ConflictError
from amodal_rt.ports import RunFilter
from amodal_rt.storage import backup


def refused(source: Path, ledger: Path) -> AmodalError:
    with pytest.raises(AmodalError) as error:
        put_back(source, ledger)
    return error.value


def test_a_backup_is_one_private_file_that_holds_everything(tmp_path: Path) -> None:
    ledger = filled(tmp_path / "ledger.sqlite")
    target = tmp_path / "elsewhere.db"

    made = backup.take(ledger, target)

    assert whole(target) == whole(ledger)
    assert (made.runs, made.events, made.deliveries, made.has_key) == (22, 2, 20, True)
    assert made.size == target.stat().st_size
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == ["elsewhere.db", "ledger.sqlite"]


async def test_a_backup_holds_what_was_acknowledged_before_it_and_writing_goes_on(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.sqlite"
    async with older.opened(path) as ledger:
        await ledger.set_fact("before", "x")
        target = tmp_path / "b.db"
        backing_up = asyncio.create_task(asyncio.to_thread(backup.take, path, target))
        wrote = 0
        while not backing_up.done():
            await ledger.set_fact(f"during_{wrote}", "x")
            wrote += 1
        await backing_up
        assert wrote > 0
    facts = {row[0] for row in whole(target)["facts"]}
    assert "before" in facts


def test_an_existing_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    ledger = filled(tmp_path / "ledger.sqlite")
    target = tmp_path / "b.db"
    target.write_text("precious")

    with pytest.raises(AmodalError) as error:
        backup.take(ledger, target)

    assert error.value.code == "file_exists"
    assert target.read_text() == "precious"
    backup.take(ledger, target, force=True)
    assert whole(target) == whole(ledger)


def test_a_damaged_ledger_makes_no_backup(tmp_path: Path) -> None:
    ledger = filled(tmp_path / "ledger.sqlite")
    content = bytearray(ledger.read_bytes())
    for page in range(8, 40):
        content[page * 4096 + 8 : page * 4096 + 200] = b"\xff" * 192
    ledger.write_bytes(content)

    with pytest.raises(AmodalError) as error:
        backup.take(ledger, tmp_path / "b.db")

    assert error.value.code == "ledger_damaged"
    assert [each.name for each in tmp_path.iterdir()] == ["ledger.sqlite"]


def test_a_folder_that_cannot_be_written_is_said_to_be_one(tmp_path: Path) -> None:
    ledger = filled(tmp_path / "ledger.sqlite")

    with pytest.raises(AmodalError) as error:
        backup.take(ledger, tmp_path / "missing" / "b.db")

    assert error.value.code == "backup_failed"


def test_a_restore_brings_back_the_moment_and_keeps_the_old_ledger(tmp_path: Path) -> None:
    ledger = filled(tmp_path / "ledger.sqlite")
    backup.take(ledger, tmp_path / "b.db")
    taken = whole(ledger)
    asyncio.run(set_fact(ledger, "later"))
    later = whole(ledger)

    done = put_back(tmp_path / "b.db", ledger)

    assert done.aside is not None
    assert whole(done.aside) == later
    assert whole(ledger)["facts"] == taken["facts"]
    assert whole(ledger)["dedup_keys"] == taken["dedup_keys"]
    assert stat.S_IMODE(ledger.stat().st_mode) == 0o600
    names = {each.name for each in tmp_path.iterdir()}
    assert names == {"ledger.sqlite", "b.db", done.aside.name}


def test_a_run_that_was_running_is_interrupted_and_one_that_waited_waits(tmp_path: Path) -> None:
    ledger = filled(tmp_path / "ledger.sqlite")
    backup.take(ledger, tmp_path / "b.db")

    done = put_back(tmp_path / "b.db", ledger)

    assert (list(done.interrupted), done.pending, list(done.cancelled)) == (["run_runs"], 1, [])

    async def look() -> None:
        async with older.opened(ledger) as opened:
            run = await opened.find_run("run_runs")
            assert run is not None
            assert (run.status, run.reason) == (RunStatus.FAILED, FailedReason.INTERRUPTED)
            waiting = await opened.list_runs(RunFilter(status=RunStatus.PENDING))
            assert [each.run_id for each in waiting] == ["run_waits"]

    asyncio.run(look())


def test_runs_that_waited_are_ended_when_asked(tmp_path: Path) -> None:
    ledger = filled(tmp_path / "ledger.sqlite")
    backup.take(ledger, tmp_path / "b.db")

    done = put_back(tmp_path / "b.db", ledger, cancel_pending=True)

    assert (done.pending, list(done.cancelled)) == (0, ["run_waits"])


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004"])
def test_a_backup_of_an_older_version_is_brought_up_to_date(tmp_path: Path, revision: str) -> None:
    columns = older.make_older(tmp_path / "old.db", revision)
    before = older.content(tmp_path / "old.db", columns)
    ledger = tmp_path / "state" / "ledger.sqlite"
    ledger.parent.mkdir()

    done = put_back(tmp_path / "old.db", ledger)

    assert done.aside is None
    after = older.content(ledger, columns)
    for table in ("events", "outbox", "occurrences", "facts", "dedup_keys", "schedule_states"):
        assert after[table] == before[table]
    assert older.content(tmp_path / "old.db", columns) == before
    assert [each.name for each in ledger.parent.iterdir()] == ["ledger.sqlite"]


def test_what_is_no_backup_is_refused_and_the_ledger_left_alone(tmp_path: Path) -> None:
    ledger = filled(tmp_path / "state" / "ledger.sqlite")
    before = whole(ledger)
    newer, foreign, garbage = (tmp_path / name for name in ("newer", "foreign", "garbage"))
    backup.take(ledger, newer)
    with closing(sqlite3.connect(newer)) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.commit()
    with closing(sqlite3.connect(foreign)) as raw:
        raw.execute("CREATE TABLE theirs (a)")
    garbage.write_bytes(b"no database at all, but long enough to look at" * 100)
    cut = tmp_path / "cut"
    backup.take(ledger, cut)
    cut.write_bytes(cut.read_bytes()[: 30 * 4096])

    assert refused(newer, ledger).code == "ledger_newer"
    assert refused(foreign, ledger).code == "ledger_foreign"
    assert refused(garbage, ledger).code == "ledger_damaged"
    assert refused(cut, ledger).code == "ledger_damaged"
    assert refused(tmp_path / "missing", ledger).code == "file_not_found"
    assert whole(ledger) == before
    assert [each.name for each in ledger.parent.iterdir()] == ["ledger.sqlite"]


def test_the_commands_answer_in_json_and_with_exit_codes(tmp_path: Path) -> None:
    root, ledger = workspace(tmp_path)
    target = tmp_path / "b.db"

    made = cli(root, "backup", str(target), "--json")
    twice = cli(root, "backup", str(target))
    back = cli(root, "restore", str(target), "--json", "--cancel-pending")
    missing = cli(root, "restore", str(tmp_path / "no.db"), "--json")

    assert [each.returncode for each in (made, twice, back, missing)] == [0, 1, 0, 4]
    assert json.loads(made.stdout) == {
        "file": str(target),
        "bytes": target.stat().st_size,
        "revision": "0010",
        "runs": 22,
        "events": 2,
        "deliveries": 20,
        "webhook_key": True,
    }
    told = json.loads(back.stdout)
    assert told.pop("replaced").startswith(f"{ledger}.replaced-")
    assert told == {
        "runs": 22,
        "events": 2,
        "interrupted": ["run_runs"],
        "cancelled": ["run_waits"],
        "pending": 0,
        "webhook_key": True,
    }


def test_a_workspace_on_postgresql_is_told_of_its_own_tools(tmp_path: Path) -> None:
    root, _ = workspace(tmp_path)
    daemon_child.write(root, "amodal.json", {"database": "env:DATABASE_URL"})

    made = cli(root, "backup", str(tmp_path / "b.db"), "--json")
    back = cli(root, "restore", str(tmp_path / "b.db"), "--json")

    for done, tool in ((made, "pg_dump"), (back, "pg_restore")):
        assert done.returncode == 1
        error = json.loads(done.stdout)["error"]
        assert error["code"] == "other_database"
        assert tool in error["hint"]


def test_a_running_daemon_is_backed_up_and_never_restored_over(tmp_path: Path) -> None:
    root, other = tmp_path / "w", tmp_path / "other"
    for each in (root, other):
        daemon_child.automation(each, "hook", trigger="webhook")
    with daemon_child.daemon(root) as child:
        url = child.client.get("/v1/automations/hook")["webhook_url"]
        told = [child.post(url)[1]["event_id"] for _ in range(5)]

        made = cli(root, "backup", str(tmp_path / "b.db"), "--json")
        back = cli(root, "restore", str(tmp_path / "b.db"), "--json")

        assert json.loads(made.stdout)["events"] == 5
        assert back.returncode == 1
        assert json.loads(back.stdout)["error"]["code"] == "daemon_running"
    assert cli(other, "restore", str(tmp_path / "b.db")).returncode == 0
    with daemon_child.daemon(other) as child:
        again = child.client.get("/v1/automations/hook")["webhook_url"]
        assert again.rpartition("/")[2] == url.rpartition("/")[2]
        events = child.client.get("/v1/events")
        assert {each["event_id"] for each in events} == set(told)


def test_an_older_binary_copies_no_newer_ledger_and_changes_no_byte_of_it(tmp_path: Path) -> None:
    ledger = filled(tmp_path / "state" / "ledger.sqlite")
    with closing(sqlite3.connect(ledger)) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.commit()
    before = whole(ledger)

    with pytest.raises(ConflictError) as error:
        backup.take(ledger, tmp_path / "b.db")

    assert error.value.code == "ledger_newer"
    assert not (tmp_path / "b.db").exists()
    assert whole(ledger) == before
