"""A daemon in this process, and a real MCP server process that watches for it."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from daemon_child import automation, write

from amodal_rt.clock import SystemClock
from amodal_rt.daemon.house import House
from amodal_rt.daemon.serving import Daemon, Plan
from amodal_rt.daemon.stopping import Stopping
from amodal_rt.domain.remote_trigger import RemoteState
from amodal_rt.domain.run import Run, RunStatus
from amodal_rt.executors.acting.mcp_triggers import SECONDS
from amodal_rt.ports import SNAPSHOT, RunFilter
from amodal_rt.settings import load_process_settings
from amodal_rt.testing.trigger_server import ask

MODULE = ("-m", "amodal_rt.testing.trigger_server")
PATIENCE = 60.0
"""Seconds; only a broken daemon takes them."""


class Patience(SystemClock):
    """The machine's clock; a server's five seconds pass as fast, and hours as far, as a test
    says."""

    def __init__(self) -> None:
        self.later = 0.0
        self.answer_seconds = SECONDS

    def monotonic(self) -> float:
        return super().monotonic() + self.later

    def deadline(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        return super().deadline(self.answer_seconds if seconds == SECONDS else seconds)


@dataclass
class Scene:
    """`transport` is `stdio` or `http`."""

    folder: Path
    transport: str
    clock: Patience = field(default_factory=Patience)
    port: int = 0
    process: asyncio.subprocess.Process | None = None

    def __post_init__(self) -> None:
        self.root = self.folder / "workspace"
        self.control = self.folder / "control"
        write(self.root, "amodal.json", {"egress": {"allowPrivate": ["127.0.0.0/8"]}})

    def waits(self, name: str, event: str = "notes.item.created", **keys: Any) -> None:
        """An automation that waits for an event of the server."""
        automation(self.root, name, triggers=[{"type": "event", "event": event, **keys}])

    async def start_server(self) -> None:
        """Over HTTP a process of ours, over stdio a command for the daemon."""
        if self.transport == "stdio":
            args = [*MODULE, "--control", str(self.control)]
            spec: dict[str, object] = {"command": sys.executable, "args": args}
        else:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, *MODULE, "--port", str(self.port), "--control", str(self.control),
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            assert self.process.stdout
            self.port = int((await self.process.stdout.readline()).split()[-1])
            spec = {"url": f"http://127.0.0.1:{self.port}/mcp"}
            await until(self._listens)
        spec |= {"protocol": "mcp", "transport": self.transport}
        write(self.root, "connections/notes/spec.json", spec)

    async def kill_server(self) -> None:
        """At once, and with all that it knew."""
        pid = await self.ask(pid=True)
        os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            await self.process.wait()
            self.process = None

    async def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            await self.process.wait()

    async def ask(self, **command: object) -> Any:
        """Command the server."""
        return await ask(self.control, **command)

    async def watchers(self) -> list[dict[str, Any]]:
        """Who is called back, as the server knows it; nobody while there is none."""
        try:
            found: list[dict[str, Any]] = await self.ask(watchers=True)
        except (OSError, ValueError):
            return []
        return found

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator["Daemoned"]:
        """A daemon that serves the workspace for as long as the block."""
        plan = Plan(
            root=self.root, settings=load_process_settings(), listen="127.0.0.1:0", clock=self.clock
        )
        daemon = Daemon(plan, Stopping(bound=False))
        async with daemon.serving() as house, aiohttp.ClientSession() as session:
            yield Daemoned(self, house, daemon, session)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[tuple["Daemoned", dict[str, Any]]]:
        """A daemon whose only trigger stands, and who is called back, as the server knows it."""
        async with self.daemon() as daemon:
            await daemon.stands(RemoteState.ACTIVE)
            [watcher] = await self.watchers()
            yield daemon, watcher

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True


@dataclass
class Daemoned:
    """The daemon from inside and from outside."""

    scene: Scene
    house: House
    daemon: Daemon
    session: aiohttp.ClientSession

    def look(self) -> None:
        """Have the servers looked at now."""
        self.house.ground.signals.notify(SNAPSHOT)

    async def stands(self, *states: RemoteState | None) -> None:
        """Wait until the triggers stand like this."""

        async def so() -> bool:
            found = [each.state for each in self.house.remote.standings()]
            return found == list(states)

        await until(so)

    async def call(
        self, token: str, document: object, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """What the callback's door answers."""
        url = f"{self.daemon.url}/api/trigger-callback"
        proof = {"Authorization": f"Bearer {token}", **(headers or {})}
        async with self.session.post(url, json=document, headers=proof) as answer:
            return answer.status, await answer.json()

    async def runs(self, name: str, *, ended: int | None = None) -> list[Run]:
        """The runs of an automation, oldest first; with `ended`, once so many have."""

        async def so() -> bool:
            open_ = (RunStatus.PENDING, RunStatus.RUNNING)
            found = await self._runs(name)
            return ended is None or sum(each.status not in open_ for each in found) >= ended

        await until(so)
        return await self._runs(name)

    async def _runs(self, name: str) -> list[Run]:
        found = await self.house.ground.ledger.list_runs(RunFilter(automation=name))
        return sorted(found, key=lambda each: each.run_id)


async def until(so: Callable[[], Awaitable[bool]]) -> None:
    """Return once it is so."""
    async with asyncio.timeout(PATIENCE):
        while not await so():  # noqa: ASYNC110  (a process elsewhere tells nobody)
            await asyncio.sleep(0.02)
