"""The daemon inside another Python program."""

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from amodal_rt.clock import Clock, SystemClock
from amodal_rt.daemon.house import House
from amodal_rt.daemon.serving import Daemon, Plan
from amodal_rt.daemon.stopping import Stopping
from amodal_rt.delivery.callbacks import Callback
from amodal_rt.domain.run import RunStatus
from amodal_rt.errors import ConflictError, TimedOutError
from amodal_rt.logs import unheard
from amodal_rt.operations import asked
from amodal_rt.operations.bus import Sender
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import Caller
from amodal_rt.settings import load_process_settings

SOURCE = "/program"
"""Where an event comes from that the program emits without saying."""


@dataclass(frozen=True, slots=True)
class _Open:
    """What stands between start and stop."""

    daemon: Daemon
    house: House
    stopping: Stopping
    stack: AsyncExitStack


class Runtime:
    """One workspace, served by this program for as long as the block lasts.

        async with Runtime("workspace", on_automation_result=keep) as runtime:
            run_id = await runtime.trigger("daily-digest")
            run = await runtime.wait(run_id)

    Schedules, hot reload, the ledger and the control socket work as under `amodal-rt up`, and
    the same lock keeps a second daemon away. Leaving the block lets running runs finish for
    30 s. A program without such a block calls `start` and `stop`, both in one task.

    `on_automation_result(payload, name)`, plain or async, receives what automations
    deliver to targets of type `callback`; `name` is the target's, or None. A mapping gives
    each name a function of its own; the one of None takes all other names. `listen` None
    opens no TCP door; `"127.0.0.1:0"` takes a free port, and `url` tells which. `actor` is
    who the audit trail names.

    Documents are those of `ops … --json`. Errors are `amodal_rt.errors.AmodalError`; every
    verb raises ConflictError (`not_open`) before the start and after the stop.
    """

    def __init__(
        self,
        workspace: str | os.PathLike[str],
        *,
        on_automation_result: Callback | Mapping[str | None, Callback] | None = None,
        listen: str | None = None,
        actor: str = "runtime",
        clock: Clock | None = None,
    ) -> None:
        self._callbacks = _by_name(on_automation_result)
        self._clock = clock or SystemClock()
        self._plan = Plan(
            root=Path(workspace).absolute(),
            settings=load_process_settings(),
            listen=listen or "",
            callbacks=self._callbacks,
            clock=self._clock,
        )
        self._caller = Caller(actor=actor, door="api")
        self._opened: _Open | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Serve; returns when all of it runs.

        Raises ConflictError (`already_open`; `daemon_running` while somebody else serves the
        workspace), InvalidError for an `amodal.json` that never was right, UnavailableError.
        """
        if self._opened is not None:
            raise ConflictError("the runtime is open already", code="already_open")
        unheard()
        stopping, stack = Stopping(bound=False), AsyncExitStack()
        daemon = Daemon(self._plan, stopping)
        house = await stack.enter_async_context(daemon.serving())
        self._opened = _Open(daemon, house, stopping, stack)

    async def stop(self) -> None:
        """Begin nothing new, let running runs finish for 30 s, close. Once closed it may start
        again; to stop what is not open does nothing."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.stack.aclose()

    async def stop_now(self) -> None:
        """The same without waiting for running runs, which fail as `interrupted`."""
        if self._opened is not None:
            self._opened.stopping.urge("the program asked")
        await self.stop()

    def register(self, function: Callback, name: str | None = None) -> None:
        """Call `function` for callback targets of `name`, None for all other names, from now on.

        Better before the start: what is delivered to a name without function is given up.
        """
        self._callbacks[name] = function
        if self._opened is not None:
            self._opened.house.ground.callbacks.register(function, name)

    @property
    def url(self) -> str | None:
        """Where webhooks arrive; None without `listen`."""
        return self._opened.daemon.url if self._opened else None

    @property
    def fault(self) -> "asyncio.Future[str]":
        """Resolves when a part of the runtime ended that should not; leave the block then."""
        if self._opened is None:
            raise _closed()
        return self._opened.daemon.services.fault

    async def automations(self) -> list[Document]:
        """All automations, as `ops automations list --json` shows them."""
        return await self._house.automations.list_all(self._caller)

    async def automation(self, name: str) -> Document:
        """One of them, whole. Raises NotFoundError."""
        return await self._house.automations.show(self._caller, name)

    async def pause(self, name: str, *, reason: str | None = None) -> Document:
        """Let nothing of it start until `resume`. Raises NotFoundError."""
        return await self._house.automations.pause(self._caller, name, reason=reason)

    async def resume(self, name: str) -> Document:
        """Let it run again. Raises NotFoundError, ConflictError (`paused_by_file`)."""
        return await self._house.automations.resume(self._caller, name)

    async def trigger(self, name: str, *, payload: object = None, rehearse: bool = False) -> str:
        """Start a run; returns its id at once. Raises NotFoundError, InvalidError."""
        run = await self._house.automations.trigger(
            self._caller, name, payload=payload, rehearse=rehearse
        )
        return str(run["run_id"])

    async def invoke(
        self,
        name: str,
        payload: Mapping[str, object] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> str:
        """Start a run of an invoked automation, whose file judges `payload`; returns its id.

        The same `idempotency_key` gives the same run for a week. Raises NotFoundError,
        InvalidError (`payload_misfit`, `payload_locked`, …) and ConflictError (`not_invoked`,
        `automation_paused`, `idempotency_mismatch`).
        """
        run = await self._house.invoking.invoke(
            self._caller, name, payload=payload, idempotency_key=idempotency_key
        )
        return str(run["run_id"])

    async def emit(
        self,
        type: str,
        data: object = None,
        *,
        subject: str | None = None,
        source: str = SOURCE,
        id: str | None = None,
    ) -> Document:
        """Say that something happened; committed on return.

        The receipt is `{status, event_id, runs}`: `duplicate` where an event of this `source`
        and `id` was there before. Raises InvalidError (`bad_event`), UnavailableError.
        """
        body = {"type": type, "data": data, "subject": subject, "source": source, "id": id}
        # The program is the workspace's owner: its word counts for providers too.
        sender = Sender(actor=f"member:{self._caller.actor}", may_impersonate=True)
        return await self._house.event_bus.emit(self._caller, body, sender=sender)

    async def run(self, run_id: str) -> Document:
        """A run with its result, as `ops runs show --json`. Raises NotFoundError."""
        return await self._house.runs.show(self._caller, run_id)

    async def runs(
        self, *, automation: str | None = None, status: str | None = None, limit: int = 50
    ) -> list[Document]:
        """Runs, newest first. Raises InvalidError (`bad_status`, `bad_limit`)."""
        wanted: RunStatus | None = asked.run_status(status)
        return await self._house.runs.list_all(
            self._caller, automation=automation, status=wanted, limit=asked.limit(limit)
        )

    async def wait(
        self, run_id: str, *, timeout_seconds: float | None = None
    ) -> Mapping[str, object]:
        """The run's document with its result, once it has ended.

        Raises NotFoundError, and TimedOutError (`still_running`) when it has not ended within
        `timeout_seconds`: it goes on.
        """
        house = self._house
        try:
            async with self._clock.deadline(timeout_seconds):
                await house.runs.wait(run_id)
        except TimeoutError:
            raise TimedOutError(
                f"{run_id} has not ended within {timeout_seconds:g} s", code="still_running"
            ) from None
        return await house.runs.show(self._caller, run_id)

    async def follow(self, run_id: str) -> AsyncGenerator[Document, None]:
        """The entries of a run's journal, in order and as they come, until it has ended.

        Raises NotFoundError.
        """
        async for batch in self._house.runs.journal(self._caller, run_id, follow=True):
            for entry in batch:
                yield entry

    async def cancel(self, run_id: str) -> Document:
        """End a run. Raises NotFoundError, ConflictError (`run_ended`)."""
        return await self._house.runs.cancel(self._caller, run_id)

    @property
    def _house(self) -> House:
        if self._opened is None:
            raise _closed()
        return self._opened.house


def _by_name(
    given: Callback | Mapping[str | None, Callback] | None,
) -> dict[str | None, Callback]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(cast("Mapping[str | None, Callback]", given))
    return {None: given}


def _closed() -> ConflictError:
    return ConflictError(
        "the runtime is not open", code="not_open", hint="use it inside its `async with` block"
    )
