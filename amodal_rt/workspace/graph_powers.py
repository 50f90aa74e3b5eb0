"""What a graph wants and cannot have: writes of a read-only automation, variables that it was not
granted, messages to nowhere."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import cast

from amodal_rt.domain.automation import Definition
from amodal_rt.domain.connection import Connection
from amodal_rt.domain.delivery import Target
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.secret import SecretRef
from amodal_rt.domain.workflow import (
    DeliverWork,
    McpWork,
    Node,
    RequestWork,
    Template,
    Workflow,
)
from amodal_rt.errors import DeniedError
from amodal_rt.guardrails.calls import Call, RestCall, ToolCall
from amodal_rt.guardrails.endpoints import parse_endpoint
from amodal_rt.guardrails.write_grants import Refused, find_grant, grant_line
from amodal_rt.guardrails.writes import Powers, decide, judge, powers_of, unknown
from amodal_rt.settings import Environment
from amodal_rt.workspace.graphing import node_problem, nodes_of

_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_VARIABLE = re.compile(r"(?<![\w.])env\.([A-Za-z_]\w*)")
_PRINTED = "x"
"""Stands for what a template will print: one part of a path."""


def write_warnings(
    definition: Definition, graphs: Iterable[Workflow], connections: Mapping[str, Connection]
) -> Iterator[Problem]:
    """Nodes that will be refused, because they write what the automation may not.

    What only a run can tell, a path that is all template or a tool for which its server speaks, is
    judged when it is called, as every call is.
    """
    powers = replace(powers_of(definition), place=None)
    opened = powers.write_enabled or powers.proposes
    if opened and powers.grants is None:
        return
    for workflow, node in nodes_of(graphs):
        call, name = _call(node)
        connection = connections.get(name)
        if call is None or connection is None:
            continue
        judged = judge(call, connection)
        if connection.trust_annotations and isinstance(call, ToolCall) and unknown(judged):
            continue
        if decide(call, connection, replace(powers, write_enabled=False, proposes=False)).allowed:
            continue
        label = _shown(node)
        message = f"{label} of {name} is a write ({judged.why}), and {definition.file} is read-only"
        hint = f'it will be refused: "writeEnabled": true in {definition.file} would allow it'
        if opened:
            if _TEMPLATE.search(label) or _covered(call, name, powers):
                continue
            message = f"{label} of {name} is not among the writes of {definition.file}"
            hint = f'it will be refused: {grant_line(call, name)} in "writes" would allow it'
        key = "tool" if isinstance(call, ToolCall) else "method"
        code = "write_not_enabled"
        yield node_problem(workflow, node, code, message, key, hint, "warning")


def unset_targets(
    graphs: Iterable[Workflow], targets: Mapping[str, Target], environment: Environment
) -> Iterator[Problem]:
    """Nodes whose messages will wait for a variable that is not set."""
    for workflow, node in nodes_of(graphs):
        if not isinstance(node.work, DeliverWork):
            continue
        for place, name in enumerate(node.work.targets):
            target = targets.get(name)
            texts = (target.url, target.secret) if target else ()
            named = [each.name for each in texts if isinstance(each, SecretRef)]
            for variable in environment.missing(named):
                message = f"messages to {name} wait: {variable} is not set"
                hint = f"set {variable} in the environment or in .env"
                key = f"targets/{place}"
                yield node_problem(workflow, node, "env_missing", message, key, hint, "warning")


def _call(node: Node) -> tuple[Call | None, str]:
    """The node's call as far as its file tells, and its connection; None for no call, or one of
    which nothing is known before it is made."""
    work = node.work
    if isinstance(work, McpWork):
        return ToolCall(tool=work.tool), work.connection
    if not isinstance(work, RequestWork):
        return None, ""
    try:
        endpoint = parse_endpoint(_TEMPLATE.sub(_PRINTED, str(work.endpoint.value)))
    except DeniedError:
        return None, ""
    headers = work.headers.value
    named = cast("dict[str, object]", headers if isinstance(headers, dict) else {})
    call = RestCall(
        method=work.method,
        path=endpoint.path,
        params=endpoint.params,
        headers={name: str(value) for name, value in named.items()},
        data=work.data.value,
    )
    return call, work.connection


def _covered(call: Call, connection: str, powers: Powers) -> bool:
    """Whether a line is about such a call; what it pins, only the call itself can tell."""
    found = find_grant(call, connection, powers.grants or ())
    return not isinstance(found, Refused) or found.index is not None


def _shown(node: Node) -> str:
    """The call as its file spells it."""
    work = node.work
    if isinstance(work, RequestWork):
        return f"{work.method} {work.endpoint.value}"
    return work.tool if isinstance(work, McpWork) else ""


def variable_errors(definition: Definition, graphs: Iterable[Workflow]) -> Iterator[Problem]:
    """Variables that templates name and the automation was not granted. Scripts are told when they
    look."""
    granted = definition.automation.env
    for workflow, node in nodes_of(graphs):
        printed = (part for text in _texts(node.work) for part in _TEMPLATE.findall(text))
        named = dict.fromkeys(name for part in printed for name in _VARIABLE.findall(part))
        for name in named.keys() - set(granted):
            message = f"{definition.file} does not grant the variable {name}"
            hint = f'add "{name}" to env'
            yield node_problem(workflow, node, "not_granted", message, "id", hint)


def _texts(value: object) -> Iterator[str]:
    """Every text in the templates of a node's work."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Template):
        yield from _texts(value.value)
    elif isinstance(value, dict):
        for each in cast("dict[str, object]", value).values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in cast("list[object]", value):
            yield from _texts(each)
    elif is_dataclass(value):
        for each in fields(value):
            part: object = getattr(value, each.name)
            if isinstance(part, Template):
                yield from _texts(part)
