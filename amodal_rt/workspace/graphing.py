"""Whether a graph can run among the others: what its nodes name, and what starts it."""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping

from amodal_rt.definitions.words import WRONG_WHERE, shown
from amodal_rt.domain.automation import Automation, Definition, WorkflowRun
from amodal_rt.domain.connection import Connection, Protocol
from amodal_rt.domain.glob import fits
from amodal_rt.domain.problem import Problem, Severity
from amodal_rt.domain.trigger import CronTrigger
from amodal_rt.domain.workflow import (
    SCHEDULED,
    AgentWork,
    ApprovalWork,
    DeliverWork,
    EmitWork,
    McpWork,
    Node,
    ParallelWork,
    RequestWork,
    StoreWork,
    WaitWork,
    Workflow,
    WorkflowWork,
)
from amodal_rt.guardrails.grants import REQUEST, Grants
from amodal_rt.guardrails.namespaces import speaker_of, type_fault
from amodal_rt.workspace.event_names import Sources, named_events
from amodal_rt.workspace.world import DEFAULT_AGENT, World


def graphs_of(automation: Automation) -> tuple[Workflow, ...]:
    """The graph of an automation and all that it runs in turn; none for other work."""
    if not isinstance(automation.work, WorkflowRun):
        return ()
    others = automation.work.others
    return (automation.work.workflow, *(others[each] for each in sorted(others)))


def connections_of(graphs: Iterable[Workflow]) -> set[str]:
    """The connections without which a node fails."""
    return {
        work.connection for _, node in nodes_of(graphs) if (work := _connecting(node)) is not None
    }


def sessions_of(graphs: Iterable[Workflow]) -> Iterator[AgentWork]:
    """The agent sessions that it may come to."""
    return (node.work for _, node in nodes_of(graphs) if isinstance(node.work, AgentWork))


def graph_errors(
    workflow: Workflow, world: World, named: Mapping[str, Workflow]
) -> Iterator[Problem]:
    """Names in one graph that nothing here has; `named` are the workflows that it may run."""
    for node in workflow.nodes.values():
        match node.work:
            case RequestWork() | McpWork():
                yield from _connection_errors(workflow, node, node.work, world)
            case AgentWork():
                yield from _agent_errors(workflow, node, node.work, world)
            case StoreWork(store=store) if store not in world.stores:
                yield _no_store(workflow, node, store, world)
            case DeliverWork(targets=targets):
                yield from _target_errors(workflow, node, targets, world.settings.targets)
            case EmitWork(type=type):
                yield from _emit_errors(workflow, node, type, world)
            case WorkflowWork(workflow=name):
                yield from _call_errors(workflow, node, name, named)
            case ParallelWork(branches=branches):
                yield from _branch_errors(workflow, node, branches, named)
            case _:
                pass


def graph_warnings(workflow: Workflow, sources: Sources) -> Iterator[Problem]:
    """Events that a graph says happened, and that nothing describes."""
    for node in workflow.nodes.values():
        if isinstance(node.work, EmitWork) and not sources.know(node.work.type):
            message = f"nothing here describes the event {shown(node.work.type)}"
            near = sources.near(node.work.type)
            hint = f'did you mean "{near}"?' if near else "describe it in events/"
            yield node_problem(workflow, node, "unknown_event", message, "type", hint, "warning")


def grant_errors(
    definition: Definition, grants: Grants, graphs: Iterable[Workflow]
) -> Iterator[Problem]:
    """Connections and tools that the nodes use and the automation may not."""
    for workflow, node in nodes_of(graphs):
        work = _connecting(node)
        if work is None:
            continue
        tool = work.tool if isinstance(work, McpWork) else REQUEST
        if grants.tool(work.connection, tool):
            continue
        what = f"{work.connection}.{tool}" if grants.connection(work.connection) else ""
        message = f"{definition.file} does not grant {what or work.connection}"
        hint = f'add "{what}" to tools' if what else f'add "{work.connection}" to connections'
        yield node_problem(workflow, node, "not_granted", message, "connection", hint)


