"""What nodes on one PostgreSQL tell each other, and how runs reach them."""

import asyncio
import itertools
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import postgres_server
from daemon_child import write
from plain_starts import AT, start

from amodal_rt.clock import SystemClock
from amodal_rt.daemon.embedding import Runtime
from amodal_rt.errors import UnavailableError
from amodal_rt.ports import FACTS, OUTBOX, RUNS_PENDING, Caller
from amodal_rt.storage import dispatch
from amodal_rt.storage.cluster import Cluster
from amodal_rt.storage.postgres import PostgresLedger

CALLER = Caller(actor="ada", door="cli")


@pytest.fixture
def url() -> Iterator[str]:
    with postgres_server.fresh_ledger() as made:
        yield made


@dataclass
class Node:
    """A ledger in touch with others, and what it heard."""

    name: str
    ledger: PostgresLedger
    may_act: bool = True
    heard: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cluster = Cluster(
            self.ledger,
            sender=self.name,
            hear=self.heard.append,
            may_act=lambda: self.may_act,
            clock=SystemClock(),
        )

    async def admit(self, count: int = 1) -> None:
        await self.ledger.admit([start(f"run_{self.name}{n}") for n in range(count)])


@asynccontextmanager
async def touching(url: str, *names: str) -> AsyncIterator[list[Node]]:
    """Nodes that have found each other, with nothing heard."""
    async with AsyncExitStack() as stack:
        nodes = []
        for name in names:
            ledger = PostgresLedger(url, clock=SystemClock())
            await stack.enter_async_context(ledger)
            nodes.append(Node(name, ledger))
        tasks = [asyncio.create_task(each.cluster.run()) for each in nodes]
        try:
            for each in nodes:
                # What it may have missed before it was in touch.
                await until(lambda each=each: FACTS in each.heard)
            for each in nodes:
                each.heard.clear()
            yield nodes
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def until(fact: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 30
    while not fact():
        assert time.monotonic() < give_up
        await asyncio.sleep(0.01)


async def test_a_pending_run_is_told_to_one_node(url: str) -> None:
    async with touching(url, "a", "b", "c") as nodes:
        await nodes[0].admit()

        await until(lambda: any(RUNS_PENDING in each.heard for each in nodes))
        await nodes[0].ledger.set_fact("settled", "yes")

        assert sum(each.heard.count(RUNS_PENDING) for each in nodes) == 1


async def test_a_node_that_may_not_act_leaves_it_to_another(url: str) -> None:
    async with touching(url, "a", "b") as (one, other):
        one.may_act = False

        await one.admit()

        await until(lambda: RUNS_PENDING in other.heard)
        assert RUNS_PENDING not in one.heard


async def test_what_makes_no_run_pending_leaves_no_job(url: str) -> None:
    async with PostgresLedger(url, clock=SystemClock()) as ledger:
        await ledger.set_fact("a", "b")
        await ledger.admit([])
        await ledger.claim(limit=1, overall=1, now=AT)

        assert _jobs(url) == 0
        await ledger.admit([start("run_1"), start("run_2")])
        assert _jobs(url) == 1


async def test_a_job_left_by_nobody_in_particular_is_found_at_the_start(url: str) -> None:
    """Whoever accepted it may be gone before anybody looked."""
    async with PostgresLedger(url, clock=SystemClock()) as ledger:
        await ledger.admit([start("run_1")])

    async with touching(url, "late") as (late,):
        await until(lambda: _jobs(url) == 0)
        assert late.may_act


async def test_words_reach_the_others_and_not_oneself(url: str) -> None:
    async with touching(url, "a", "b", "c") as (one, *others):
        for topic in (FACTS, OUTBOX, "journal.run_1", *(f"journal.run_{n}" for n in range(500))):
            one.cluster.tell(topic)

        for each in others:
            await until(lambda each=each: {FACTS, OUTBOX, "journal.run_499"} <= set(each.heard))
        assert one.heard == []


async def test_what_was_said_while_the_database_was_away_is_looked_for(url: str) -> None:
    async with touching(url, "a") as (node,):
        server = postgres_server.shared()
        await asyncio.to_thread(server.restart)

        await until(lambda: {RUNS_PENDING, OUTBOX, FACTS} <= set(node.heard))
        node.heard.clear()
        await _patiently(node.admit)
        await until(lambda: RUNS_PENDING in node.heard)


async def test_several_nodes_may_install_at_once(url: str) -> None:
    ledger = PostgresLedger(url, clock=SystemClock())
    _ask(url, "DROP TABLE IF EXISTS pgqueuer, pgqueuer_log, pgqueuer_statistics, "
              "pgqueuer_schedules CASCADE; DROP TYPE IF EXISTS pgqueuer_status CASCADE; "
              "DROP FUNCTION IF EXISTS fn_pgqueuer_changed CASCADE")  # fmt: skip

    await asyncio.gather(*(dispatch.install(ledger.way) for _ in range(4)))

    kinds = _ask(url, "SELECT relpersistence FROM pg_class WHERE relname = 'pgqueuer'")
    # Unlogged: what it holds can be asked for again.
    assert kinds == [("u",)]


async def _patiently(work: Callable[[], Awaitable[None]]) -> None:
    give_up = time.monotonic() + 30
    while True:
        try:
            return await work()
        except UnavailableError:
            assert time.monotonic() < give_up
            await asyncio.sleep(0.05)


def _jobs(url: str) -> int:
    return _ask(url, "SELECT COUNT(*) FROM pgqueuer")[0][0]


def _ask(url: str, statement: str) -> list[tuple]:
    return postgres_server.shared().ask(statement, database=url.rpartition("/")[2])


# Whole daemons


@asynccontextmanager
async def two_runtimes(
    url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Runtime, Runtime]]:
    monkeypatch.setenv("DATABASE_URL", url)
    hook = {"title": "Hook", "prompt": "x", "trigger": "webhook"}
    files = {"amodal.json": {"database": "env:DATABASE_URL"}, "automations/hook.json": hook}
    for name, (file, document) in itertools.product("ab", files.items()):
        write(folder / name, file, document)
    async with Runtime(folder / "a") as one, Runtime(folder / "b") as other:
        yield one, other


async def test_two_daemons_share_what_is_known_and_what_runs(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_runtimes(url, tmp_path, monkeypatch) as (one, other):
        (row,) = await one.automations()
        assert [row] == await other.automations()

        run_id = await one.trigger("hook", rehearse=True)
        assert (await other.wait(run_id))["status"] == "completed"

        assert one._opened
        house = one._opened.house
        await house.automations.pause(CALLER, "hook", reason="enough")

        async def paused() -> bool:
            return (await other.automations())[0]["status"] == "paused"

        give_up = time.monotonic() + 30
        while not await paused():
            assert time.monotonic() < give_up
            await asyncio.sleep(0.05)
        nodes = await house.nodes.list_all(CALLER)
        assert [node["status"] for node in nodes] == ["living", "living"]
    assert all(each == ("gone",) for each in _ask(url, _GONE))


_GONE = "SELECT CASE WHEN gone_at IS NULL THEN 'living' ELSE 'gone' END FROM nodes"


async def test_a_missing_variable_is_no_reason_to_begin_another_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    (tmp_path / "automations").mkdir()
    (tmp_path / "amodal.json").write_text('{"database": "env:DATABASE_URL"}')

    with pytest.raises(Exception, match="DATABASE_URL is not set"):
        async with Runtime(tmp_path):
            pass

    assert list(tmp_path.glob("**/ledger.sqlite*")) == []
