"""Databases of every age: made once, brought up to date, refused; and how they are spoken to."""

import asyncio
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))

import ledger_values as given
import postgres_server

from amodal_rt.clock import SystemClock
from amodal_rt.domain.event import DedupKey, Rejection
from amodal_rt.errors import ConflictError, InternalError
from amodal_rt.ports import ScheduleState
from amodal_rt.storage import postgres_revision
from amodal_rt.storage.dialect import driver
from amodal_rt.storage.postgres import PostgresLedger
from amodal_rt.storage.postgres_session import LOCK, SETTINGS, PostgresServer
from amodal_rt.storage.revision import SCRIPTS, Scripts
from amodal_rt.storage.tables import metadata

LATER = f'''
"""A later revision."""
import sqlalchemy as sa
from alembic import op

revision = "later"
down_revision = "{SCRIPTS.head}"


def upgrade() -> None:
    op.create_table("later", sa.Column("a", sa.Integer(), primary_key=True))
    op.execute("{{then}}")
'''
RUNS_SINCE = ("order_key", "coalesce_key", "coalesce_since", "superseded", "fault", "profile")
ODD = "a\0b\U0010fffd0\U0010fffd\0é"


@pytest.fixture
def empty() -> Iterator[str]:
    """The URL of a database without tables."""
    server = postgres_server.shared()
    database = server.fresh()
    yield server.url(database)
    server.drop(database)


def ask(url: str, statement: str) -> list[tuple[object, ...]]:
    return postgres_server.shared().ask(statement, database=urlsplit(url).path[1:])


def opened(url: str) -> PostgresLedger:
    return PostgresLedger(url, clock=SystemClock())


async def test_nodes_that_start_at_once_make_the_tables_once(empty: str) -> None:
    nodes = [opened(empty) for _ in range(4)]

    await asyncio.gather(*(node.open() for node in nodes))
    await asyncio.gather(*(node.set_fact("k", f"{place}") for place, node in enumerate(nodes)))

    assert len({await node.fact("k") for node in nodes}) == 1
    for node in nodes:
        await node.close()
    assert ask(empty, "SELECT version_num FROM alembic_version") == [(SCRIPTS.head,)]


def test_the_tables_are_what_the_code_expects(empty: str) -> None:
    session = PostgresServer(empty).open_writer()
    context = MigrationContext.configure(session.connection, opts={"compare_type": True})

    assert compare_metadata(context, metadata) == []
    session.close()


async def test_a_database_of_the_version_before_gets_the_columns_it_lacks(empty: str) -> None:
    async with opened(empty) as ledger:
        await ledger.admit([given.start("kept")])
    for table, column in (
        ("outbox", "retried_at_attempt"),
        ("nodes", "holds"),
        *(("events", column) for column in ("cause", "order_key", "unmatched")),
        *(("runs", column) for column in RUNS_SINCE),
        ("journal", "digest"),
        *(("audit", column) for column in ("place", "digest")),
        ("live_definitions", "since"),
    ):
        ask(empty, f"ALTER TABLE {table} DROP COLUMN {column}")
    ask(empty, "DROP INDEX runs_rehearsals, runs_idempotent, journal_on_trail, audit_by_age")
    ask(empty, "DROP TABLE gate_values, remote_triggers, tokens, spending, spend_holds, seals")
    ask(empty, "DROP TABLE parked_writes")
    ask(empty, "UPDATE alembic_version SET version_num = '0002'")

    async with opened(empty) as ledger:
        (run,) = await ledger.claim(limit=1, overall=1, now=given.NOW)

    assert run.automation == "kept"
    session = PostgresServer(empty).open_writer()

    def is_ours(name: str | None, kind: str, *_: object) -> bool:
        return kind != "table" or name in metadata.tables

    options = {"compare_type": True, "include_name": is_ours}
    context = MigrationContext.configure(session.connection, opts=options)
    assert compare_metadata(context, metadata) == []
    session.close()


