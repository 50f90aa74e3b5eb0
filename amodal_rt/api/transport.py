"""Requests to one daemon: what they carry, how long they take, which of them are repeated."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Protocol, cast
from urllib.parse import quote, urlsplit

import aiohttp
from yarl import URL

from amodal_rt.api.problems import ApiError, late, refused, unknown_answer, unreachable
from amodal_rt.clock import Clock
from amodal_rt.errors import InvalidError

LONGEST_PAUSE = 60.0
"""Seconds: a `Retry-After` beyond that is not waited for."""
USUAL_PAUSE = 1.0
"""Seconds before a second try where nobody says how long; each further one is double."""

Query = Mapping[str, str | int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. `path` is a template of the OpenAPI document, `parts` fill it; of `query`, None
    is left out. `again`: to do it twice does no more than to do it once."""

    method: str
    path: str
    parts: Mapping[str, str]
    query: Query | None = None
    body: object = None
    media: str = "application/json"
    again: bool = False

    @property
    def target(self) -> str:
        """Path and query as they are sent."""
        filled = self.path
        for name, value in self.parts.items():
            # Whatever a name holds, it stays one part of the path: a slash or a dot would ask
            # something else, with our token.
            filled = filled.replace(f"{{{name}}}", _part(value))
        given = {name: each for name, each in (self.query or {}).items() if each is not None}
        words = "&".join(f"{name}={quote(str(each), safe='')}" for name, each in given.items())
        return f"{filled}?{words}" if words else filled


class Asks(Protocol):
    """What carries calls."""

    async def ask(self, call: Call) -> object:
        """The JSON of the answer, None for one without body. Raises ApiError."""
        ...


class Transport:
    """Implements `Asks` over one session, which `close` ends.

    A call that may be made again is made again when it is answered with 503 or not at all, at most
    `retries` times, after the pause that the answer asks for. Redirects are not followed: they
    would show the token to somebody else.
    """

    def __init__(
        self, url: str, token: str, *, timeout_seconds: float, retries: int, clock: Clock
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
            raise InvalidError(
                f"{url!r} is no URL of a daemon", code="bad_url", hint="http://127.0.0.1:3847"
            )
        if not token.isascii() or not token.isprintable() or not token.strip():
            raise InvalidError(
                "that is no token", code="bad_token", hint="amodal-rt tokens create NAME"
            )
        self.where = f"{parts.scheme}://{parts.netloc}"
        self.clock = clock
        self.retries = retries
        self._base = f"{self.where}{parts.path.rstrip('/')}"
        self._headers = {"Authorization": f"Bearer {token.strip()}"}
        self._seconds = timeout_seconds
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Let go of every connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def ask(self, call: Call) -> object:
        """As `Asks.ask`. Raises ApiError."""
        tries = 0
        while True:
            try:
                return await self._once(call)
            except ApiError as error:
                pause = self.pause(error, tries) if call.again else None
                if pause is None:
                    raise
            tries += 1
            await self.clock.sleep(pause)

    def pause(self, error: ApiError, tries: int) -> float | None:
        """Seconds until it may be asked again after `tries` such errors; None where it is not."""
        if tries >= self.retries or not (error.status == 503 or error.code == "unreachable"):
            return None
        asked = self._asked_pause(error.retry_after)
        pause = USUAL_PAUSE * 2**tries if asked is None else asked
        return pause if pause <= LONGEST_PAUSE else None

    @asynccontextmanager
    async def open(
        self, call: Call, headers: Mapping[str, str] | None = None
    ) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        """The answer of a call, its body unread. Raises ApiError for one of 300 or more, and for
        what keeps the body from being read."""
        sent = {**self._headers, **(headers or {})}
        content = None if call.body is None else json.dumps(call.body).encode()
        if content is not None:
            sent["Content-Type"] = call.media
        url = URL(self._base + call.target, encoded=True)
        try:
            async with self._opened().request(
                call.method, url, data=content, headers=sent, allow_redirects=False
            ) as answer:
                if answer.status >= 400:
                    said = answer.headers.get("Retry-After")
                    raise refused(answer.status, await answer.read(), said)
                if answer.status >= 300:
                    raise unknown_answer(answer.status)
                yield answer
        except (aiohttp.ClientError, OSError) as error:
            # A deadline of the caller is an OSError too, and for the caller to tell of.
            if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError):
                raise
            raise unreachable(self.where, str(error) or type(error).__name__) from None

    async def _once(self, call: Call) -> object:
        try:
            async with self.clock.deadline(self._seconds), self.open(call) as answer:
                content, status = await answer.read(), answer.status
        except TimeoutError:
            raise late(self.where, self._seconds) from None
        if status == 204:
            return None
        try:
            return cast("object", json.loads(content))
        except (ValueError, RecursionError):
            raise unknown_answer(status) from None

    def _asked_pause(self, text: str | None) -> float | None:
        """Seconds of a `Retry-After`: a number of them, or an HTTP date (RFC 9110, 10.2.3)."""
        if not text:
            return None
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return max((at - self.clock.now()).total_seconds(), 0.0)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Streams wait for as long as a run takes; what is to be short has a deadline.
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
                connector=aiohttp.TCPConnector(limit=0),
            )
        return self._session


def _part(value: str) -> str:
    """One part of a path. Raises InvalidError for one that would be none."""
    quoted = quote(value, safe="")
    if not quoted.strip("."):
        raise InvalidError(f"{value!r} names nothing", code="bad_name")
    return quoted
