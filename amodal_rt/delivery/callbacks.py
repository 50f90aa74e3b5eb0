"""Targets that are functions of the program that embeds the runtime."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping

from amodal_rt.errors import NotFoundError

Callback = Callable[[Mapping[str, object], str | None], Awaitable[object] | object]
"""`(payload, name of the target)`; plain functions run in a thread, so they may block."""


class Callbacks:
    """Functions by the name of the target; the one without a name takes all other names."""

    def __init__(self) -> None:
        self._functions: dict[str | None, Callback] = {}

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
        """Hand `payload` over and wait until the function is done. Raises what it raises."""
        function = self.get(name)
        if inspect.iscoroutinefunction(function):
            await function(payload, name)
            return
        answer = await asyncio.to_thread(function, payload, name)
        if inspect.isawaitable(answer):
            await answer
