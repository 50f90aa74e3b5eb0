"""Slow, silent, malformed and countless senders on real sockets, under short deadlines."""

import asyncio
import hmac
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from amodal_rt.clock import SystemClock
from amodal_rt.intake.requests import Answer, RawRequest
from amodal_rt.servers.crowd import Crowd
from amodal_rt.servers.deadlines import Deadlines, Listener
from amodal_rt.servers.webhooks import webhook_routes

SHORT = Deadlines(head=0.2, body=0.2, request=0.6, idle=0.4)
PATIENCE = 5.0
"""Far above every deadline here: what takes this long was not bounded."""

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
LOOP = asyncio.get_running_loop
_hanging: list[RawRequest] = []
"""Requests that are at work, for as long as they are."""


async def _accept(request: RawRequest) -> Answer:
    body = await request.read_body(1000)
    if body == b"hang":
        _hanging.append(request)
        try:
            await asyncio.Event().wait()
        finally:
            _hanging.remove(request)
    status = 413 if body is None else 202
    return Answer(status=status, document={"size": len(body or b"")})


@asynccontextmanager
async def _listening(crowd: Crowd | None = None) -> AsyncIterator[Connect]:
    app = web.Application()
    app.add_routes(
        webhook_routes(
            _accept, lambda: None, integrations=_accept, clock=SystemClock(), deadlines=SHORT
        )
    )
    listener = Listener(app, deadlines=SHORT, crowd=crowd)
    host, port = await listener.open("127.0.0.1", 0)
    writers: list[asyncio.StreamWriter] = []

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(host, port)
        writers.append(writer)
        return reader, writer

    yield connect
    for writer in writers:
        writer.close()
    await listener.close()


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    async with _listening() as connect:
        yield connect


async def _until_closed(reader: asyncio.StreamReader) -> tuple[bytes, float]:
    """All that still comes, and the seconds until the server hung up."""
    began = LOOP().time()
    try:
        async with asyncio.timeout(PATIENCE):
            text = await reader.read()
    except ConnectionResetError:
        text = b""
    return text, LOOP().time() - began


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """One whole answer: status and body."""
    async with asyncio.timeout(PATIENCE):
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
        body = await reader.readexactly(int(fields[b"Content-Length"]))
    return int(head.split(b" ")[1]), body


async def _at_work(count: int) -> None:
    """Wait until so many requests hang."""
    async with asyncio.timeout(PATIENCE):
        while len(_hanging) < count:  # noqa: ASYNC110  handlers come and go
            await asyncio.sleep(0.005)


def _post(body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = f"POST /webhooks/auto_x HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
    return head.encode() + body


async def test_a_connection_that_says_nothing_is_hung_up_on(connect: Connect) -> None:
    reader, _ = await connect()

    text, seconds = await _until_closed(reader)

    assert text == b""
    assert 0.15 < seconds < 2


async def test_headers_dripped_byte_by_byte_run_into_the_deadline(connect: Connect) -> None:
    """Each byte would renew a deadline that counts from the last one."""
    reader, writer = await connect()

    async def drip() -> None:
        for byte in b"POST /webhooks/auto_x HTTP/1.1\r\nX: " + b"x" * 1000:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    text, seconds = await _until_closed(reader)
    dripping.cancel()

    assert text.startswith(b"HTTP/1.1 408 ")
    assert seconds < 2


async def test_slow_headers_of_a_second_request_run_into_the_deadline(connect: Connect) -> None:
    reader, writer = await connect()
    writer.write(_post(b"first"))
    assert (await _answer(reader))[0] == 202

    writer.write(b"POST /webhooks/auto_x HTT")
    text, seconds = await _until_closed(reader)

    assert text.startswith(b"HTTP/1.1 408 ")
    assert seconds < 0.39, "only the idle deadline ended it"


async def test_a_body_that_never_comes_is_408(connect: Connect) -> None:
    reader, writer = await connect()

    writer.write(_post(b"", length=100))
    status, body = await _answer(reader)

    assert status == 408
    assert json.loads(body)["error"]["code"] == "timed_out"
    assert (await _until_closed(reader))[1] < 2


async def test_a_body_dripped_byte_by_byte_is_408(connect: Connect) -> None:
    reader, writer = await connect()
    writer.write(_post(b"", length=900))

    async def drip() -> None:
        for _ in range(900):
            writer.write(b"x")
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    status, _ = await _answer(reader)
    dripping.cancel()

    assert status == 408


async def test_an_idle_connection_is_kept_for_a_while_and_closed_then(connect: Connect) -> None:
    reader, writer = await connect()
    for _ in range(2):
        writer.write(_post(b"again"))
        assert (await _answer(reader))[0] == 202

    text, seconds = await _until_closed(reader)

    assert text == b""
    assert 0.3 < seconds < 2


async def test_a_request_that_nobody_answers_is_503_by_its_deadline(connect: Connect) -> None:
    reader, writer = await connect()

    writer.write(_post(b"hang"))
    status, _ = await _answer(reader)

    assert status == 503


async def test_an_endless_body_is_413_and_not_read_on(connect: Connect) -> None:
    reader, writer = await connect()
    writer.write(_post(b"x" * 1000, length=10**12))

    status, _ = await _answer(reader)

    assert status == 413
    assert (await _until_closed(reader))[1] < 3


def _expecting(length: int) -> bytes:
    return _post(b"", length).replace(b"Host: x\r\n", b"Host: x\r\nExpect: 100-continue\r\n")


async def test_a_sender_that_asks_first_is_told_to_go_on(connect: Connect) -> None:
    reader, writer = await connect()

    writer.write(_expecting(5))
    async with asyncio.timeout(PATIENCE):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"12345")

    assert await _answer(reader) == (202, b'{"size": 5}')


