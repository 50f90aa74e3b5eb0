"""A daemon that cannot write says so where load balancers and people look."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from daemon_child import PATIENCE, automation, write

sys.path.insert(0, str(Path(__file__).parents[1]))

import postgres_server
from closed_disk import REFUSED, close_disk, open_disk

from amodal_rt.clock import SystemClock
from amodal_rt.daemon.house import House
from amodal_rt.daemon.serving import Daemon, Plan
from amodal_rt.daemon.stopping import Stopping
from amodal_rt.settings import load_process_settings
from amodal_rt.storage.database import Database


class Scene:
    """A daemon with one webhook, and whoever asks it over TCP."""

    def __init__(self, daemon: Daemon, house: House, session: aiohttp.ClientSession) -> None:
        self._daemon, self._house, self._session = daemon, house, session

    @property
    def database(self) -> Database:
        return self._house.ground.ledger._database

    async def post(self) -> int:
        url = self._house.address.webhook("hook")
        async with self._session.post(f"{url}", data=b"{}") as answer:
            return answer.status

    async def ready(self) -> tuple[int, str | None]:
        async with self._session.get(f"{self._daemon.url}/readyz") as answer:
            return answer.status, (await answer.json()).get("reason")

    def status(self) -> dict[str, object]:
        return self._daemon.status(self._house)

    async def until_not_ready(self) -> str:
        async with asyncio.timeout(PATIENCE):
            while (found := await self.ready())[0] == 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return found[1] or ""

    async def until_ready(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while (await self.ready())[0] != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


@asynccontextmanager
async def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    """A daemon of this process."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for name in ("AMODAL_RT_STATE_DIR", "AMODAL_RT_LISTEN", "AMODAL_RT_WEBHOOK_KEY"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "workspace"
    automation(root, "hook", trigger="webhook")
    plan = Plan(
        root=root,
        settings=load_process_settings(),
        listen="127.0.0.1:0",
        clock=SystemClock(),
        variables={},
    )
    daemon = Daemon(plan, Stopping(bound=False))
    async with daemon.serving() as house, aiohttp.ClientSession() as session:
        yield Scene(daemon, house, session)


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    async with serving(tmp_path, monkeypatch) as made:
        yield made


async def test_what_a_webhook_is_refused_for_is_told_until_a_write_comes_through(
    scene: Scene,
) -> None:
    before = (await scene.ready(), await scene.post(), scene.status()["degraded"])
    await close_disk(scene.database)
    refused = await scene.post()
    told = (await scene.ready(), scene.status()["ready"], scene.status()["degraded"])
    await open_disk(scene.database)
    # Nobody sends anything to a daemon that is not ready.
    await scene.until_ready()

    assert before == ((200, None), 202, [])
    assert refused == 503
    ready, is_ready, degraded = told
    assert (ready, is_ready) == ((503, REFUSED), False)
    assert isinstance(degraded, list)
    assert [each.startswith(REFUSED) for each in degraded] == [True]
    assert (scene.status()["ready"], scene.status()["degraded"]) == (True, [])
    assert await scene.post() == 202


async def test_a_database_that_is_away_is_told_before_the_lease_has_run_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = postgres_server.shared()
    with postgres_server.fresh_ledger() as url:
        write(tmp_path / "workspace", "amodal.json", {"database": url})
        async with serving(tmp_path, monkeypatch) as scene:
            before = await scene.ready()
            await asyncio.to_thread(server.stop, "immediate")
            try:
                told = await scene.until_not_ready()
            finally:
                await asyncio.to_thread(server.start)
            await scene.until_ready()

    assert before == (200, None)
    # Of the lease it would say so seconds later.
    assert told.startswith("the ledger cannot be used right now")
