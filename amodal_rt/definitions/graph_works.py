"""What each node of a graph does, made of its shape."""

from collections.abc import Mapping
from datetime import timedelta
from typing import cast

from amodal_rt.definitions import graph_nodes as shapes
from amodal_rt.definitions.document import Loc
from amodal_rt.definitions.graph_ways import Complain
from amodal_rt.definitions.scope_templates import template_fault
from amodal_rt.definitions.script import script_fault
from amodal_rt.definitions.words import shown, suggestion
from amodal_rt.domain.workflow import (
    AgentWork,
    ApprovalWork,
    ConditionWork,
    DeliverWork,
    Edges,
    EmitWork,
    McpWork,
    Node,
    NodeRetry,
    NodeWork,
    ParallelWork,
    RequestWork,
    Script,
    ScriptWork,
    StoreAction,
    StoreWork,
    Template,
    TransformWork,
    TriggerWork,
    WaitWork,
    WorkflowWork,
)

_NEEDS_KEY = {StoreAction.GET, StoreAction.PUT, StoreAction.DELETE}


class Works:
    """Makes nodes; what cannot be one is complained of. `used` are the scripts that nodes name."""

    def __init__(self, file: str, scripts: Mapping[str, Script], complain: Complain) -> None:
        self._file = file
        self._scripts = scripts
        self._complain = complain
        self.used: dict[str, Script] = {}

    def node(self, shape: shapes.NodeShape, at: Loc) -> Node | None:
        """The node, or None with a problem."""
        work = self._work(shape, at)
        kind = shapes.kind_of(shape.kind)
        if work is None or kind is None:
            return None
        fork = shape if isinstance(shape, shapes.ForkShape) else None
        retry = shape.retry or shapes.NodeRetryShape()
        return Node(
            id=shape.id,
            kind=kind,
            title=shape.title or shape.name,
            work=work,
            edges=Edges(
                on_success=shape.on_success,
                on_error=shape.on_error,
                on_true=fork.on_true if fork else None,
                on_false=fork.on_false if fork else None,
            ),
            timeout=timedelta(seconds=shape.timeout_seconds) if shape.timeout_seconds else None,
            retry=NodeRetry(
                attempts=retry.attempts, backoff=timedelta(seconds=retry.backoff_seconds)
            ),
            visits=shape.max_visits,
            pointer="".join(f"/{part}" for part in at),
        )

    def _work(self, shape: shapes.NodeShape, at: Loc) -> NodeWork | None:
        match shape:
            case shapes.TriggerShape():
                return TriggerWork(event=shape.trigger)
            case shapes.ScriptShape():
                return self._script(shape, at)
            case shapes.ConditionShape():
                return self._condition(shape, at)
            case shapes.StoreShape():
                return self._store(shape, at)
            case shapes.WaitShape():
                return self._wait(shape, at)
            case shapes.ParallelShape():
                return ParallelWork(branches=tuple(shape.branches))
            case _:
                return self._plain(shape, at)

    def _plain(self, shape: shapes.NodeShape, at: Loc) -> NodeWork | None:
        """Kinds that are their keys, some of them templates."""

        def template(key: str) -> Template:
            return self._template(getattr(shape, key), (*at, key), shape.id)

        match shape:
            case shapes.AgentShape():
                return AgentWork(
                    prompt=template("prompt"),
                    agent=shape.agent,
                    models=tuple(shape.model or ()),
                    connections=None if shape.connections is None else tuple(shape.connections),
                    tools=None if shape.tools is None else tuple(shape.tools),
                )
            case shapes.RequestShape():
                return RequestWork(
                    connection=shape.connection,
                    method=shape.method,
                    endpoint=template("endpoint"),
                    params=template("params"),
                    data=template("data"),
                    headers=template("headers"),
                )
            case shapes.McpShape():
                return McpWork(
                    connection=shape.connection, tool=shape.tool, arguments=template("arguments")
                )
            case shapes.TransformShape():
                return TransformWork(value=template("value"))
            case shapes.EmitShape():
                return EmitWork(type=shape.type, data=template("data"), subject=template("subject"))
            case shapes.ApprovalShape():
                return ApprovalWork(message=template("message"), expires=shape.expires)
            case shapes.DeliverShape():
                return DeliverWork(targets=tuple(shape.targets), message=template("message"))
            case shapes.SubWorkflowShape():
                return WorkflowWork(workflow=shape.workflow, payload=template("payload"))
            case _:
                raise AssertionError(f"no work for {type(shape).__name__}")

    def _script(self, shape: shapes.ScriptShape, at: Loc) -> NodeWork | None:
        script = self._scripts.get(shape.script)
        if script is None:
            self._complain(
                "unknown_script",
                f"node {shown(shape.id)}: there is no script {shown(shape.script)}",
                (*at, "script"),
                hint=suggestion(shape.script, self._scripts)
                or f'add it to "data", or as scripts/{shape.script}.py',
            )
            return None
        self.used[script.name] = script
        return ScriptWork(script=script)

    def _condition(self, shape: shapes.ConditionShape, at: Loc) -> NodeWork | None:
        who = f"node {shown(shape.id)}"
        if (shape.filter is None) == (shape.expression is None):
            message = f"{who}: exactly one of filter and expression decides"
            self._complain("conflict", message, at)
            return None
        if shape.on_success is not None:
            message = f"{who}: a condition goes on at on_true and on_false"
            self._complain("conflict", message, (*at, "on_success"), hint="name those instead")
            return None
        if shape.filter is not None:
            return ConditionWork(filter=shape.filter)
        source = cast("str", shape.expression)
        fault = script_fault(source)
        if fault is not None:
            message = f"{who}: the expression is not Python: {fault[2]}"
            self._complain("bad_script", message, (*at, "expression"))
            return None
        script = Script(name=f"{shape.id}.expression", source=source, file=self._file)
        return ConditionWork(expression=script)

    def _store(self, shape: shapes.StoreShape, at: Loc) -> NodeWork | None:
        action = StoreAction(shape.action)
        if action in _NEEDS_KEY and shape.key is None:
            message = f"node {shown(shape.id)}: {action} needs a key"
            self._complain("missing_key", message, at, hint='for example "key": "{{ payload.id }}"')
            return None
        return StoreWork(
            store=shape.store,
            action=action,
            key=self._template(shape.key, (*at, "key"), shape.id),
            value=self._template(shape.value, (*at, "value"), shape.id),
            limit=shape.limit,
        )

    def _wait(self, shape: shapes.WaitShape, at: Loc) -> NodeWork | None:
        if (shape.duration is None) == (shape.until is None):
            message = f"node {shown(shape.id)}: exactly one of duration and until says how long"
            self._complain("conflict", message, at)
            return None
        if shape.duration is not None and shape.duration > shapes.LONGEST_WAIT:
            message = f"node {shown(shape.id)}: longer than {shapes.LONGEST_WAIT.days} days"
            self._complain("wrong_value", message, (*at, "duration"))
            return None
        if shape.duration is not None:
            return WaitWork(duration=shape.duration)
        return WaitWork(until=self._template(shape.until, (*at, "until"), shape.id))

    def _template(self, value: object, loc: Loc, node: str) -> Template:
        for where, fault in template_fault(value):
            self._complain("bad_template", f"node {shown(node)}: {fault}", (*loc, *where))
        return Template(value)
