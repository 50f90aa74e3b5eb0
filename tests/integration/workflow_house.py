"""Workflows over a real ledger and real sockets, walked as the engine would have them walked."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from agent_house import AgentHouse, RunJournal

from amodal_rt.definitions.graph import parse_workflow
from amodal_rt.definitions.naming_workflows import with_others
from amodal_rt.delivery.planner import DeliveryPlanner
from amodal_rt.domain.automation import Automation, Limits
from amodal_rt.domain.journal import Entry, EntryType
from amodal_rt.domain.outcome import Outcome, Waiting
from amodal_rt.domain.workflow import Script, Workflow
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.errors import InvalidError
from amodal_rt.executors.workflow.executor import WorkflowExecutor
from amodal_rt.ports import RunContext

Scripted = Callable[[Mapping[str, Any], Mapping[str, Any]], Awaitable[object]]


def graph(*nodes: Mapping[str, Any], name: str = "flow", **keys: Any) -> Workflow:
    """A workflow of these nodes, parsed as a file is; the first one begins."""
    document = {"kind": "WorkflowGraph", "start_node": nodes[0]["id"], "nodes": nodes, **keys}
    text = json.dumps(document).encode()
    parsed, problems = parse_workflow(text, file=f"workflows/{name}.json", scripts={})
    assert parsed is not None, [each.message for each in problems]
    return parsed


def node(kind: str, id: str, on_success: str | None = None, **keys: Any) -> dict[str, Any]:
    """One node as a file has it."""
    following = {"on_success": on_success} if on_success else {}
    return {"kind": kind, "id": id, **following, **keys}


def chain(*nodes: dict[str, Any]) -> Workflow:
    """Nodes one after the other."""
    for each, following in pairwise(nodes):
        each.setdefault("on_success", following["id"])
    return graph(*nodes)


@dataclass
class Ran:
    """What a script gave; an error is raised."""

    value: object
    printed: Sequence[str] = ()


@dataclass
class Sandbox:
    """Stands for the sandbox: runs what a test says in place of a script of that name."""

    scripts: dict[str, Scripted] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    closed: bool = False

    async def run(
        self,
        script: Script,
        names: Mapping[str, object],
        *,
        functions: Mapping[str, Any],
        seconds: float,
        heard: list[str] | None = None,
    ) -> object:
        self.seconds.append(seconds)
        self.ran.append(script.name)
        if script.name not in self.scripts:
            raise InvalidError(f"{script.file}:{script.first_line}: it fails", code="script_failed")
        given = await self.scripts[script.name](names, functions)
        ran = given if isinstance(given, Ran) else Ran(given)
        if heard is not None:
            heard += ran.printed
        if isinstance(ran.value, Exception):
            raise ran.value
        return ran.value

    async def close(self) -> None:
        self.closed = True


@dataclass
class CutJournal:
    """A journal whose process dies at its row number `left`, once that is written or before."""

    inner: RunJournal
    left: int
    durable: bool
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def record(
        self,
        type: EntryType,
        *,
        step: str | None = None,
        parent: str | None = None,
        data: Mapping[str, object] | None = None,
    ) -> None:
        self.left -= 1
        if self.left > 0 or (self.left == 0 and self.durable):
            await self.inner.record(type, step=step, parent=parent, data=data)
        if self.left <= 0:
            self.over.set()
            await asyncio.get_running_loop().create_future()


@dataclass
class WorkflowHouse(AgentHouse):
    """Change the public fields before `run`."""

    workflows: dict[str, Workflow] = field(default_factory=dict)
    sandbox: Sandbox = field(default_factory=Sandbox)

    async def _open(self, stack: Any) -> None:
        await super()._open(stack)
        self.flows = WorkflowExecutor(
            self.executor.services,
            ledger=self.ledger,
            agents=self.executor,
            messages=DeliveryPlanner(self.ids),
            scripts=self.sandbox,
        )

    def snapshot(self) -> Snapshot:
        return replace(super().snapshot(), workflows=dict(self.workflows))

    def flow(self, work: Workflow, **changes: Any) -> Automation:
        """An automation that walks this graph."""
        return self.automation(work=with_others(work, self.workflows), **changes)

    def limits(self, **changes: Any) -> Limits:
        """The usual limits but for these."""
        return Limits(**changes)

    async def walk(
        self, work: Workflow, *, event: object = ..., payload: object = None, **keys: Any
    ) -> Outcome:
        """The outcome of one run that does not wait; its journal in `entries`."""
        context = await self.context(self.flow(work, **keys), event=event, payload=payload)
        outcome = await self.go(context)
        assert isinstance(outcome, Outcome)
        return outcome

    async def go(self, context: RunContext) -> Outcome | Waiting:
        """Carry the run of this context once."""
        try:
            return await self.flows.execute(context)
        finally:
            self.entries = await self.ledger.entries(context.run.run_id)

    async def again(self, context: RunContext, *, parked: bool = False) -> RunContext:
        """The same run once more, after a crash; or, `parked`, after it has waited."""
        run = context.run
        if not parked:
            assert await self.ledger.resume(run, at=self.clock.now())
        [found] = await self.ledger.claim(limit=9, overall=1000, now=self.clock.now())
        assert found.run_id == run.run_id
        journal = RunJournal(self.ledger, run.run_id, self.redactor, found.attempt)
        return replace(context, run=found, journal=journal, snapshot=self.snapshot())

    async def cut(self, context: RunContext, at: int, *, durable: bool) -> Outcome | Waiting | None:
        """Carry the run until its process dies at row `at`; None then."""
        assert isinstance(context.journal, RunJournal)
        journal = CutJournal(context.journal, at, durable)
        task = asyncio.create_task(self.go(replace(context, journal=journal)))
        over = asyncio.create_task(journal.over.wait())
        await asyncio.wait({task, over}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            over.cancel()
            return task.result()
        task.cancel()
        await asyncio.wait({task})
        return None

    def nodes(self, *types: EntryType) -> list[tuple[str, str | None]]:
        """(type, step) of the entries of nodes, or of these types."""
        wanted = types or tuple(each for each in EntryType if each.startswith("node."))
        return [(each.type.value, each.step) for each in self.of(*wanted)]

    def values(self) -> dict[str, object]:
        """What the nodes gave, by step."""
        return {str(e.step): e.data["value"] for e in self.of(EntryType.NODE_FINISHED)}

    def entry(self, type: EntryType, step: str) -> Entry:
        [found] = [each for each in self.of(type) if each.step == step]
        return found
