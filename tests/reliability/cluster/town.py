"""Several daemons on one PostgreSQL, each on a machine of its own, and who sends to them."""

import asyncio
import hashlib
import hmac
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
import postgres_server
import psycopg
from netns import Machine, Network
from surroundings import WRITES, Outside

import amodal_rt

SECRET = "town-secret-of-ours-0123"
PORT = 3847
PATIENCE = 90.0
OVERALL = 4
ANSWER_SECONDS = 12.0
"""How long the database is asked: longer than a connection to it may take."""
MOST_WAITING = 12
LIMITS = {"left": 2, "right": 3}
_DAEMON = Path(sys.executable).parent / "amodal-rt"
_TREE = Path(amodal_rt.__file__).parents[1]
_TERMINAL = ("completed", "failed", "cancelled", "skipped")


class Database(postgres_server.Server):
    """A server that the machines of a network reach at `address`."""

    def __init__(self, address: str) -> None:
        super().__init__([f"listen_addresses=127.0.0.1,{address}"])
        self._address = address
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {address}/24 trust\n")
        self.start()
        self.name = self.fresh()

    @property
    def shared_url(self) -> str:
        """How a machine reaches the ledger."""
        return f"postgresql://{postgres_server.OWNER}@{self._address}:{self.port}/{self.name}"

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What the ledger holds, asked past every node."""
        return await asyncio.to_thread(self.ask, statement, database=self.name)


@dataclass
class Node:
    """One daemon after another on one machine, with a copy of the workspace."""

    machine: Machine
    folder: Path
    url: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://{self.machine.address}:{PORT}"

    def start(self) -> None:
        """A new daemon."""
        assert self.process is None
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.machine.command(
                    str(_DAEMON), "up", "--workspace", str(self.folder / "w"),
                    "--listen", f"0.0.0.0:{PORT}",
                ),
                env={
                    "PATH": os.environ["PATH"], "HOME": str(self.folder),
                    "DATABASE_URL": self.url, "HOOK_SECRET": SECRET, "MODEL_KEY": "any",
                    "XDG_RUNTIME_DIR": str(self.folder), "LANG": "C.UTF-8",
                    # A planted bug is looked for in the tree that has it.
                    "PYTHONPATH": str(_TREE),
                },
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def send(self, number: signal.Signals) -> None:
        """A signal to the daemon."""
        assert self.process is not None
        self.process.send_signal(number)

    async def gone(self) -> int:
        """Its exit status, once it has ended."""
        assert self.process is not None
        status = await asyncio.to_thread(self.process.wait, PATIENCE)
        self.process = None
        return status

    def log(self) -> str:
        """What all its daemons said."""
        return (self.folder / "log").read_text(errors="replace")


@dataclass
class Town:
    """The database, the nodes, the world, and the senders' memory: `acks` by event."""

    scene: Path
    network: Network
    rng: random.Random
    acks: dict[str, str] = field(default_factory=dict)
    answers: Counter[int] = field(default_factory=Counter)
    conflicting: list[str] = field(default_factory=list)
    _sent: int = 0

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._build(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _build(self, stack: AsyncExitStack) -> None:
        self.outside = await stack.enter_async_context(Outside(self.network.world))
        self.database = await asyncio.to_thread(Database, self.network.database)
        stack.push_async_callback(asyncio.to_thread, self.database.close)
        self.nodes = [
            Node(machine, self._folder(number), self.database.shared_url)
            for number, machine in enumerate(self.network.machines)
        ]
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=8))
        stack.push_async_callback(self._session.close)
        stack.push_async_callback(self._end)
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            await self.ready(node)
        client = await self._status(self.nodes[0], "/v1/automations")
        self._paths = {each["name"]: each["webhook_url"].rpartition("/")[2] for each in client}

    async def _end(self) -> None:
        for node in self.nodes:
            if node.process is not None:
                node.send(signal.SIGKILL)
                await node.gone()

    async def ready(self, node: Node) -> None:
        """Wait until it says so."""
        await until(lambda: self._is_ready(node), f"{node.machine.name} is ready:\n{node.log()}")

    async def load(self, rate: float, over: asyncio.Event) -> None:
        """Send webhooks to random nodes, each until one of them acknowledges it; no faster than
        runs come to their end, or the last would wait for ever."""
        sending: list[asyncio.Task[None]] = []
        while not over.is_set():
            if await self._is_behind():
                await asyncio.sleep(0.5)
                continue
            sending.append(asyncio.create_task(self._send()))
            await asyncio.sleep(self.rng.expovariate(rate))
        await asyncio.gather(*sending)

    async def carried_by(self, node: Node) -> str:
        """Its id, once it carries a run in the middle of its work."""
        assert node.process is not None
        statement = (
            "SELECT n.id FROM nodes n JOIN runs r ON r.node = n.id AND r.status = 'running'"
            f" WHERE n.pid = {node.process.pid} AND n.gone_at IS NULL LIMIT 1"
        )

        async def found() -> bool:
            return bool(await self.database.rows(statement))

        await until(found, "it carries a run")
        rows = await self.database.rows(
            f"SELECT id FROM nodes WHERE pid = {node.process.pid} AND gone_at IS NULL"
        )
        return rows[0][0]

    async def taken_over(self, node_id: str, since: float) -> float:
        """Seconds from `since` until nothing is carried under that id any more."""
        statement = (
            f"SELECT (SELECT COUNT(*) FROM runs WHERE status = 'running' AND node = '{node_id}')"
            f" + (SELECT COUNT(*) FROM nodes WHERE id = '{node_id}' AND gone_at IS NULL)"
        )

        async def over() -> bool:
            return (await self.database.rows(statement))[0][0] == 0

        await until(over, f"{node_id} is taken over", every=0.05)
        return time.monotonic() - since

    async def settle(self) -> None:
        """Wait until every run has ended, however many there are and however slow the machine:
        fewer must be open than ever before within each `PATIENCE`."""
        statement = "SELECT id, status FROM runs WHERE status IN ('pending', 'running')"
        still = await self.database.rows(statement)

        async def fewer() -> bool:
            nonlocal still
            now = await self.database.rows(statement)
            less = len(now) < len(still)
            still = now if less else still
            return less

        while still:
            await until(fewer, f"every run has ended; open are {still}")

    async def _is_behind(self) -> bool:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                rows = await self.database.rows(
                    "SELECT COUNT(*) FROM runs WHERE status = 'pending'"
                )
        except (psycopg.Error, TimeoutError):
            # It is away, or silent: who sends now is refused, as is to be seen.
            return False
        return rows[0][0] > MOST_WAITING

    async def _send(self) -> None:
        self._sent += 1
        event = f"ev-{self._sent}-{self.rng.randbytes(4).hex()}"
        name = self.rng.choice(list(LIMITS))
        body = json.dumps({"id": event}).encode()
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json", "X-Event-Id": event,
            "X-Signature-256": f"sha256={signature}",
        }  # fmt: skip
        give_up = time.monotonic() + PATIENCE
        while True:
            node = self.rng.choice(self.nodes)
            if await self._post(
                f"{node.address}/webhooks/{self._paths[name]}", event, body, headers
            ):
                # Senders repeat what they were not sure of, here and there.
                if self.rng.random() < 0.2:
                    continue
                return
            assert time.monotonic() < give_up, f"{event} is never acknowledged"
            await asyncio.sleep(0.2)

    async def _post(self, url: str, event: str, body: bytes, headers: dict[str, str]) -> bool:
        try:
            async with self._session.post(url, data=body, headers=headers) as answer:
                self.answers[answer.status] += 1
                if answer.status == 503:
                    assert answer.headers["Retry-After"]
                    return False
                assert answer.status in (200, 202), await answer.text()
                run = (await answer.json())["run_id"]
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False
        if self.acks.setdefault(event, run) != run:
            self.conflicting.append(event)
        return True

    async def _is_ready(self, node: Node) -> bool:
        assert node.process is not None
        assert node.process.poll() is None, node.log()
        try:
            async with self._session.get(f"{node.address}/readyz") as answer:
                return answer.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    async def _status(self, node: Node, path: str) -> Any:
        connector = aiohttp.UnixConnector(str(node.folder / "w/.amodal-rt/control.sock"))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(f"http://daemon{path}") as answer,
        ):
            return await answer.json()

    def _folder(self, number: int) -> Path:
        folder = self.scene / f"n{number}"
        files = {
            "amodal.json": {
                "database": "env:DATABASE_URL", "model": "world:m",
                "providers": {"world": {
                    "type": "openai-compatible", "baseUrl": f"{self.outside.url}/v1",
                    "apiKey": "env:MODEL_KEY",
                }},
                "limits": {"concurrency": OVERALL, "queue": 100_000},
                "egress": {"allowPrivate": ["10.0.0.0/8"]},
            },
            "connections/world/spec.json": {
                "protocol": "rest", "baseUrl": self.outside.url, "auth": {"type": "none"},
            },
        }  # fmt: skip
        auth = {"type": "hmac-sha256", "secret": "env:HOOK_SECRET", "dedupeHeader": "X-Event-Id"}
        for name, limit in LIMITS.items():
            files[f"automations/{name}.json"] = {
                "title": name, "prompt": "Write, look, write.", "trigger": "webhook",
                "webhookAuth": auth, "writeEnabled": True, "connections": ["world"],
                "limits": {"concurrency": limit, "writes": {"perRun": 9, "perHour": 100_000}},
            }  # fmt: skip
        # Which event it writes of comes from the event, as the file says it may.
        said = {"intent": "write", "reach": ["ev-*", "1", str(WRITES)]}
        files["connections/world/access.json"] = {"endpoints": {"POST /write": said}}
        for name, document in files.items():
            path = folder / "w" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(document))
        return folder


async def until(
    fact: Callable[[], Awaitable[bool]],
    what: str,
    *,
    every: float = 0.2,
    patience: float = PATIENCE,
) -> None:
    """Wait for a fact."""
    give_up = time.monotonic() + patience
    while not await fact():
        assert time.monotonic() < give_up, f"never: {what}"
        await asyncio.sleep(every)
