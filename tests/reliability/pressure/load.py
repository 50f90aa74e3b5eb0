"""Many requests over a fixed number of kept connections, each answer timed."""

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Answered(NamedTuple):
    """One answer, and what it took in seconds."""

    status: int
    document: dict[str, Any]
    seconds: float
    retry_after: bool


@dataclass
class Load:
    """What came back."""

    answers: list[Answered] = field(default_factory=list)

    def quantile(self, share: float) -> float:
        """Seconds that this share of the answers stayed within."""
        took = sorted(each.seconds for each in self.answers)
        return took[min(int(len(took) * share), len(took) - 1)]

    def statuses(self) -> dict[int, int]:
        """How often each status came."""
        found: dict[int, int] = {}
        for each in self.answers:
            found[each.status] = found.get(each.status, 0) + 1
        return found


def post_all(
    requests: Iterable[tuple[str, bytes]],
    *,
    connections: int,
    pause: Callable[[], float] | None = None,
) -> Load:
    """Post each body to its URL, `connections` at a time; all URLs are on one host."""
    return asyncio.run(_post_all(iter(requests), connections, pause))


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


async def _post_all(requests, connections, pause) -> Load:
    load = Load()

    async def sender() -> None:
        streams = None
        for url, body in requests:
            parts = urlsplit(url)
            if streams is None:
                streams = await asyncio.open_connection(parts.hostname, parts.port)
            reader, writer = streams
            head = (
                f"POST {parts.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            began = time.perf_counter()
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            size = int(answer.lower().split(b"content-length: ", 1)[1].split(b"\r", 1)[0])
            document = json.loads(await reader.readexactly(size))
            took = time.perf_counter() - began
            status = int(answer.split(b" ", 2)[1])
            later = b"\r\nRetry-After: " in answer
            load.answers.append(Answered(status, document, took, later))
            if pause is not None:
                await asyncio.sleep(pause())
        if streams is not None:
            streams[1].close()

    await asyncio.gather(*(sender() for _ in range(connections)))
    return load
