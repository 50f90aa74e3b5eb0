"""Servers and nodes killed and paused in the middle of a load: nothing acknowledged is lost."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import postgres_node
import postgres_server

from amodal_rt import failpoints
from amodal_rt.clock import SystemClock
from amodal_rt.storage import dispatch
from amodal_rt.storage.postgres import PostgresLedger

PATIENCE = 30.0
NODE = Path(postgres_node.__file__)


@pytest.fixture
def url() -> Iterator[str]:
    with postgres_server.fresh_ledger() as found:
        yield found


class Node:
    """A child process and what it has said so far."""

    def __init__(self, folder: Path, url: str, *words: str) -> None:
        self._said = folder / f"node-{'-'.join(words)}.out"
        with self._said.open("wb") as out:
            self.process = subprocess.Popen([sys.executable, NODE, url, *words], stdout=out)

    def told(self, word: str) -> list[str]:
        lines = self._said.read_text().splitlines()
        return [line.partition(" ")[2] for line in lines if line.partition(" ")[0] == word]

    def await_told(self, word: str, times: int) -> None:
        until = time.monotonic() + PATIENCE
        while len(self.told(word)) < times:
            assert self.process.poll() is None
            assert time.monotonic() < until, f"{len(self.told(word))} × {word}"
            time.sleep(0.01)


@contextmanager
def nodes(folder: Path, url: str, *all_words: tuple[str, ...]) -> Iterator[list[Node]]:
    started = [Node(folder, url, *words) for words in all_words]
    try:
        yield started
    finally:
        for node in started:
            node.process.kill()
            node.process.wait()


def stored(url: str) -> set[str]:
    rows = postgres_server.shared().ask(
        "SELECT key FROM dedup_keys JOIN events ON events.id = event_id"
        " JOIN runs ON runs.event_id = events.id",
        database=urlsplit(url).path[1:],
    )
    return {key for (key,) in rows}


@pytest.mark.parametrize("end", ["kill", "immediate"])
def test_a_server_that_dies_under_load_loses_nothing_and_all_nodes_go_on(
    tmp_path: Path, url: str, end: str
) -> None:
    server = postgres_server.shared()
    with nodes(tmp_path, url, ("accept", "a"), ("accept", "b")) as both:
        for kill in range(1, 4):
            for node in both:
                node.await_told("ack", len(node.told("ack")) + 100)
            server.kill() if end == "kill" else server.stop("immediate")
            for node in both:
                node.await_told("refused", kill)
            server.start()
        for node in both:
            node.await_told("ack", len(node.told("ack")) + 100)
    acknowledged = {key for node in both for key in node.told("ack")}

    assert len(acknowledged) > 800
    assert acknowledged - stored(url) == set()


def test_a_node_that_dies_under_load_loses_nothing_and_stops_nobody(
    tmp_path: Path, url: str
) -> None:
    with nodes(tmp_path, url, ("accept", "a"), ("accept", "b")) as (dies, lives):
        for node in (dies, lives):
            node.await_told("ack", 200)
        dies.process.kill()
        dies.process.wait()
        lives.await_told("ack", len(lives.told("ack")) + 200)
        refused = lives.told("refused")

    assert refused == []
    assert set(dies.told("ack")) | set(lives.told("ack")) <= stored(url)


async def test_a_node_that_is_paused_in_a_transaction_frees_the_others_within_four_seconds(
    tmp_path: Path, url: str
) -> None:
    async with PostgresLedger(url, clock=SystemClock()) as ledger:
        with nodes(tmp_path, url, ("hold",)) as (holder,):
            await asyncio.to_thread(holder.await_told, "holding", 1)
            holder.process.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            await postgres_node.accept(ledger, "waits")
            took = time.monotonic() - began

    assert took < 4.0


@pytest.mark.parametrize("place", ["dispatch.before_install", "dispatch.after_install"])
async def test_a_node_that_dies_while_it_installs_the_dispatch_leaves_that_to_the_next(
    place: str,
) -> None:
    server = postgres_server.shared()
    database = await asyncio.to_thread(server.fresh)
    command = [sys.executable, NODE, server.url(database), "accept", "a"]
    variables = {**os.environ, failpoints.VARIABLE: f"{place}=kill"}
    try:
        died = await asyncio.to_thread(
            subprocess.run, command, env=variables, timeout=PATIENCE, check=False
        )
        async with PostgresLedger(server.url(database), clock=SystemClock()) as ledger:
            await postgres_node.accept(ledger, "next")
        jobs = server.ask("SELECT entrypoint FROM pgqueuer", database=database)
    finally:
        await asyncio.to_thread(server.drop, database)

    assert died.returncode == -signal.SIGKILL
    assert jobs == [(dispatch.ENTRYPOINT,)]
