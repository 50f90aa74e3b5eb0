"""Functions of an embedding program that do not return."""

import asyncio
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "delivery"))

from delivery_desk import Desk  # pyright: ignore[reportMissingImports]
from delivery_samples import completed, definition  # pyright: ignore[reportMissingImports]

from amodal_rt.domain.delivery import DeliveryStatus, Target, TargetType


async def test_a_function_that_never_returns_keeps_neither_sender_nor_loop(desk: Desk) -> None:
    begun, for_ever = threading.Event(), threading.Event()

    def block(payload: Mapping[str, object], name: str | None) -> None:
        begun.set()
        for_ever.wait()

    desk.callbacks.register(block)
    try:
        async with desk.sending(stop=False):
            await desk.finish(definition(_callback()), completed())
            await asyncio.to_thread(begun.wait, 30)
        (record,) = await desk.messages()
        assert record.status is DeliveryStatus.SENDING
        hanging = [each for each in threading.enumerate() if each.name.startswith("callback")]
        assert len(hanging) == 1
        assert all(each.daemon for each in hanging)
    finally:
        for_ever.set()


async def test_a_coroutine_that_swallows_its_cancellation_is_left_behind(desk: Desk) -> None:
    begun, enough = asyncio.Event(), asyncio.Event()

    async def stubborn(payload: Mapping[str, object], name: str | None) -> None:
        begun.set()
        while not enough.is_set():
            try:
                await enough.wait()
            except asyncio.CancelledError:
                continue

    desk.callbacks.register(stubborn)
    try:
        async with desk.sending():
            await desk.finish(definition(_callback()), completed())
            await begun.wait()
            desk.clock.advance(10)
            (record,) = await desk.settled()
            assert record.last_error == "no answer within 10 s"
    finally:
        enough.set()


def _callback(name: str | None = None) -> Target:
    return Target(type=TargetType.CALLBACK, label=name or "callback", name=name)