async def test_a_sender_that_asks_first_with_too_much_is_refused_at_once(
    connect: Connect,
) -> None:
    reader, writer = await connect()

    writer.write(_expecting(2000))

    assert (await _answer(reader))[0] == 413


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "request_text",
    [
        b"NONSENSE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /webhooks/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /webhooks/x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /webhooks/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n" + CHUNKED,
        b"POST /webhooks/x HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"POST /webhooks/x HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"POST /webhooks/x HTTP/9.9\r\n\r\n",
    ],
)
async def test_malformed_http_is_answered_400_or_hung_up_on(
    connect: Connect, request_text: bytes
) -> None:
    reader, writer = await connect()

    writer.write(request_text)
    text, _ = await _until_closed(reader)

    assert text == b"" or text.split(b" ")[1] in (b"400", b"404", b"408")
    assert b"aiohttp" not in text
    assert b"NONSENSE" not in text


@pytest.mark.parametrize("path", [b"/healthz", b"/nowhere", b"/webhooks/auto_x"])
@pytest.mark.parametrize("word", [b"the-moon", b"\xbc\xff\xfe", b"100-continue, more"])
async def test_an_unknown_expectation_is_refused_and_not_repeated(
    connect: Connect, caplog: pytest.LogCaptureFixture, path: bytes, word: bytes
) -> None:
    reader, writer = await connect()
    writer.write(b"GET %s HTTP/1.1\r\nHost: x\r\nExpect: %s\r\n\r\n" % (path, word))
    said = await reader.readuntil(b"\r\n\r\n")

    assert said.startswith(b"HTTP/1.1 417 ")
    assert word not in said
    assert b"aiohttp" not in said
    assert "http.defect" not in caplog.text


async def test_malformed_chunks_are_refused(connect: Connect) -> None:
    reader, writer = await connect()
    head = b"POST /webhooks/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

    writer.write(head + b"5\r\nhello\r\nZZ\r\n")
    text, _ = await _until_closed(reader)

    assert text.split(b" ")[1] == b"400"


async def test_a_flood_of_malformed_requests_is_a_line_or_two_in_the_log(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for _ in range(30):
            reader, writer = await connect()
            writer.write(b"GET / HTTP/1.1\r\nBad Header\r\n\r\n")
            await _until_closed(reader)

    lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert 1 <= len(lines) <= 5
    assert all(record.exc_info is None for record in lines)


async def test_connections_past_the_most_are_turned_away_while_all_are_at_work() -> None:
    async with _listening(Crowd(2)) as connect:
        held = [await connect() for _ in range(2)]
        for _, writer in held:
            writer.write(_post(b"hang"))
            await writer.drain()
        await _at_work(2)

        reader, _ = await connect()
        text, _ = await _until_closed(reader)
        assert text.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After" in text

        for reader, _ in held:
            assert (await _answer(reader))[0] == 503
        reader, writer = await connect()
        writer.write(_post(b"now"))
        assert (await _answer(reader))[0] == 202


async def test_who_says_nothing_longest_makes_room_for_who_has_something_to_say() -> None:
    async with _listening(Crowd(3)) as connect:
        silent, spoken, _ = [await connect() for _ in range(3)]
        silent[1].write(b"POST /webh")
        spoken[1].write(_post(b"first"))
        assert (await _answer(spoken[0]))[0] == 202

        reader, writer = await connect()
        writer.write(_post(b"now"))
        assert (await _answer(reader))[0] == 202
        assert await _until_closed(silent[0]) == (b"", pytest.approx(0, abs=0.2))
        spoken[1].write(_post(b"second"))
        assert (await _answer(spoken[0]))[0] == 202


async def test_one_public_address_has_no_more_than_its_share() -> None:
    async with _listening(Crowd(100, most_of_one=2, is_single=lambda address: True)) as connect:
        first, second = await connect(), await connect()
        for _, writer in (first, second):
            writer.write(_post(b"hang"))
            await writer.drain()
        await _at_work(2)
        text, _ = await _until_closed((await connect())[0])
        assert text.startswith(b"HTTP/1.1 503 ")


async def test_a_sender_that_breaks_off_harms_no_other(connect: Connect) -> None:
    for _ in range(20):
        _, writer = await connect()
        writer.write(_post(b"half", length=900))
        writer.transport.abort()

    reader, writer = await connect()
    writer.write(_post(hmac.digest(b"k", b"whole", "sha256")))
    assert await _answer(reader) == (202, b'{"size": 32}')


async def test_pipelined_requests_are_answered_in_order(connect: Connect) -> None:
    reader, writer = await connect()

    writer.write(_post(b"a") + _post(b"bb") + _post(b"ccc"))

    assert [await _answer(reader) for _ in range(3)] == [
        (202, b'{"size": 1}'),
        (202, b'{"size": 2}'),
        (202, b'{"size": 3}'),
    ]
