"""Senders that insist, and a daemon that dies again and again.

Each sender keeps one connection, posts signed webhooks with ids of their own, now and then one
that was sent before, and repeats what was not acknowledged, as real senders do. What was
acknowledged is remembered here and compared with the ledger's file at the end.
"""

import asyncio
import hashlib
import hmac
import json
import os
import random
import signal
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import aiohttp
from lives import PATIENCE, Life, Zygote, read_json

from amodal_rt.client import find_client

SECRET = "siege-secret-of-ours-0123"
PAUSE = 0.01
"""Seconds that a sender waits before it asks again where nobody listens."""


@dataclass
class Siege:
    """One workspace under load. `acks` maps (automation, id) to the run that was promised."""

    folder: Path
    zygote: Zygote
    rng: random.Random
    automations: tuple[str, ...] = ("left",)
    acks: dict[tuple[str, str], str] = field(default_factory=dict)
    events: set[str] = field(default_factory=set)
    answers: Counter[int] = field(default_factory=Counter)
    conflicting: list[str] = field(default_factory=list)
    """Ids that were acknowledged under two runs."""
    lives: int = 0
    slowest_stop: float = 0
    _life: Life | None = None
    _urls: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root = self.folder / "w"
        self.port = _free_port()
        (self.root / "automations").mkdir(parents=True)
        self._write("amodal.json", {"limits": {"queue": 1_000_000, "concurrency": 2}})
        (self.root / ".env").write_text(f"HOOK_SECRET={SECRET}\n")
        (self.root / ".env").chmod(0o600)
        auth = {"type": "hmac-sha256", "secret": "env:HOOK_SECRET", "dedupeHeader": "X-Event-Id"}
        for name in self.automations:
            document = {"title": name, "prompt": "Look.", "trigger": "webhook", "webhookAuth": auth}
            self._write(f"automations/{name}.json", document)

    async def __aenter__(self) -> Self:
        self._connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        self._session = aiohttp.ClientSession(connector=self._connector)
        await self.rise()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        if self._life is not None:
            self._life.kill()

    async def rise(self) -> None:
        """A new life, ready."""
        await self._bear()
        await self._until_ready()
        client = find_client(self.root / ".amodal-rt", actor="ada")
        for name in self.automations:
            document = await asyncio.to_thread(client.get, f"/v1/automations/{name}")
            self._urls[name] = document["webhook_url"]

    async def fall(self, how: signal.Signals, *, after: float) -> int:
        """Send the signal in so many seconds; how it ended. Then the next is born."""
        life = self._life
        assert life is not None
        await asyncio.sleep(after)
        assert life.alive, f"it ended by itself:\n{life.output()}"
        life.send(how)
        since = time.monotonic()
        status = await asyncio.to_thread(life.wait)
        self.slowest_stop = max(self.slowest_stop, time.monotonic() - since)
        await self._bear()
        return status

    @property
    def good(self) -> int:
        """How many acknowledgements came."""
        return self.answers[200] + self.answers[202]

    async def until_acks(self, more: int) -> None:
        """Until so many more are acknowledged, duplicates among them: a life's length in work,
        whatever the machine."""
        wanted, last = self.good + more, -1
        until = time.monotonic() + PATIENCE
        while self.good < wanted:
            if self.good != last:
                last, until = self.good, time.monotonic() + PATIENCE
            assert time.monotonic() < until, "nothing is acknowledged any more"
            await asyncio.sleep(0.002)

    async def stop(self) -> int:
        """The last life, ready and then asked to end."""
        await self._until_ready()
        assert self._life is not None
        life, self._life = self._life, None
        life.send(signal.SIGTERM)
        return await asyncio.to_thread(life.wait)

    async def send(self, automation: str, identity: str) -> None:
        """One webhook, until it is acknowledged."""
        body = json.dumps({"id": identity, "text": "x" * 200}).encode()
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Event-Id": identity,
            "X-Signature-256": f"sha256={signature}",
        }
        until = time.monotonic() + PATIENCE
        while not await self._post(automation, identity, body, headers):
            assert time.monotonic() < until, f"{identity} is never acknowledged"
            await asyncio.sleep(PAUSE)

    def found(self) -> tuple[list[str], list[str]]:
        """What is lost and what is doubled, by the ledger's file."""
        path = self.root / ".amodal-rt" / "ledger.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
            runs = {run for (run,) in ledger.execute("SELECT id FROM runs")}
            events = {event for (event,) in ledger.execute("SELECT id FROM events")}
            doubled = [
                str(row) for query in (_TWO_EVENTS, _TWO_RUNS) for row in ledger.execute(query)
            ]
            assert ledger.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        lost = [f"{key} was promised {run}" for key, run in self.acks.items() if run not in runs]
        lost += [f"event {event}" for event in self.events - events]
        return lost, doubled + self.conflicting

    async def _post(
        self, automation: str, identity: str, body: bytes, headers: dict[str, str]
    ) -> bool:
        try:
            async with self._session.post(
                self._urls[automation], data=body, headers=headers
            ) as answer:
                self.answers[answer.status] += 1
                if answer.status not in {200, 202}:
                    assert answer.status == 503, await answer.text()
                    return False
                document = await answer.json()
        except (aiohttp.ClientError, OSError):
            return False
        self.events.add(document["event_id"])
        if self.acks.setdefault((automation, identity), document["run_id"]) != document["run_id"]:
            self.conflicting.append(f"{identity} was acknowledged under two runs")
        return True

    async def _bear(self) -> None:
        self.lives += 1
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.folder),
        }
        log = self.folder / f"life-{self.lives}.log"
        self._life = await asyncio.to_thread(
            self.zygote.bear, self.root, log, variables, f"127.0.0.1:{self.port}"
        )

    async def _until_ready(self) -> None:
        life = self._life
        assert life is not None
        until = time.monotonic() + PATIENCE
        while True:
            record = read_json(self.root / ".amodal-rt" / "daemon.json")
            if record and record["pid"] == life.pid and record["url"]:
                return
            assert life.alive, f"it ended by itself:\n{life.output()}"
            assert time.monotonic() < until, "it is never ready"
            await asyncio.sleep(PAUSE)

    def _write(self, file: str, document: object) -> None:
        (self.root / file).write_text(json.dumps(document), encoding="utf-8")


_TWO_EVENTS = """
SELECT address, delivery_id, count(*) FROM events
WHERE delivery_id IS NOT NULL GROUP BY 1, 2 HAVING count(*) > 1
"""
_TWO_RUNS = """
SELECT automation, event_id, count(*) FROM runs
WHERE event_id IS NOT NULL GROUP BY 1, 2 HAVING count(*) > 1
"""


async def keep_sending(siege: Siege, senders: int, over: asyncio.Event) -> None:
    """So many senders, each with ids of its own and one in ten sent again, until it is over."""

    async def sender(number: int) -> None:
        rng = random.Random(siege.rng.getrandbits(32))
        for count, _ in enumerate(iter(over.is_set, True)):
            await siege.send(siege.automations[0], f"{number}-{count}")
            if rng.random() < 0.1:
                await siege.send(siege.automations[0], f"{number}-{rng.randint(0, count)}")

    await asyncio.gather(*(sender(number) for number in range(senders)))


async def send_all(siege: Siege, wanted: Sequence[tuple[str, str]], senders: int) -> None:
    """Each of `wanted` once, by so many senders at once."""
    left: Iterator[tuple[str, str]] = iter(wanted)

    async def sender() -> None:
        for automation, identity in left:
            await siege.send(automation, identity)

    await asyncio.gather(*(sender() for _ in range(senders)))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
