"""The story's run on real daemons that die, with everything outside of them on real sockets."""

import asyncio
import json
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import resume_story as story
from agent_house import Service
from daemon_child import PATIENCE, automation, write

from amodal_rt.client import Client, find_client
from amodal_rt.errors import AmodalError
from amodal_rt.testing.model_server import Asked, ModelServer

ENDED = {"completed", "failed", "cancelled", "skipped"}
MCP = ("-m", "amodal_rt.testing.mcp_server")


class World:
    """A model, a service and a receiver of alerts, on a loop in a thread of their own."""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._do(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def take(self) -> tuple[list[Asked], list[str]]:
        """What the model was asked and what reached the service since the last call."""
        asked, self.model.requests = self.model.requests, []
        reached, self.service.requests = self.service.requests, []
        return asked, [f"{each.method} {each.path}" for each in reached]

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that arrived."""
        return [json.loads(each.body) for each in self.receiver.requests]

    async def _open(self) -> None:
        self.model, self.service, self.receiver = ModelServer(), Service(), Service()
        self.model.answer(story.answer)
        for each in (self.model, self.service, self.receiver):
            await each.__aenter__()

    async def _close(self) -> None:
        for each in (self.model, self.service, self.receiver):
            await each.__aexit__()

    def _do(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)


class Process(Protocol):
    """One daemon."""

    pid: int

    @property
    def alive(self) -> bool: ...

    def kill(self) -> None: ...

    def output(self) -> str: ...


Bear = Callable[[Path, Path, Mapping[str, str]], Process]
"""Start a daemon on a workspace, with a log and with these variables as its environment."""


@dataclass
class Death:
    """What the journal said when a process had died, and what came after it until the next."""

    told: story.Told
    asked: list[Asked] = field(default_factory=list)
    reached: list[str] = field(default_factory=list)


@dataclass
class Played:
    """One run over all its lives."""

    run: dict[str, Any]
    deaths: list[Death]
    asked: list[Asked]
    reached: list[str]
    alerts: list[dict[str, Any]]
    entries: list[dict[str, Any]]

    @property
    def repeated(self) -> list[str]:
        """Steps that were done again though their outcome stood."""
        return [
            each
            for death in self.deaths
            for each in story.repeated(death.told, death.asked, death.reached)
        ]

    @property
    def unknown(self) -> bool:
        """Whether it was cut off in a write."""
        return any(death.told.unknown for death in self.deaths)

    def wrong(self) -> list[str]:
        """A sentence for each promise that does not hold."""
        said = [f"repeated: {each}" for each in self.repeated]
        said += [f"written twice: {each}" for each in story.twice_written(self.reached)]
        run, usage = self.run, self.run["usage"]
        ended = (run["status"], run["reason"])
        if self.unknown:
            if ended != ("failed", "interrupted"):
                said.append(f"a write of unknown outcome, and the run is {ended}")
            if not any(each["run_id"] == run["run_id"] for each in self.alerts):
                said.append("a write of unknown outcome, and nobody was told")
            return said
        if ended != ("completed", None):
            return [*said, f"the run is {ended}: {run['error']}"]
        if run["result"]["text"] != story.RESULT:
            said.append(f"the result is {run['result']['text']!r}")
        counted = (usage["turns"], usage["input_tokens"], usage["output_tokens"])
        if counted != (story.TURNS, *(story.TURNS * each for each in story.TOKENS)):
            said.append(f"counted {counted}")
        return said


class Scene:
    """A workspace with the story's automation, and daemons on it, one after the other."""

    def __init__(self, folder: Path, world: World, bear: Bear, *, mcp: Sequence[str] = MCP) -> None:
        self.root = folder / "w"
        self._folder = folder
        self.world = world
        self._bear = bear
        self.state = self.root / ".amodal-rt"
        self.lives = 0
        self._furnish(mcp)

    def play(self, *fates: str, later: Callable[[], None] | None = None) -> Played:
        """Trigger the run and let it go to its end, over as many lives as have a fate.

        `later` is called when the first process has died.
        """
        self.take()
        deaths: list[Death] = []
        all_asked: list[Asked] = []
        all_reached: list[str] = []
        left = list(fates)
        while True:
            fate = left.pop(0) if left else ""
            process = self.start(fate)
            try:
                ended = self._follow(process)
                alerts = self._told_of(process) if ended else []
            finally:
                process.kill()
            asked, reached = self.take()
            all_asked += asked
            all_reached += reached
            if deaths:
                deaths[-1].asked, deaths[-1].reached = asked, reached
            if ended:
                return Played(ended, deaths, all_asked, all_reached, alerts, self.entries())
            assert fate, f"it died by itself:\n{process.output()}"
            if later is not None and not deaths:
                later()
            deaths.append(Death(story.Told(self.entries())))

    def take(self) -> tuple[list[Asked], list[str]]:
        """What the model was asked and what reached services since the last call."""
        asked, reached = self.world.take()
        return asked, reached + self._mcp()

    def start(self, fate: str = "", **variables: str) -> Process:
        """A daemon, not yet ready."""
        self.lives += 1
        given = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "XDG_RUNTIME_DIR": str(self._folder),
            "MODEL_KEY": "key-canary",
            "AMODAL_RT_FAILPOINTS": fate,
            "AMODAL_RT_FAILPOINTS_LOG": str(self._folder / f"hits-{self.lives}"),
            **variables,
        }
        return self._bear(self.root, self._folder / f"life-{self.lives}.log", given)

    def hits(self, life: int) -> list[str]:
        """`name:nth` of the failpoints that one life passed, the first being 1."""
        path = self._folder / f"hits-{life}"
        return path.read_text().split() if path.exists() else []

    def entries(self) -> list[dict[str, Any]]:
        """The journal of the only run, read from the ledger's file."""
        path = self.state / "ledger.sqlite"
        if not path.exists():
            return []
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
            ledger.row_factory = sqlite3.Row
            try:
                rows = ledger.execute("SELECT * FROM journal ORDER BY run_id, sequence")
            except sqlite3.OperationalError:
                # It died before it had any table.
                return []
            return [dict(row) for row in rows]

    def is_up(self) -> bool:
        """Whether the control socket answers."""
        try:
            self.client.get("/v1/runs")
        except (OSError, AmodalError):
            return False
        return True

    @property
    def client(self) -> Client:
        return find_client(self.state, actor="ada")

    def _follow(self, process: Process) -> dict[str, Any] | None:
        """The run's document at its end; None when the process died before."""
        until = time.monotonic() + PATIENCE * 2
        while process.alive:
            try:
                rows = self.client.get("/v1/runs")
                if not rows:
                    self.client.post("/v1/automations/story/trigger")
                elif rows[0]["status"] in ENDED:
                    return self.client.get(f"/v1/runs/{rows[0]['run_id']}")
            except (OSError, AmodalError):
                # Not up yet, or dying.
                pass
            assert time.monotonic() < until, f"it never ends:\n{process.output()}"
            time.sleep(0.02)
        return None

    def _told_of(self, process: Process) -> list[dict[str, Any]]:
        """The alerts, when all that is owed was sent."""
        until = time.monotonic() + PATIENCE
        while process.alive and time.monotonic() < until:
            rows = self.client.get("/v1/deliveries")
            if all(row["status"] not in {"pending", "sending"} for row in rows):
                break
            time.sleep(0.02)
        return self.world.alerts()

    def _mcp(self) -> list[str]:
        path = self._folder / "mcp-calls"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return story.mcp_reached(lines)

    def _furnish(self, mcp: Sequence[str]) -> None:
        root, world = self.root, self.world
        local = {
            "type": "openai-compatible", "baseUrl": world.model.openai_url,
            "apiKey": "env:MODEL_KEY",
        }  # fmt: skip
        settings = {
            "model": "local:small",
            "providers": {"local": local},
            "egress": {"allowPrivate": ["127.0.0.0/8"]},
        }
        write(root, "amodal.json", settings)
        write(root, "stores/seen.json", {"schema": {"type": "object"}})
        crm = {"protocol": "rest", "baseUrl": world.service.origin, "auth": {"type": "none"}}
        write(root, "connections/crm/spec.json", crm)
        tools = {
            "protocol": "mcp", "transport": "stdio", "command": sys.executable, "args": [*mcp],
            "env": {"MCP_CALLS": str(self._folder / "mcp-calls")},
        }  # fmt: skip
        write(root, "connections/tools/spec.json", tools)
        write(root, "connections/tools/access.json", {"tools": {"lookup": {"intent": "read"}}})
        target = {"type": "webhook", "url": f"{world.receiver.origin}/alerts"}
        automation(
            root,
            "story",
            prompt=story.PROMPT,
            writeEnabled=True,
            limits={"maxTurns": story.TURNS, "writes": {"perRun": 2}},
            failureAlert={"targets": [target]},
        )
