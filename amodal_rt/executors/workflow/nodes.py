"""What each kind of node does."""

import asyncio
from collections.abc import Awaitable, Callable

from amodal_rt.definitions.scope_templates import printed_value
from amodal_rt.domain import filter as algebra
from amodal_rt.domain import workflow as graph
from amodal_rt.executors.workflow import agents, calls, scripting, waits
from amodal_rt.executors.workflow.session import WorkflowSession
from amodal_rt.executors.workflow.walk import Done, NodeError, Visit, Walk

DEEPEST = 8
"""How deep workflows may stand in each other."""

WalkOn = Callable[[Walk, str], Awaitable[object]]
"""Walks from a node to an end, and gives the last value."""


async def perform(run: WorkflowSession, visit: Visit, walk_on: WalkOn) -> Done:
    """What one try of a node gives. Raises NodeError, or AmodalError for why it gave nothing."""
    match visit.node.work:
        case graph.ConditionWork() as work:
            yes = await _decide(run, visit, work)
            return Done(value=yes, edge="on_true" if yes else "on_false")
        case graph.WaitWork() as work:
            return await waits.wait(run, visit, work)
        case graph.ApprovalWork() as work:
            return await waits.approve(run, visit, work)
        case graph.AgentWork() as work:
            return await agents.run_agent(run, visit, work)
        case graph.ScriptWork() as work:
            return await scripting.run_script(run, visit, work.script, calls.calls_of(run, visit))
        case _:
            return Done(value=await _value(run, visit, walk_on))


async def _value(run: WorkflowSession, visit: Visit, walk_on: WalkOn) -> object:
    """Of the kinds that have one way on and nothing to tell but their value."""
    match visit.node.work:
        case graph.TriggerWork():
            return visit.walk.payload
        case graph.TransformWork() as work:
            return printed_value(work.value.value, visit.walk.scope())
        case graph.ParallelWork() as work:
            return await _branches(visit, work, walk_on)
        case graph.WorkflowWork() as work:
            return await _other(run, visit, work, walk_on)
        case _:
            return await _call(run, visit)


async def _call(run: WorkflowSession, visit: Visit) -> object:
    made, scope = calls.calls_of(run, visit), visit.walk.scope()
    match visit.node.work:
        case graph.RequestWork() as work:
            return await calls.ask_service(made, work, scope)
        case graph.McpWork() as work:
            return await calls.mcp(made, work, scope)
        case graph.EmitWork() as work:
            return await calls.emit(made, work, scope)
        case graph.StoreWork() as work:
            return await calls.store(made, work, scope)
        case graph.DeliverWork() as work:
            return await calls.deliver(made, work, scope)
        case _:
            raise AssertionError(f"nothing is done for {visit.node.kind}")


async def _decide(run: WorkflowSession, visit: Visit, work: graph.ConditionWork) -> bool:
    if work.filter is not None:
        return algebra.passes(work.filter, visit.walk.scope())
    if work.expression is None:
        raise NodeError("nothing decides")
    return await scripting.decide(run, visit, work.expression)


async def _branches(visit: Visit, work: graph.ParallelWork, walk_on: WalkOn) -> object:
    """`{branch: its last value}`, once all have ended."""
    walks = [visit.walk.branch(visit) for _ in work.branches]
    before = set(visit.walk.inputs)
    ways = (walk_on(walk, start) for walk, start in zip(walks, work.branches, strict=True))
    ended = await asyncio.gather(*ways, return_exceptions=True)
    values = dict(zip(work.branches, ended, strict=True))
    # What ends the run comes before what only ends the node.
    for each in ended:
        if isinstance(each, BaseException) and not isinstance(each, NodeError):
            raise each
    failed = {name: each for name, each in values.items() if isinstance(each, NodeError)}
    if failed:
        said = "; ".join(f'branch "{name}": {each.message}' for name, each in failed.items())
        raise NodeError(said, reason=next(iter(failed.values())).reason)
    for walk in walks:
        new = {name: value for name, value in walk.inputs.items() if name not in before}
        visit.walk.inputs.update(new)
    return values


async def _other(
    run: WorkflowSession, visit: Visit, work: graph.WorkflowWork, walk_on: WalkOn
) -> object:
    """The last value of another workflow."""
    found = run.others.get(work.workflow)
    if found is None:
        raise NodeError(f"there is no workflow {work.workflow}")
    if visit.walk.depth >= DEEPEST:
        raise NodeError(f"workflows stand in each other more than {DEEPEST} deep")
    payload = printed_value(work.payload.value, visit.walk.scope())
    walk = visit.walk.below(visit, found, payload)
    return await walk_on(walk, found.start)
