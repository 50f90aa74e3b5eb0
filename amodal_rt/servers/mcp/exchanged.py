"""One request to the MCP server and its answer, whoever carries them."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, Self

from amodal_rt.servers.mcp.visit import Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """The answer to one request over HTTP."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Exchanging(Protocol):
    """What speaks the protocol."""

    def opened(self) -> AbstractAsyncContextManager[Self]:
        """Open it: to be left by the task that entered it."""
        ...

    async def exchange(
        self, headers: list[tuple[bytes, bytes]], content: bytes, visit: Visit
    ) -> Exchanged:
        """Answer a POST of one message, while it is open. `headers` have lower-case names."""
        ...
