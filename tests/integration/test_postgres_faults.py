"""PostgreSQL away, restarting, read-only, full, silent: refusals, no false word, recovery."""

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import Connection

sys.path.insert(0, str(Path(__file__).parents[1]))

import postgres_node
import postgres_server

from amodal_rt.clock import SystemClock
from amodal_rt.errors import AmodalError, InvalidError, UnavailableError
from amodal_rt.storage import postgres_faults
from amodal_rt.storage.dialect import driver
from amodal_rt.storage.postgres import PostgresLedger

PATIENCE = 30.0


@pytest.fixture
def url() -> Iterator[str]:
    with postgres_server.fresh_ledger() as found:
        yield found


@pytest.fixture
async def ledger(url: str) -> AsyncIterator[PostgresLedger]:
    async with PostgresLedger(url, clock=SystemClock()) as opened:
        yield opened


def database(url: str) -> str:
    return urlsplit(url).path[1:]


async def accepted_at_last(ledger: PostgresLedger, key: str) -> None:
    """Deliver `key` as a sender does that tries again after a 503."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await postgres_node.accept(ledger, key)
            except UnavailableError:
                await asyncio.sleep(0.05)
            else:
                return


async def is_refused(ledger: PostgresLedger, key: str) -> bool:
    try:
        await postgres_node.accept(ledger, key)
    except UnavailableError as refusal:
        return refusal.code == "ledger"
    return False


async def count(ledger: PostgresLedger) -> int:
    return len(await ledger.list_events(limit=100_000))


async def test_while_the_server_is_away_every_call_is_refused_at_once_and_then_it_goes_on(
    ledger: PostgresLedger,
) -> None:
    server = postgres_server.shared()
    await postgres_node.accept(ledger, "before")
    await asyncio.to_thread(server.stop, "immediate")
    try:
        for number in range(20):
            with pytest.raises(UnavailableError) as refusal:
                await postgres_node.accept(ledger, f"away{number}")
            assert refusal.value.code == "ledger"
            assert refusal.value.hint
        assert ledger.unwritable is not None
        with pytest.raises(UnavailableError):
            await ledger.find_event("evt_before")
        assert not ledger.broken
    finally:
        await asyncio.to_thread(server.start)

    await accepted_at_last(ledger, "after")
    assert await count(ledger) == 2
    assert ledger.unwritable is None


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_restart_that_nobody_saw_costs_no_call(ledger: PostgresLedger, mode: str) -> None:
    await postgres_node.accept(ledger, "before")
    assert await count(ledger) == 1
    await asyncio.to_thread(postgres_server.shared().restart, mode)

    await postgres_node.accept(ledger, "after")

    assert await count(ledger) == 2


async def test_a_connection_that_is_lost_in_the_middle_of_works_costs_none_of_them(
    ledger: PostgresLedger,
) -> None:
    server = postgres_server.shared()
    tries: list[int] = []

    def cut_the_first_time(connection: Connection) -> int:
        raw = driver(connection)
        raw.execute("INSERT INTO facts (key, value) VALUES (?, ?)", ("cut", "1"))
        tries.append(1)
        if len(tries) == 1:
            pid = raw.execute("SELECT pg_backend_pid()").fetchone()[0]
            server.ask(f"SELECT pg_terminate_backend({pid})")
        return raw.execute("SELECT COUNT(*) FROM facts").fetchone()[0]

    assert await ledger._database.write(cut_the_first_time) == 1
    assert len(tries) == 2


async def test_a_connection_that_is_lost_at_commit_is_no_acknowledgement_and_no_second_try(
    ledger: PostgresLedger,
) -> None:
    """Whether it was committed is unknown: here it was."""
    assert ledger._database._writer is not None
    session = ledger._database._writer._session
    tries: list[int] = []

    def note(connection: Connection) -> None:
        driver(connection).execute("INSERT INTO facts (key, value) VALUES (?, ?)", ("k", "v"))
        # The commit reaches the server; its answer does not reach us.
        tries.append(1)
        driver(connection).execute("SELECT 1")
        session.commit()
        session.cut()

    with pytest.raises(UnavailableError) as refusal:
        await ledger._database.write(note)

    assert refusal.value.code == "ledger"
    assert tries == [1]
    assert await ledger.fact("k") == "v"
    assert not ledger.broken


async def test_a_commit_that_became_a_rollback_is_no_acknowledgement(
    ledger: PostgresLedger,
) -> None:
    def swallow(connection: Connection) -> None:
        raw = driver(connection)
        raw.execute("INSERT INTO facts (key, value) VALUES (?, ?)", ("k", "v"))
        try:
            raw.execute("SELECT 1 / 0")
        except Exception:  # noqa: BLE001  as a careless work would
            return

    with pytest.raises(AmodalError):
        await ledger._database.write(swallow)
    assert await ledger.fact("k") is None


async def test_a_server_that_turns_read_only_refuses_and_the_ledger_recovers(
    ledger: PostgresLedger, url: str
) -> None:
    """As after a failover that leaves us connected to what is now a standby."""
    server = postgres_server.shared()
    name = database(url)
    await postgres_node.accept(ledger, "before")
    server.ask("ALTER SYSTEM SET default_transaction_read_only = on")
    server.ask("SELECT pg_reload_conf()")
    try:
        # Sessions hear of the new setting a moment later.
        async with asyncio.timeout(PATIENCE):
            numbers = itertools.count()
            while not await is_refused(ledger, f"read-only{next(numbers)}"):
                pass
    finally:
        server.ask("ALTER SYSTEM RESET default_transaction_read_only")
        server.ask("SELECT pg_reload_conf()")

    await accepted_at_last(ledger, "after")
    assert server.ask("SELECT COUNT(*) FROM events WHERE id = 'evt_after'", database=name) == [(1,)]


@pytest.mark.parametrize(
    ("state", "hint"),
    [
        ("53100", "free space on the disk of the database"),
        ("57014", "see that the database runs"),
    ],
)
async def test_what_the_server_cannot_do_now_is_told_with_what_to_do(
    ledger: PostgresLedger, url: str, state: str, hint: str
) -> None:
    server, name = postgres_server.shared(), database(url)
    server.ask(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$",
        database=name,
    )
    server.ask(
        "CREATE TRIGGER refuse BEFORE INSERT ON events EXECUTE FUNCTION refuse()", database=name
    )
    try:
        with pytest.raises(UnavailableError) as refusal:
            await postgres_node.accept(ledger, "refused")
        assert (refusal.value.code, hint in (refusal.value.hint or "")) == ("ledger", True)
        # Passes, and proves nothing.
        await ledger.remove_remote_trigger("nobody", "nobody")
        refused = ledger.unwritable
    finally:
        server.ask("DROP TRIGGER refuse ON events; DROP FUNCTION refuse", database=name)

    assert refused is not None
    assert refused.message == refusal.value.message
    await postgres_node.accept(ledger, "accepted")
    assert ledger.unwritable is None


async def test_a_lock_that_is_never_freed_refuses_instead_of_hanging(
    ledger: PostgresLedger, url: str
) -> None:
    import psycopg

    from amodal_rt.storage.postgres_session import LOCK

    with psycopg.connect(url, autocommit=True) as stuck:
        stuck.execute(f"SELECT pg_advisory_lock({LOCK})".encode())
        with pytest.raises(UnavailableError) as refusal:
            await postgres_node.accept(ledger, "refused")
        assert "lock" in (refusal.value.hint or "")

    await postgres_node.accept(ledger, "accepted")


@pytest.mark.slow
async def test_a_server_that_falls_silent_is_given_up_and_found_again(
    ledger: PostgresLedger,
) -> None:
    server = postgres_server.shared()
    await postgres_node.accept(ledger, "before")
    assert await count(ledger) == 1
    server.pause()
    try:
        async with asyncio.timeout(45):
            reading = asyncio.ensure_future(ledger.find_event("evt_before"))
            with pytest.raises(UnavailableError):
                await postgres_node.accept(ledger, "silent")
            with pytest.raises(UnavailableError):
                await reading
            with pytest.raises(UnavailableError):
                await ledger.find_event("evt_before")
    finally:
        server.resume()

    await accepted_at_last(ledger, "after")


async def test_at_the_start_a_server_that_is_not_there_is_told_with_its_address() -> None:
    port = postgres_server._free_port()
    absent = PostgresLedger(f"postgresql://u:hunter2@127.0.0.1:{port}/x", clock=SystemClock())

    with pytest.raises(UnavailableError) as refusal:
        await absent.open()

    assert str(port) in refusal.value.message
    assert "hunter2" not in f"{refusal.value.document()}"
    assert refusal.value.hint == "see that the database runs and can be reached, then start again"


@pytest.mark.parametrize(
    ("user", "name", "port", "hint"),
    [
        ("ledger", "nosuch", None, "there is no such database: make it"),
        ("nobody", None, None, "the database refuses this user, or does not know it"),
        ("ledger", None, "99999", "look at the URL of `database`: postgresql://"),
        ("ledger", None, "5432x", "look at the URL of `database`: postgresql://"),
    ],
)
async def test_at_the_start_what_is_wrong_with_the_url_is_told_with_what_to_do(
    url: str, user: str, name: str | None, port: str | None, hint: str
) -> None:
    place = f"127.0.0.1:{port or urlsplit(url).port}/{name or database(url)}"
    wrong = PostgresLedger(f"postgresql://{user}:hunter2@{place}", clock=SystemClock())

    with pytest.raises(UnavailableError) as refusal:
        await wrong.open()

    assert (refusal.value.hint or "").startswith(hint)
    assert "hunter2" not in f"{refusal.value.document()}"


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ('password authentication failed for user "u"', "the database refuses this password"),
        ("sorry, too many clients already", "the database takes no more connections"),
        ("session is read-only", "this server takes no writes"),
        ("the database system is starting up", "the database is starting or recovering"),
        ("timeout expired", "see that the database runs and can be reached, then start again"),
    ],
)
def test_at_the_start_the_servers_words_lead_to_the_hint(said: str, hint: str) -> None:
    told = postgres_faults.at_start(psycopg.OperationalError(f"connection failed: {said}"))

    assert isinstance(told, UnavailableError)
    assert said in told.message
    assert (told.hint or "").startswith(hint)


def test_a_url_that_is_none_is_refused_without_its_password() -> None:
    with pytest.raises(InvalidError) as refusal:
        PostgresLedger("postgresql://u:hunter2@[h/x?nonsense=hunter2", clock=SystemClock())
    assert "hunter2" not in f"{refusal.value.document()}"
