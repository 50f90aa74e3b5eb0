"""The daemon inside another Python program."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from amodal_rt.clock import Clock, SystemClock
from amodal_rt.daemon.house import House
from amodal_rt.daemon.serving import Daemon, Plan
from amodal_rt.daemon.stopping import Stopping
from amodal_rt.delivery.callbacks import Callback
from amodal_rt.errors import ConflictError
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import Caller
from amodal_rt.settings import load_process_settings


class Runtime:
    """One workspace, served by this program for as long as the block lasts.

        async with Runtime("workspace", on_automation_result=keep) as runtime:
            run_id = await runtime.trigger("daily-digest")
            run = await runtime.wait(run_id)

    Schedules, hot reload, the ledger and the control socket work as under `amodal-rt up`, and
    the same lock keeps a second daemon away. Leaving the block lets running runs finish for
    30 s. `on_automation_result(payload, name)`, plain or async, receives what automations
    deliver to targets of type `callback`; `name` is the target's, or None. `listen` None
    opens no TCP door; `"127.0.0.1:0"` takes a free port, and `url` tells which.

    Documents are those of `ops … --json`. Errors are `amodal_rt.errors.AmodalError`.
    """

    def __init__(
        self,
        workspace: str | os.PathLike[str],
        *,
        on_automation_result: Callback | None = None,
        listen: str | None = None,
        actor: str = "runtime",
        clock: Clock | None = None,
    ) -> None:
        self._plan = Plan(
            root=Path(workspace).absolute(),
            settings=load_process_settings(),
            listen=listen or "",
            callback=on_automation_result,
            clock=clock or SystemClock(),
        )
        self._caller = Caller(actor=actor, door="api")
        self._stack = AsyncExitStack()
        self._daemon: Daemon | None = None
        self._house: House | None = None

    async def __aenter__(self) -> Self:
        daemon = Daemon(self._plan, Stopping(bound=False))
        self._house = await self._stack.enter_async_context(daemon.serving())
        self._daemon = daemon
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._house = None
        await self._stack.__aexit__(kind, error, trace)

    @property
    def url(self) -> str | None:
        """Where webhooks arrive; None without `listen`."""
        return self._daemon.url if self._daemon else None

    @property
    def fault(self) -> "asyncio.Future[str]":
        """Resolves when a part of the runtime ended that should not; leave the block then."""
        if self._daemon is None:
            raise _closed()
        return self._daemon.services.fault

    async def automations(self) -> list[Document]:
        """All automations, as `ops automations list --json` shows them."""
        return await self._open().automations.list_all(self._caller)

    async def trigger(self, name: str, *, payload: object = None, rehearse: bool = False) -> str:
        """Start a run; returns its id at once. Raises NotFoundError, InvalidError."""
        run = await self._open().automations.trigger(
            self._caller, name, payload=payload, rehearse=rehearse
        )
        return str(run["run_id"])

    async def wait(self, run_id: str) -> Mapping[str, object]:
        """The run's document with its result, once it has ended. Raises NotFoundError."""
        house = self._open()
        await house.runs.wait(run_id)
        return await house.runs.show(self._caller, run_id)

    async def cancel(self, run_id: str) -> Document:
        """End a run. Raises NotFoundError, ConflictError (`run_ended`)."""
        return await self._open().runs.cancel(self._caller, run_id)

    def _open(self) -> House:
        if self._house is None:
            raise _closed()
        return self._house


def _closed() -> ConflictError:
    return ConflictError(
        "the runtime is not open", code="not_open", hint="use it inside its `async with` block"
    )
