"""Hundreds of senders that stall: a valid webhook passes between them, and they are let go of."""

import asyncio
import contextlib
import time
from pathlib import Path
from urllib.parse import urlsplit

from daemon_child import automation, daemon, write
from figures import Figures
from scale import scaled

KINDS = ("connects", "half_a_head", "drips_head", "no_body", "drips_body")
CLOSED_SECONDS = 15.0
HEAD = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


class Stalled:
    """One connection that stalls in its own way until the other side hangs up."""

    def __init__(self, kind: str, host: str, port: int, path: bytes) -> None:
        self.kind = kind
        self._to = (host, port)
        self._path = path
        self.lasted = 0.0

    async def stall(self) -> None:
        """Returns when it was hung up on."""
        began = time.monotonic()
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(*self._to)
            drip = asyncio.create_task(self._say(writer))
            with contextlib.suppress(OSError):
                while await reader.read(4096):
                    pass
            drip.cancel()
            await asyncio.gather(drip, return_exceptions=True)
            writer.transport.abort()
        self.lasted = time.monotonic() - began

    async def _say(self, writer: asyncio.StreamWriter) -> None:
        head = HEAD % self._path
        if self.kind == "half_a_head":
            writer.write(head)
        elif self.kind == "drips_head":
            await _drip(writer, head + b"X-Slow: " + b"x" * 1000)
        elif self.kind == "no_body":
            writer.write(head + b"Content-Length: 100\r\n\r\n")
        elif self.kind == "drips_body":
            writer.write(head + b"Content-Length: 1000\r\n\r\n")
            await _drip(writer, b" " * 1000)


async def _drip(writer: asyncio.StreamWriter, text: bytes) -> None:
    for place in range(len(text)):
        writer.write(text[place : place + 1])
        await asyncio.sleep(0.5)


async def _valid(host: str, port: int, path: bytes) -> tuple[int, float]:
    """One whole webhook on a connection of its own: its status, and what it took."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write((HEAD % path) + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
    answer = await reader.read()
    writer.close()
    return int(answer.split(b" ", 2)[1]), time.monotonic() - began


async def _besiege(url: str, count: int) -> tuple[list[Stalled], list[float]]:
    parts = urlsplit(url)
    host, port, path = parts.hostname or "", parts.port or 0, parts.path.encode()
    stalled = [Stalled(KINDS[place % len(KINDS)], host, port, path) for place in range(count)]
    tasks = [asyncio.create_task(each.stall()) for each in stalled]
    await asyncio.sleep(0.5)
    took: list[float] = []
    while not all(task.done() for task in tasks) and len(took) < 1000:
        status, seconds = await _valid(host, port, path)
        assert status == 202
        took.append(seconds)
        await asyncio.sleep(0.1)
    await asyncio.gather(*tasks)
    return stalled, took


def test_five_hundred_that_stall_delay_nobody_and_are_hung_up_on(
    scene: Path, figures: Figures
) -> None:
    root = scene / "w"
    write(root, "amodal.json", {"limits": {"queue": 100_000}})
    automation(root, "hook", trigger="webhook", limits={"concurrency": 1})
    with daemon(root) as child:
        row = child.client.get("/v1/automations/hook")
        count = scaled(ci=500, full=500, soak=5000)
        stalled, took = asyncio.run(_besiege(row["webhook_url"], count))
        kept = {each.kind: each.lasted for each in stalled if each.lasted > CLOSED_SECONDS}
        worst = max(took)
        p95 = sorted(took)[int(len(took) * 0.95)]
        figures.add("stalled_connections", len(stalled))
        figures.add("bad_inputs", len(stalled))
        figures.note("webhook_beside_stalled_p95_ms", round(p95 * 1000))
        assert not kept
        assert p95 < 1.0
        assert worst < 5.0
        events = child.client.get("/v1/events", {"limit": "1000"})
        assert len(events) == len(took)
        assert "http.defect" not in child.output


def test_more_than_the_house_holds_shut_nobody_out(scene: Path, figures: Figures) -> None:
    root = scene / "w"
    write(root, "amodal.json", {"limits": {"queue": 100_000}})
    automation(root, "hook", trigger="webhook", limits={"concurrency": 1})
    with daemon(root) as child:
        row = child.client.get("/v1/automations/hook")
        stalled, took = asyncio.run(_besiege(row["webhook_url"], 900))
        figures.add("stalled_connections", len(stalled))
        figures.add("bad_inputs", len(stalled))
        assert max(took) < 5.0
        assert max(each.lasted for each in stalled) < CLOSED_SECONDS
