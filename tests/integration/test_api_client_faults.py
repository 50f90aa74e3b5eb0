"""The typed client when the other side does not do as it should."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from amodal_rt.api import ApiClient, ApiError
from amodal_rt.clock import SystemClock
from amodal_rt.errors import InvalidError

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
RUN = {"id": "atr_1", "status": "running", "reason": None}


class PatientClock(SystemClock):
    """Does not wait, and remembers for how long it should have."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


class Side:
    """The other side: answers by script, the last answer for ever, and keeps what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.asked: list[web.BaseRequest] = []
        self.bodies: list[bytes] = []
        self.clock = PatientClock()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request)
        self.bodies.append(await request.read())
        left = self._answers
        return await (left.pop(0) if len(left) > 1 else left[0])(request)

    @asynccontextmanager
    async def client(self, **keys: float) -> AsyncGenerator[ApiClient, None]:
        runner = web.ServerRunner(web.Server(self.answer), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        try:
            async with ApiClient(
                f"http://{host}:{port}",
                "art_secret",
                clock=self.clock,
                **keys,  # pyright: ignore[reportArgumentType]
            ) as client:
                yield client
        finally:
            await runner.cleanup()


def says(document: object, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response(document, status=status, headers=named)

    return answer


def later(**headers: str) -> Answer:
    wrong = {"code": "queue_full", "kind": "unavailable", "message": "not now", "hint": "wait"}
    return says({"error": wrong}, 503, **headers)


def streams(*messages: str, breaks: bool = False) -> Answer:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for each in messages:
            await response.write(each.encode())
        if breaks:
            assert request.transport is not None
            request.transport.abort()
        return response

    return answer


def update(id: str, **changes: object) -> str:
    return f"id: {id}\nevent: run_update\ndata: {json.dumps(RUN | changes)}\n\n"


async def test_what_is_safe_is_asked_again_when_the_answer_says_to() -> None:
    side = Side(later(Retry_After="7"), later(Retry_After="3"), says(RUN))
    async with side.client() as client:
        run = await client.runs.get("atr_1")

    assert run["status"] == "running"
    assert side.clock.slept == [7, 3]
    assert len(side.asked) == 3


async def test_what_goes_on_failing_is_told_with_all_that_was_said() -> None:
    side = Side(later())
    async with side.client(retries=2) as client:
        with pytest.raises(ApiError) as caught:
            await client.runs.get("atr_1")

    error = caught.value
    assert (error.status, error.code, error.kind) == (503, "queue_full", "unavailable")
    assert (error.message, error.hint) == ("not now", "wait")
    assert side.clock.slept == [1, 2]


async def test_a_pause_that_is_too_long_is_not_waited_for() -> None:
    side = Side(later(Retry_After="3600"))
    async with side.client() as client:
        with pytest.raises(ApiError):
            await client.runs.get("atr_1")

    assert (len(side.asked), side.clock.slept) == (1, [])


async def test_a_start_without_a_key_is_asked_once_and_with_one_again() -> None:
    bare, keyed = Side(later()), Side(later(Retry_After="1"), says(RUN))
    async with bare.client() as client:
        with pytest.raises(ApiError):
            await client.invoke("report")
    async with keyed.client() as client:
        await client.invoke("report", idempotency_key="k")

    assert (len(bare.asked), len(keyed.asked)) == (1, 2)
    assert keyed.bodies[0] == keyed.bodies[1]


async def test_an_event_that_is_sent_again_is_the_same_event() -> None:
    receipt = {"status": "accepted", "event_id": "evt_1", "runs": []}
    side = Side(later(), says(receipt))
    async with side.client() as client:
        await client.events.emit("order.placed", {"n": 1})

    first, second = map(json.loads, side.bodies)
    assert first == second
    assert first["id"].startswith("evt_")
    assert side.asked[0].headers["Content-Type"] == "application/cloudevents+json"


async def test_changes_are_never_asked_twice() -> None:
    side = Side(later())
    async with side.client() as client:
        for change in (
            client.automations.create({"name": "x"}),
            client.automations.update("x", {}),
            client.automations.delete("x"),
            client.automations.activate("x"),
            client.automations.pause("x"),
        ):
            with pytest.raises(ApiError):
                await change

    assert len(side.asked) == 5


async def test_a_stream_that_breaks_off_is_taken_up_after_what_was_heard() -> None:
    side = Side(
        streams("retry: 5000\n\n", update("1-pending", status="pending"), breaks=True),
        later(Retry_After="4"),
        streams(":\n\n", update("1-running")),
        streams(update("1-completed", status="completed"), update("2-never")),
    )
    async with side.client() as client:
        told = [each["status"] async for each in client.stream("atr_1")]

    heard = [each.headers.get("Last-Event-ID") for each in side.asked]
    assert told == ["pending", "running", "completed"]
    assert heard == [None, "1-pending", "1-pending", "1-running"]
    assert side.clock.slept[1:] == [4, 5]


async def test_a_stream_with_nothing_more_to_tell_ends() -> None:
    async def over(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=204)

    side = Side(streams(update("1-running")), over, says(RUN | {"status": "failed"}))
    async with side.client() as client:
        run = await client.wait("atr_1")

    assert run["status"] == "failed"
    assert [each.path.rpartition("/")[2] for each in side.asked] == ["stream", "stream", "atr_1"]


async def test_a_stream_that_never_brings_anything_is_given_up() -> None:
    side = Side(streams())
    async with side.client(retries=2) as client:
        with pytest.raises(ApiError) as caught:
            _ = [each async for each in client.stream("atr_1")]

    assert caught.value.code == "unreachable"
    assert len(side.asked) == 3


async def test_a_large_message_in_many_pieces_is_one() -> None:
    large = "x" * 300_000
    whole = update("1-completed", status="completed", reason=large)
    half = len(whole) // 2
    side = Side(streams(whole[:half], whole[half:]))
    async with side.client() as client:
        (run,) = [each async for each in client.stream("atr_1")]

    assert run["reason"] == large


async def test_a_redirect_is_not_followed_with_the_token() -> None:
    side = Side(says({}, 302, Location="/elsewhere"))
    async with side.client() as client:
        with pytest.raises(ApiError) as caught:
            await client.runs.get("atr_1")

    assert (caught.value.status, caught.value.code) == (302, "unknown_answer")
    assert len(side.asked) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'{"error": "x"}', b"\xff", b"[" * 99_999])
async def test_an_answer_in_other_words_is_told_as_one(body: bytes) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=500, body=body)

    side = Side(answer)
    async with side.client() as client:
        with pytest.raises(ApiError) as caught:
            await client.runs.get("atr_1")

    assert (caught.value.status, caught.value.code) == (500, "unknown_answer")
    assert caught.value.kind == "internal"


async def test_nobody_there_and_nobody_in_time_are_told_apart() -> None:
    async def never(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    side = Side(never)
    async with side.client(timeout_seconds=0.05) as client:
        with pytest.raises(ApiError) as late:
            await client.runs.get("atr_1")
    async with ApiClient("http://127.0.0.1:1", "art_secret", clock=side.clock) as nobody:
        with pytest.raises(ApiError) as gone:
            await nobody.runs.get("atr_1")

    assert (late.value.code, late.value.kind) == ("timed_out", "timed_out")
    assert (gone.value.code, gone.value.kind) == ("unreachable", "unavailable")
    assert side.clock.slept == [1, 2, 4]


@pytest.mark.parametrize("name", ["", ".", ".."])
async def test_a_name_that_would_be_another_path_is_refused(name: str) -> None:
    side = Side(says(RUN))
    async with side.client() as client:
        with pytest.raises(InvalidError):
            await client.runs.get(name)

    assert side.asked == []


async def test_a_name_is_one_part_of_the_path_and_a_cursor_one_of_the_query() -> None:
    side = Side(says({"data": [], "has_more": False}))
    async with side.client() as client:
        await client.automations.runs("a/../b?c#d", before_cursor="x&y=1 z")

    assert side.asked[0].raw_path == (
        "/apps/dap_local/automations/a%2F..%2Fb%3Fc%23d/runs?before_cursor=x%26y%3D1%20z"
    )
    assert side.asked[0].headers["Authorization"] == "Bearer art_secret"


@pytest.mark.parametrize(
    ("url", "token"),
    [("ftp://x", "t"), ("127.0.0.1:3847", "t"), ("http://", "t"), ("http://u:p@x", "t"),
     ("http://x", ""), ("http://x", "a\r\nHost: y"), ("http://x", "é")],
)  # fmt: skip
def test_what_is_no_url_or_no_token_is_refused_at_once(url: str, token: str) -> None:
    with pytest.raises(InvalidError):
        ApiClient(url, token)