async def test_a_ledger_of_a_newer_version_is_refused(empty: str) -> None:
    async with opened(empty):
        pass
    ask(empty, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(ConflictError) as refusal:
        await opened(empty).open()

    assert refusal.value.code == "ledger_newer"


@pytest.mark.parametrize("table", ["runs", "alembic_version"])
async def test_tables_of_another_program_are_refused_and_left_alone(empty: str, table: str) -> None:
    ask(empty, f"CREATE TABLE {table} (version_num text)")

    with pytest.raises(ConflictError) as refusal:
        await opened(empty).open()

    assert refusal.value.code == "ledger_foreign"
    assert ask(empty, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == [(table,)]


async def test_a_database_that_cannot_hold_our_text_is_refused() -> None:
    server = postgres_server.shared()
    server.ask(
        "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'"
        f" TEMPLATE template0 OWNER {postgres_server.OWNER}"
    )
    try:
        with pytest.raises(ConflictError) as refusal:
            await opened(server.url("latin")).open()
        assert "LATIN1" in refusal.value.message
    finally:
        server.drop("latin")


def later(tmp_path: Path, then: str) -> Scripts:
    """Our revisions and one more."""
    folder = tmp_path / "migrations"
    shutil.copytree(SCRIPTS.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "9999_later.py").write_text(LATER.format(then=then))
    return Scripts(folder, "later")


def test_a_later_revision_is_run_on_the_rows_that_are_there(empty: str, tmp_path: Path) -> None:
    session = PostgresServer(empty).open_writer()
    ask(empty, "INSERT INTO facts (key, value) VALUES ('kept', 'yes')")

    postgres_revision.bring_up_to_date(session.connection, LOCK, later(tmp_path, "SELECT 1"))
    session.close()

    assert ask(empty, "SELECT version_num FROM alembic_version") == [("later",)]
    assert ask(empty, "SELECT value FROM facts") == [("yes",)]
    assert ask(empty, "SELECT COUNT(*) FROM later") == [(0,)]


def test_a_revision_that_fails_leaves_the_old_version_whole(empty: str, tmp_path: Path) -> None:
    session = PostgresServer(empty).open_writer()

    scripts = later(tmp_path, "SELECT * FROM no_such")

    with pytest.raises(Exception, match="no_such"):
        postgres_revision.bring_up_to_date(session.connection, LOCK, scripts)
    session.close()

    assert ask(empty, "SELECT version_num FROM alembic_version") == [(SCRIPTS.head,)]
    PostgresServer(empty).open_writer().close()


async def test_a_node_goes_on_when_a_newer_one_adds_to_the_tables(empty: str) -> None:
    """Its prepared statements no longer fit what they select."""
    async with opened(empty) as ledger:
        await ledger.admit([given.start()])
        for _ in range(20):
            # Often enough on both readers' connections to have it prepared.
            await asyncio.gather(ledger.last_runs(), ledger.last_runs())
        ask(empty, "ALTER TABLE runs ADD COLUMN later text")

        found = await asyncio.gather(*(ledger.last_runs() for _ in range(4)))
        await ledger.admit([given.start()])

    assert [list(each) for each in found] == [["digest"]] * 4


@pytest.mark.parametrize("setting", [*SETTINGS, "synchronous_commit"])
def test_every_session_is_durable_and_bounded(empty: str, setting: str) -> None:
    expected = {**SETTINGS, "synchronous_commit": "on"}[setting]
    ask(empty, f"ALTER ROLE {postgres_server.OWNER} SET synchronous_commit = off")
    try:
        server = PostgresServer(empty)
        for session in (server.open_writer(), server.open_reader()):
            shown = driver(session.connection).execute(f"SHOW {setting}").fetchone()[0]
            assert shown == expected
            session.close()
    finally:
        ask(empty, f"ALTER ROLE {postgres_server.OWNER} RESET synchronous_commit")


def test_a_stronger_durability_than_ours_stands(empty: str) -> None:
    ask(empty, f"ALTER ROLE {postgres_server.OWNER} SET synchronous_commit = remote_apply")
    try:
        session = PostgresServer(empty).open_writer()
        shown = driver(session.connection).execute("SHOW synchronous_commit").fetchone()[0]
        session.close()
    finally:
        ask(empty, f"ALTER ROLE {postgres_server.OWNER} RESET synchronous_commit")

    assert shown == "remote_apply"


@pytest.fixture
def url() -> Iterator[str]:
    with postgres_server.fresh_ledger() as found:
        yield found


async def test_text_that_postgresql_cannot_hold_comes_back_as_it_was(url: str) -> None:
    async with opened(url) as ledger:
        wish = given.start(title=ODD, conversation_key=ODD, payload={ODD: [ODD]})
        event = replace(given.event(data={"t": ODD}), subject=ODD, actor=ODD, headers={"x": ODD})
        key = DedupKey(endpoint="e", keys=(ODD,))
        wish = replace(wish, event_id=event.id)
        first = await ledger.accept(event, dedup=key, starts=[wish], queue_limit=9)
        again = await ledger.accept(given.event(), dedup=key, starts=[], queue_limit=9)
        await ledger.reject(Rejection(endpoint="e", automation=None, reason=ODD, at=given.NOW))
        run = await ledger.find_run(wish.run_id)
        found = await ledger.find_event(event.id)
        rejected = await ledger.list_rejections(limit=1)

    assert again.duplicate
    assert again.event_id == first.event_id
    assert run is not None
    assert (run.title, run.conversation_key, run.payload) == (ODD, ODD, {ODD: [ODD]})
    assert found is not None
    assert found.event == event
    assert rejected[0].reason == ODD


async def test_a_lone_surrogate_is_stored_as_its_escape(url: str) -> None:
    """As in the file."""
    async with opened(url) as ledger:
        event = given.event(subject="a\udc80b")
        await ledger.accept(event, dedup=None, starts=[], queue_limit=9)
        found = await ledger.find_event(event.id)

    assert found is not None
    assert found.event.subject == "a\\udc80b"


async def test_names_are_ordered_by_their_bytes_whatever_language_the_server_speaks(
    url: str,
) -> None:
    names = ["Zebra", "_x", "a-b", "aa", "ab", "äpfel"]
    states = [
        ScheduleState(automation=name, key="cron:0", fingerprint="f", counted_from=given.NOW)
        for name in names
    ]
    async with opened(url) as ledger:
        await ledger.set_schedule_states(states[::-1])
        listed = await ledger.schedule_states()

    assert [state.automation for state in listed] == sorted(names)
    assert ask(url, "SELECT 'a' < 'B'") == [(True,)], "the server speaks no language"


async def test_a_row_that_breaks_a_rule_is_our_own_fault(url: str) -> None:
    async with opened(url) as ledger:
        wish = given.start()
        await ledger.admit([wish])
        with pytest.raises(InternalError) as refusal:
            await ledger.admit([wish])

    assert refusal.value.code == "ledger_row"
