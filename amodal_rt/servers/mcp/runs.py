"""The tools that start runs, look at them and at their cost, and the one that says what
happened."""

from amodal_rt.domain.invocation import InvokeAuth
from amodal_rt.domain.run import RunStatus
from amodal_rt.operations import shapes
from amodal_rt.operations.automations import Automations
from amodal_rt.operations.bus import EventBus, Sender
from amodal_rt.operations.invoking import Invoking
from amodal_rt.operations.references import Names, run_id_of
from amodal_rt.operations.run_pages import RunPages, Wish
from amodal_rt.operations.shapes import Document
from amodal_rt.operations.spending import Spending
from amodal_rt.servers.mcp.inputs import (
    EmitInput,
    RunGetInput,
    RunInput,
    RunListInput,
    SpendInput,
)
from amodal_rt.servers.mcp.objects import is_active, run_row, thread_of
from amodal_rt.servers.mcp.visit import Visit

SOURCE = "/mcp"
"""Where an event comes from that a tool emits without saying."""


class RunTools:
    """One method a tool: arguments in, document out."""

    def __init__(
        self,
        automations: Automations,
        invoking: Invoking,
        names: Names,
        pages: RunPages,
        bus: EventBus,
        spending: Spending,
    ) -> None:
        self._automations = automations
        self._invoking = invoking
        self._names = names
        self._pages = pages
        self._bus = bus
        self._spending = spending

    async def run(self, visit: Visit, asked: RunInput) -> Document:
        """Start one, also of what is paused or a draft, unless programs invoke it: then its own
        rules hold. Raises as `Automations.trigger` and `Invoking.invoke`."""
        name = self._names.find(asked.id)
        standing = await self._automations.standing(name)
        definition = standing.state.definition
        invoked = definition is not None and definition.automation.invocation is not None
        if invoked or asked.idempotency_key is not None:
            run = await self._invoking.invoke(
                visit.caller,
                name,
                payload=asked.payload,
                idempotency_key=asked.idempotency_key,
                # A token is a program's; who uses the control socket operates this machine.
                shown=InvokeAuth.SECRET_KEY if visit.token else None,
                cause=visit.cause,
            )
        else:
            run = await self._automations.trigger(
                visit.caller, name, payload=asked.payload, cause=visit.cause
            )
        skipped = run["status"] == RunStatus.SKIPPED.value
        return {
            "threadId": None if skipped else thread_of(str(run["run_id"])),
            "error": run["error"],
            "skipped": run["reason"] if skipped else None,
            "run_id": run["run_id"],
            "status": run["status"],
            "active": is_active(standing),
        }

    async def list_all(self, visit: Visit, asked: RunListInput) -> Document:
        """A page of runs, newest first. Raises InvalidError (`bad_cursor`), NotFoundError."""
        named = asked.automation_id
        page = await self._pages.page(
            visit.caller,
            Wish(limit=asked.limit, before=asked.before_cursor, after=asked.after_cursor),
            automation=None if named is None else self._names.find(named),
            status=None if asked.status is None else RunStatus(asked.status),
        )
        return {
            "runs": [run_row(each) for each in page.runs],
            "before_cursor": page.before,
            "after_cursor": page.after,
            "has_more": page.more,
        }

    async def get(self, visit: Visit, asked: RunGetInput) -> Document:
        """One run with a page of its journal. Raises NotFoundError, InvalidError
        (`bad_cursor`)."""
        run_id = run_id_of(asked.run_id)
        page = await self._pages.journal(
            visit.caller, run_id, limit=asked.limit, after=asked.after_cursor
        )
        run = page.run
        whole = shapes.run_in_full(run, ())
        return {
            "run": {
                **run_row(run),
                "payload": await self._pages.payload(run),
                "result": whole["result"],
                "event_id": run.event_id,
            },
            "journal": {
                "entries": [shapes.entry(each) for each in page.entries],
                "after_cursor": page.after,
                "has_more": page.after is not None,
            },
        }

    async def spend(self, visit: Visit, asked: SpendInput) -> Document:
        """What models cost. Raises NotFoundError (`automation_not_found`)."""
        named = asked.automation
        return await self._spending.show(
            visit.caller,
            days=asked.days,
            by=asked.by,
            automation=None if named is None else self._names.find(named),
        )

    async def emit(self, visit: Visit, asked: EmitInput) -> Document:
        """Say that something happened. Raises as `EventBus.emit`."""
        actor = visit.caller.actor
        sender = Sender(
            actor=actor if visit.token else f"member:{actor}",
            # What a model says never counts for a provider or for the runtime.
            may_impersonate=False,
            cause=visit.cause,
        )
        said = asked.model_dump(exclude_none=True)
        return await self._bus.emit(visit.caller, {"source": SOURCE, **said}, sender=sender)
