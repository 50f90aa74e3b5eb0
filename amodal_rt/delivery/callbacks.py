"""Targets that are functions of the program that embeds the runtime."""

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from amodal_rt.errors import NotFoundError, UnavailableError

MOST_LEFT = 32
"""How many calls may be unfinished before no more are made."""

Callback = Callable[[Mapping[str, object], str | None], Awaitable[object] | object]
"""`(payload, name of the target)`; plain functions run in a thread, so they may block."""


class Callbacks:
    """Functions by the name of the target; the one without a name takes all other names."""

    def __init__(self) -> None:
        self._functions: dict[str | None, Callback] = {}
        self._left: set[asyncio.Future[object]] = set()

    def register(self, function: Callback, name: str | None = None) -> None:
        """Call `function` for targets of `name` from now on; the last registration wins."""
        self._functions[name] = function

    def get(self, name: str | None) -> Callback:
        """The function for `name`, else the default. Raises NotFoundError (`no_callback`)."""
        function = self._functions.get(name) or self._functions.get(None)
        if function is None:
            wanted = (
                "no callback registered" if name is None else f"no callback {name!r} registered"
            )
            raise NotFoundError(
                wanted,
                code="no_callback",
                hint="callback targets need a program that embeds the runtime "
                "and gives it on_automation_result",
            )
        return function

    async def call(self, name: str | None, payload: Mapping[str, object]) -> None:
        """Hand `payload` over and wait until the function is done. Raises what it raises.

        Cancelled, it returns at once: a function that does not return, or a coroutine that
        swallows its cancellation, is left to itself. Raises UnavailableError (`callbacks_stuck`)
        while too many of them are.
        """
        function = self.get(name)
        if len(self._left) >= MOST_LEFT:
            raise UnavailableError(
                f"{len(self._left)} calls of callbacks have not returned", code="callbacks_stuck"
            )
        if inspect.iscoroutinefunction(function):
            answer = function(payload, name)
        else:
            # A thread cannot be cancelled: its call is unfinished until it returns.
            thread = _in_thread(function, payload, name)
            answer = await self._wait(thread, stoppable=False)
        if inspect.isawaitable(answer):
            await self._wait(answer)

    async def _wait(self, work: Awaitable[object], *, stoppable: bool = True) -> object:
        task = asyncio.ensure_future(work)
        self._left.add(task)
        task.add_done_callback(self._returned)
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            if stoppable:
                task.cancel()
            raise
        if task.cancelled():
            raise UnavailableError("the callback was cancelled", code="callback_cancelled")
        return task.result()

    def _returned(self, task: "asyncio.Future[object]") -> None:
        self._left.discard(task)
        if not task.cancelled():
            task.exception()  # nobody else may ask, and asyncio would complain of that


def _in_thread(
    function: Callback, payload: Mapping[str, object], name: str | None
) -> "asyncio.Future[object]":
    """The function's answer, from a thread that keeps no program alive.

    Those of the loop's own pool do: one function that never returns would hold the exit of
    the whole program, and a few of them everything else that needs a thread.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[object] = loop.create_future()
    context = contextvars.copy_context()

    def settle(value: object, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(value)
        else:
            answer.set_exception(error)

    def work() -> None:
        value, error = None, None
        try:
            value = context.run(function, payload, name)
        except BaseException as raised:  # noqa: BLE001  told to the one who waits
            # What ends a thread or a generator must not end the loop that hears of it.
            plain = isinstance(raised, Exception) and not isinstance(raised, StopIteration)
            error = raised if plain else RuntimeError(f"the callback raised {raised!r}")
        # Nobody waits any more where the loop is closed.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=work, name=f"callback {name or ''}".strip(), daemon=True).start()
    return answer
