"""What one node on PostgreSQL revokes, every other refuses."""

import asyncio
import itertools
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import postgres_server
from daemon_child import write

from amodal_rt.clock import SystemClock
from amodal_rt.daemon import neighbours
from amodal_rt.daemon.embedding import Runtime
from amodal_rt.operations.tokens import Tokens
from amodal_rt.ports import Caller
from amodal_rt.storage.postgres import PostgresLedger

_number = itertools.count(1)
CALLER = Caller(actor="ada", door="cli")


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with postgres_server.fresh_ledger() as made:
        monkeypatch.setenv("DATABASE_URL", made)
        yield made


@asynccontextmanager
async def two_nodes(folder: Path) -> AsyncIterator[tuple[Runtime, Runtime]]:
    hook = {"title": "Deployed", "prompt": "x", "trigger": "deploy.finished", "status": "paused"}
    files = {"amodal.json": {"database": "env:DATABASE_URL"}, "automations/deployed.json": hook}
    for name, (file, document) in itertools.product("ab", files.items()):
        write(folder / name, file, document)
    async with (
        Runtime(folder / "a", listen="127.0.0.1:0") as one,
        Runtime(folder / "b", listen="127.0.0.1:0") as other,
    ):
        yield one, other


def desk_of(node: Runtime) -> Tokens:
    """Where tokens are made and revoked."""
    assert node._opened
    return node._opened.house.tokens


async def answer(node: Runtime, secret: str) -> int:
    """What a program with the secret is answered."""
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/cloudevents+json"}
    event = {
        "specversion": "1.0",
        "id": str(next(_number)),
        "source": "ci",
        "type": "deploy.finished",
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{node.url}/events", json=event, headers=headers) as response,
    ):
        return response.status


async def seconds_until(node: Runtime, secret: str, status: int) -> float:
    began = time.monotonic()
    while (found := await answer(node, secret)) != status:
        assert time.monotonic() - began < 30, found
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def test_a_token_that_one_node_revokes_is_refused_by_another_at_its_word(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing but the word of the first node may tell the other.
    monkeypatch.setattr(neighbours, "REREAD_SECONDS", 3600.0)
    async with two_nodes(tmp_path) as (one, other):
        tokens = desk_of(one)
        secret = str((await tokens.create(CALLER, "ci", ["trigger"]))["secret"])
        await seconds_until(other, secret, 202)
        assert await answer(one, secret) == 202

        await tokens.revoke(CALLER, "ci")

        assert await answer(one, secret) == 401
        await seconds_until(other, secret, 401)


async def test_a_token_is_refused_in_time_though_the_word_of_its_end_was_lost(
    url: str, tmp_path: Path
) -> None:
    async with (
        two_nodes(tmp_path) as (one, other),
        PostgresLedger(url, clock=SystemClock()) as silent,
    ):
        made = await desk_of(one).create(CALLER, "ci", ["trigger"])
        secret = str(made["secret"])
        await seconds_until(other, secret, 202)
        # Straight in the ledger: nobody is told.
        await silent.revoke_token("ci", caller=CALLER, at=SystemClock().now())

        seconds = await asyncio.gather(*(seconds_until(each, secret, 401) for each in (one, other)))

    # Twice the promise, for a machine that is busy; the next reading would come later.
    assert max(seconds) < 2 * neighbours.REREAD_SECONDS
