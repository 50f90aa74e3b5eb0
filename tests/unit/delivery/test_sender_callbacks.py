"""Messages to functions of the program around the runtime."""

import asyncio
from collections.abc import Mapping

from delivery_desk import Desk, statuses
from delivery_samples import callback, completed, definition

from amodal_rt.domain.delivery import DeliveryStatus


async def test_callbacks_get_the_payload_and_the_name(desk: Desk) -> None:
    got: list[tuple[str | None, str]] = []

    async def by_name(payload: Mapping[str, object], name: str | None) -> None:
        got.append((name, str(payload["result"])))

    def default(payload: Mapping[str, object], name: str | None) -> None:
        got.append((name, str(payload["status"])))

    desk.callbacks.register(by_name, "ui")
    desk.callbacks.register(default)
    async with desk.sending():
        await desk.finish(
            definition(callback("ui"), callback(), callback("other")), completed("Hi")
        )
        records = await desk.settled(3)

    assert list(statuses(records)) == ["delivered"] * 3
    assert sorted(got, key=str) == [("other", "success"), ("ui", "Hi"), (None, "success")]


async def test_a_callback_that_raises_is_called_again(desk: Desk) -> None:
    calls: list[str] = []

    def fragile(payload: Mapping[str, object], name: str | None) -> None:
        calls.append(str(payload["run_id"]))
        if len(calls) == 1:
            raise RuntimeError("not yet")

    desk.callbacks.register(fragile)
    async with desk.sending():
        await desk.finish(definition(callback()), completed())
        (record,) = await desk.settled()
        assert record.last_error == "RuntimeError: not yet"
        desk.clock.advance(5)
        (record,) = await desk.settled(attempts=2)

    assert record.status is DeliveryStatus.DELIVERED
    assert calls[0] == calls[1]


async def test_a_callback_that_hangs_is_left_after_ten_seconds(desk: Desk) -> None:
    begun = asyncio.Event()

    async def hang(payload: Mapping[str, object], name: str | None) -> None:
        begun.set()
        await asyncio.Event().wait()

    desk.callbacks.register(hang)
    async with desk.sending():
        await desk.finish(definition(callback()), completed())
        await begun.wait()
        desk.clock.advance(10)
        (record,) = await desk.settled()

    assert record.last_error == "no answer within 10 s"


async def test_without_a_callback_the_message_is_dead_and_says_why(desk: Desk) -> None:
    async with desk.sending():
        await desk.finish(definition(callback(), callback("ui")), completed())
        first, second = await desk.settled(2)

    assert (first.status, first.last_error) == (DeliveryStatus.DEAD, "no callback registered")
    assert second.last_error == "no callback 'ui' registered"


async def test_stop_lets_a_send_finish(desk: Desk) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(payload: Mapping[str, object], name: str | None) -> None:
        begun.set()
        await go_on.wait()

    desk.callbacks.register(slow)
    async with desk.sending() as sender:
        await desk.finish(definition(callback()), completed())
        await begun.wait()
        stopping = asyncio.create_task(sender.stop())
        await asyncio.sleep(0)
        assert not stopping.done()
        go_on.set()
        await stopping
        (record,) = await desk.messages()

    assert record.status is DeliveryStatus.DELIVERED