def entry_errors(definition: Definition) -> Iterator[Problem]:
    """Triggers of the automation that no trigger node of its graph stands for."""
    automation = definition.automation
    if not isinstance(automation.work, WorkflowRun):
        return
    workflow = automation.work.workflow
    entries = [each.event for each in workflow.entries]
    if not entries or None in entries:
        return
    known = [each for each in entries if each is not None]
    said = ", ".join(map(shown, known))
    started: list[tuple[str, tuple[str, ...]]] = [
        (SCHEDULED, (f"/triggers/{each.key}/schedule", f"/triggers/{each.key}", "/schedule"))
        for each in automation.triggers
        if isinstance(each, CronTrigger)
    ]
    for event, pointers in (*started, *named_events(definition)):
        if any(fits(each, event) or fits(event, each) for each in known):
            continue
        line = next((definition.lines[at] for at in pointers if at in definition.lines), None)
        message = f"no trigger node of {workflow.name} stands for {shown(event)}"
        hint = f"it has {said}; a trigger node without an event stands for all"
        yield Problem(
            file=definition.file, code="trigger_mismatch", message=message, line=line, hint=hint
        )


def nodes_of(graphs: Iterable[Workflow]) -> Iterator[tuple[Workflow, Node]]:
    """Every node, with the graph that it stands in."""
    return ((each, node) for each in graphs for node in each.nodes.values())


def _connecting(node: Node) -> RequestWork | McpWork | None:
    return node.work if isinstance(node.work, RequestWork | McpWork) else None


def _connection_errors(
    workflow: Workflow, node: Node, work: RequestWork | McpWork, world: World
) -> Iterator[Problem]:
    name = work.connection
    found = world.connections.get(name)
    if found is None:
        yield _no_connection(workflow, node, name, "connection", world)
    elif (found.protocol is Protocol.MCP) is not isinstance(work, McpWork):
        kind = "an MCP connection" if found.protocol is Protocol.MCP else "no MCP connection"
        hint = f"use a node of kind {'mcp' if found.protocol is Protocol.MCP else 'request'}"
        said = f"{name} is {kind}"
        yield node_problem(workflow, node, "wrong_connection", said, "connection", hint)


def _no_connection(workflow: Workflow, node: Node, name: str, key: str, world: World) -> Problem:
    if name in world.broken_connections:
        message = f"connections/{name} is invalid"
        return node_problem(workflow, node, "broken_connection", message, key, WRONG_WHERE)
    hint = _nearest(name, world.connections) or f"add connections/{name}/spec.json"
    message = f"there is no connection {shown(name)}"
    return node_problem(workflow, node, "unknown_connection", message, key, hint)


def _no_store(workflow: Workflow, node: Node, name: str, world: World) -> Problem:
    if name in world.broken_stores:
        message = f"stores/{name}.json is invalid"
        return node_problem(workflow, node, "broken_store", message, "store", WRONG_WHERE)
    hint = _nearest(name, world.stores) or f"add stores/{name}.json"
    message = f"there is no store {shown(name)}"
    return node_problem(workflow, node, "unknown_store", message, "store", hint)


def _agent_errors(
    workflow: Workflow, node: Node, work: AgentWork, world: World
) -> Iterator[Problem]:
    name = work.agent or DEFAULT_AGENT
    if name in world.broken_agents and name not in world.agents:
        message = f"agents/{name}.md is invalid"
        yield node_problem(workflow, node, "broken_agent", message, "agent", WRONG_WHERE)
    elif name != DEFAULT_AGENT and name not in world.agents:
        hint = _nearest(name, {DEFAULT_AGENT, *world.agents}) or f"add agents/{name}.md"
        message = f"there is no agent {shown(name)}"
        yield node_problem(workflow, node, "unknown_agent", message, "agent", hint)
    for place, each in enumerate(work.connections or ()):
        if each not in world.connections:
            yield _no_connection(workflow, node, each, f"connections/{place}", world)


