"""Calls of an embedding program's functions, those that do not return included."""

import asyncio
import threading
from collections.abc import Mapping

import pytest

from amodal_rt.delivery.callbacks import MOST_LEFT, Callbacks
from amodal_rt.errors import NotFoundError, UnavailableError


async def test_plain_and_async_functions_are_called_by_name_and_a_plain_one_off_the_loop() -> None:
    got: list[tuple[str | None, object, bool]] = []
    callbacks = Callbacks()

    def plain(payload: Mapping[str, object], name: str | None) -> None:
        on_loop = threading.current_thread() is threading.main_thread()
        got.append((name, payload["n"], on_loop))

    async def waits(payload: Mapping[str, object], name: str | None) -> None:
        got.append((name, payload["n"], True))

    callbacks.register(plain)
    callbacks.register(waits, "ui")
    await callbacks.call("other", {"n": 1})
    await callbacks.call("ui", {"n": 2})

    assert got == [("other", 1, False), ("ui", 2, True)]


async def test_a_plain_function_may_answer_with_something_to_wait_for() -> None:
    done = asyncio.Event()
    callbacks = Callbacks()

    async def later() -> None:
        done.set()

    callbacks.register(lambda payload, name: later())
    await callbacks.call(None, {})

    assert done.is_set()


@pytest.mark.parametrize("error", [ValueError("no"), StopIteration("odd"), SystemExit(3)])
async def test_what_a_function_raises_reaches_the_caller_and_no_further(
    error: BaseException,
) -> None:
    callbacks = Callbacks()

    def fail(payload: Mapping[str, object], name: str | None) -> None:
        raise error

    callbacks.register(fail)
    with pytest.raises((ValueError, RuntimeError)) as raised:
        await callbacks.call(None, {})
    assert str(error) in str(raised.value)


async def test_without_a_function_it_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        await Callbacks().call("ui", {})


async def test_calls_that_do_not_return_are_left_and_bounded() -> None:
    enough = threading.Event()
    callbacks = Callbacks()

    def block(payload: Mapping[str, object], name: str | None) -> None:
        enough.wait(60)

    callbacks.register(block)
    calls = [asyncio.create_task(callbacks.call(None, {})) for _ in range(MOST_LEFT)]
    try:
        await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert all(call.cancelled() for call in calls)

        with pytest.raises(UnavailableError) as error:
            await callbacks.call(None, {})
        assert error.value.code == "callbacks_stuck"
    finally:
        enough.set()
    await _returned(callbacks)
    await callbacks.call(None, {})


async def _returned(callbacks: Callbacks) -> None:
    """Until the calls that were left behind have come back."""
    while True:
        if not callbacks._left:
            return
        await asyncio.sleep(0.005)
