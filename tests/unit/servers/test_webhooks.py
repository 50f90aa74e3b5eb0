"""The webhook door translates: statuses, headers and bodies, and nothing leaks."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from amodal_rt.clock import SystemClock
from amodal_rt.errors import InternalError, UnavailableError
from amodal_rt.intake.requests import Answer, RawRequest
from amodal_rt.servers.deadlines import Deadlines, Listener
from amodal_rt.servers.webhooks import webhook_routes


class Behind:
    """What stands behind the door: answers as the test says, and keeps what it was given."""

    def __init__(self) -> None:
        self.answer: Answer | Exception = Answer(status=202, document={"status": "accepted"})
        self.limit = 1_048_576
        self.given: list[RawRequest] = []
        self.bodies: list[bytes | None] = []
        self.reason: str | None = "the daemon starts"

    async def accept(self, request: RawRequest) -> Answer:
        self.given.append(request)
        self.bodies.append(await request.read_body(self.limit))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
async def behind() -> Behind:
    return Behind()


@pytest.fixture
async def client(behind: Behind) -> AsyncIterator[aiohttp.ClientSession]:
    app = web.Application()
    deadlines = Deadlines(request=5)
    app.add_routes(
        webhook_routes(
            behind.accept,
            lambda: behind.reason,
            integrations=behind.accept,
            clock=SystemClock(),
            deadlines=deadlines,
        )
    )
    listener = Listener(app, deadlines=deadlines)
    host, port = await listener.open("127.0.0.1", 0)
    async with aiohttp.ClientSession(f"http://{host}:{port}", auto_decompress=False) as session:
        yield session
    await listener.close()


async def test_a_request_reaches_the_operation_as_it_was_sent(
    client: aiohttp.ClientSession, behind: Behind
) -> None:
    raw = b'\x00\xff{"a":  1}\r\n'

    async with client.post("/webhooks/auto_x?query=ignored", data=raw,
                           headers={"X-Odd": "One"}) as got:  # fmt: skip
        assert got.status == 202
        assert await got.json() == {"status": "accepted"}

    request = behind.given[0]
    assert (request.endpoint, request.method) == ("auto_x", "POST")
    assert ("X-Odd", "One") in request.headers
    assert behind.bodies == [raw]


async def test_a_body_without_a_length_is_read_whole(
    client: aiohttp.ClientSession, behind: Behind
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x" * 10_000

    async with client.post("/webhooks/auto_x", data=parts()) as got:
        assert got.status == 202

    assert behind.bodies == [b"x" * 500_000]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_past_the_limit_is_not_given(
    client: aiohttp.ClientSession, behind: Behind, chunked: bool
) -> None:
    behind.limit = 100_000

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x" * 10_000

    data: Any = parts() if chunked else b"x" * 100_001
    async with client.post("/webhooks/auto_x", data=data) as got:
        assert got.status == 202

    assert behind.bodies == [None]


async def test_a_compressed_body_is_given_as_it_came(
    client: aiohttp.ClientSession, behind: Behind
) -> None:
    async with client.post(
        "/webhooks/auto_x", data=b"\x1f\x8bnot really", headers={"Content-Encoding": "gzip"}
    ) as got:
        assert got.status == 202

    assert behind.bodies == [b"\x1f\x8bnot really"]


async def test_the_answers_headers_are_sent(client: aiohttp.ClientSession, behind: Behind) -> None:
    behind.answer = Answer(status=405, document={}, headers={"Allow": "POST"})

    async with client.put("/webhooks/auto_x") as got:
        assert (got.status, got.headers["Allow"]) == (405, "POST")
    assert behind.given[0].method == "PUT"


@pytest.mark.parametrize(
    "error", [UnavailableError("x", code="queue_full"), InternalError("x"), ValueError("planted"),
              TimeoutError()],
)  # fmt: skip
async def test_whatever_breaks_behind_is_503_with_retry_after(
    client: aiohttp.ClientSession, behind: Behind, error: Exception
) -> None:
    behind.answer = error

    async with client.post("/webhooks/auto_x", data=b"{}") as got:
        text = await got.text()
        assert got.status == 503
        assert int(got.headers["Retry-After"]) > 0
        assert "planted" not in text


async def test_health_is_open_and_readiness_says_why_not(
    client: aiohttp.ClientSession, behind: Behind
) -> None:
    async with client.get("/healthz") as health, client.get("/readyz") as not_yet:
        assert (health.status, not_yet.status) == (200, 503)
        assert (await not_yet.json())["reason"] == "the daemon starts"
    behind.reason = None
    async with client.get("/readyz") as ready:
        assert ready.status == 200


@pytest.mark.parametrize("path", ["/webhooks/auto_x", "/healthz", "/nowhere"])
async def test_no_answer_names_library_or_interpreter(
    client: aiohttp.ClientSession, path: str
) -> None:
    async with client.get(path) as got:
        text = await got.text()
        assert got.headers["Server"] == "amodal-rt"
        assert "aiohttp" not in text + str(got.headers)
        assert "Python" not in text + str(got.headers)