def _target_errors(
    workflow: Workflow, node: Node, names: Iterable[str], known: Collection[str]
) -> Iterator[Problem]:
    for place, name in enumerate(names):
        if name not in known:
            hint = _nearest(name, known) or 'add it to "targets" of amodal.json'
            message = f"there is no target {shown(name)}"
            key = f"targets/{place}"
            yield node_problem(workflow, node, "unknown_target", message, key, hint)


def _emit_errors(workflow: Workflow, node: Node, type: str, world: World) -> Iterator[Problem]:
    fault = type_fault(type)
    if fault:
        yield node_problem(workflow, node, "bad_event", fault, "type", None)
        return
    connections: Mapping[str, Connection] = world.connections
    speaker = speaker_of(type, connections=connections, integrations=world.integrations)
    if speaker:
        message = f"only {speaker} says {type}"
        yield node_problem(workflow, node, "reserved_type", message, "type", "name it otherwise")


def _call_errors(
    workflow: Workflow, node: Node, name: str, named: Mapping[str, Workflow]
) -> Iterator[Problem]:
    if name not in named:
        hint = _nearest(name, named) or f"add workflows/{name}.json"
        message = f"there is no workflow {shown(name)}"
        yield node_problem(workflow, node, "unknown_workflow", message, "workflow", hint)
    elif named.get(workflow.name) is workflow and workflow.name in _reached((name,), named):
        way = name if name == workflow.name else f"{name}, which runs {workflow.name} again"
        message = f"{workflow.name} runs {way}, without end"
        hint = "a graph may run others, never itself"
        yield node_problem(workflow, node, "endless_cycle", message, "workflow", hint)


def _branch_errors(
    workflow: Workflow, parallel: Node, branches: Iterable[str], named: Mapping[str, Workflow]
) -> Iterator[Problem]:
    """Workflows that a branch runs and that wait: a run with others beside it cannot."""
    for id in sorted(_on_the_way(workflow, branches)):
        node = workflow.nodes[id]
        if not isinstance(node.work, WorkflowWork):
            continue
        ran = sorted(_reached((node.work.workflow,), named) & named.keys())
        waiting = next(((name, each) for name in ran if (each := _wait_in(named[name]))), None)
        if waiting:
            message = f"{waiting[0]} waits, at its node {shown(waiting[1].id)}, "
            message += f"within a branch of {shown(parallel.id)}"
            hint = "run it before the branches, or after them"
            yield node_problem(workflow, node, "waits_in_branch", message, "workflow", hint)


def _on_the_way(workflow: Workflow, starts: Iterable[str]) -> set[str]:
    """These nodes and all that may come after them."""
    found, waiting = set[str](), list(starts)
    while waiting:
        id = waiting.pop()
        if id not in found:
            found.add(id)
            waiting += workflow.nodes[id].leads_to()
    return found


def _wait_in(workflow: Workflow) -> Node | None:
    nodes = workflow.nodes.values()
    return next((each for each in nodes if isinstance(each.work, WaitWork | ApprovalWork)), None)


def _reached(names: Iterable[str], named: Mapping[str, Workflow]) -> set[str]:
    """These and all that they run in turn, unknown ones too."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += named[name].calls if name in named else ()
    return found


def _nearest(name: str, known: Collection[str]) -> str | None:
    close = difflib.get_close_matches(name, known, 1)
    if close:
        return f"did you mean {close[0]}?"
    return f"known: {', '.join(sorted(known))}" if known else None


def node_problem(
    workflow: Workflow,
    node: Node,
    code: str,
    message: str,
    key: str,
    hint: str | None,
    severity: Severity = "error",
) -> Problem:
    """What is wrong with one node, in its file and at the line of `key`."""
    lines = (workflow.lines.get(f"{node.pointer}{each}") for each in (f"/{key}", ""))
    return Problem(
        file=workflow.file,
        code=code,
        message=f"node {shown(node.id)}: {message}",
        line=next((each for each in lines if each is not None), None),
        hint=hint,
        severity=severity,
    )
