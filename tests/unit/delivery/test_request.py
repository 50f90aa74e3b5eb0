import asyncio

from aiohttp import ClientSession, TraceConfig
from delivery_desk import HeldClock
from delivery_samples import CountingIds, completed, definition, run, webhook

from amodal_rt.delivery.planner import DeliveryPlanner
from amodal_rt.delivery.request import Answer, build_request, post
from amodal_rt.domain.delivery import FailureState


async def test_a_body_that_never_ends_does_not_undo_the_status() -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\npart")
        await writer.drain()
        await reader.read(-1)
        writer.close()

    headed = asyncio.Event()

    async def note(*_: object) -> None:
        headed.set()

    clock, tracing = HeldClock(), TraceConfig()
    tracing.on_request_end.append(note)
    (message,) = (
        DeliveryPlanner(CountingIds())
        .plan(run(), completed(), definition(webhook()), FailureState(), clock.now())
        .messages
    )
    server = await asyncio.start_server(stall, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    request = build_request(message, url=url, secret=None, timestamp=1)
    async with server, ClientSession(trace_configs=[tracing]) as session:
        posting = asyncio.create_task(post(session, request, clock))
        await headed.wait()
        await asyncio.sleep(0)
        clock.advance(10)
        answer = await posting

    assert answer.status == 200


def test_an_answer_reads_as_one_line() -> None:
    assert Answer(status=404, retry_after=None, excerpt="").sentence() == "HTTP 404 Not Found"
    assert Answer(status=599, retry_after=None, excerpt="busy").sentence() == "HTTP 599: busy"
