"""A workflow: work that is a graph of nodes, not a prompt."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from amodal_rt.domain.filter import Filter

SCHEDULED = "workflow.scheduled"
"""What a trigger node names for slots, and what a run at a slot is told as its trigger."""


class NodeKind(StrEnum):
    """What a node does."""

    TRIGGER = "trigger"
    AGENT = "agent"
    REQUEST = "request"
    MCP = "mcp"
    SCRIPT = "script"
    CONDITION = "condition"
    TRANSFORM = "transform"
    EMIT = "emit"
    STORE = "store"
    WAIT = "wait"
    APPROVAL = "approval"
    DELIVER = "deliver"
    PARALLEL = "parallel"
    WORKFLOW = "workflow"


class StoreAction(StrEnum):
    """What a store node does."""

    GET = "get"
    PUT = "put"
    DELETE = "delete"
    QUERY = "query"


@dataclass(frozen=True, slots=True)
class Template:
    """A JSON value in which texts may hold `{{ … }}`.

    A text that is one `{{ path }}` and nothing else stands for the value at the path, of
    whatever type; any other is a text.
    """

    value: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Python for the sandbox. `file` is where it stands, `first_line` its first line there."""

    name: str
    source: str
    file: str
    first_line: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerWork:
    """Where a run enters. `event` is the type that it stands for, `workflow.scheduled` for
    slots, None for whatever starts the automation. Gives the payload."""

    event: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentWork:
    """An agent session within the powers of the automation, or fewer. Gives `{text, payload}`."""

    prompt: Template
    agent: str | None = None
    models: tuple[str, ...] = ()
    connections: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestWork:
    """One HTTP request over a connection. Gives `{status, body}`."""

    connection: str
    method: str
    endpoint: Template
    params: Template = Template(None)
    data: Template = Template(None)
    headers: Template = Template(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class McpWork:
    """One call of a tool of an MCP server. Gives what it answers."""

    connection: str
    tool: str
    arguments: Template = Template(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptWork:
    """Gives the value of the script's last expression."""

    script: Script


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionWork:
    """Goes on at `on_true` or `on_false`: by `filter` over the scope, or by the truth of
    `expression`, which a sandbox computes. Gives the boolean."""

    filter: Filter | None = None
    expression: Script | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformWork:
    """Gives `value` with its templates printed."""

    value: Template


@dataclass(frozen=True, slots=True, kw_only=True)
class EmitWork:
    """Says on the bus that something happened. Gives `{id}`."""

    type: str
    data: Template = Template(None)
    subject: Template = Template(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreWork:
    """Reads or writes one store. Gives what was read, or null."""

    store: str
    action: StoreAction
    key: Template = Template(None)
    value: Template = Template(None)
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitWork:
    """Lets the run wait outside a slot: for `duration`, or until the instant that `until`
    prints. Gives `{waited_until}`."""

    duration: timedelta | None = None
    until: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalWork:
    """Lets the run wait outside a slot until a person says yes (`on_true`) or no, or `expires`
    is over (`on_false`). Gives `{approved, by, note}`."""

    message: Template
    expires: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverWork:
    """Owes a message to targets that `amodal.json` names, beside what the automation delivers.
    Gives `{targets}`."""

    targets: tuple[str, ...]
    message: Template


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelWork:
    """Walks several branches side by side, each to its end. Gives `{branch: its last value}`;
    fails when one of them does, once all have ended."""

    branches: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowWork:
    """Another workflow of the workspace, with `payload`. Gives its result's payload."""

    workflow: str
    payload: Template = Template(None)


NodeWork = (
    TriggerWork
    | AgentWork
    | RequestWork
    | McpWork
    | ScriptWork
    | ConditionWork
    | TransformWork
    | EmitWork
    | StoreWork
    | WaitWork
    | ApprovalWork
    | DeliverWork
    | ParallelWork
    | WorkflowWork
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """Where to go on. None ends the walk: well, except that without `on_error` a failure is the
    run's."""

    on_success: str | None = None
    on_error: str | None = None
    on_true: str | None = None
    on_false: str | None = None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Names of the edges that are set, and the nodes that they lead to."""
        for name in ("on_success", "on_error", "on_true", "on_false"):
            target = getattr(self, name)
            if target is not None:
                yield name, target


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRetry:
    """A failed node is tried again so often, after `backoff`, twice that, …; never after a write
    whose outcome is unknown."""

    attempts: int = 0
    backoff: timedelta = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One step of a graph. `visits` is how often one run may come by, None where nobody said:
    then other nodes bound the cycles that it stands in. `pointer` is where it stands in the file,
    as a JSON pointer."""

    id: str
    kind: NodeKind
    work: NodeWork
    edges: Edges = field(default_factory=Edges)
    title: str | None = None
    timeout: timedelta | None = None
    retry: NodeRetry = field(default_factory=NodeRetry)
    visits: int | None = None
    pointer: str = ""

    def leads_to(self) -> tuple[str, ...]:
        """Every node that may come next, branches included."""
        branches = self.work.branches if isinstance(self.work, ParallelWork) else ()
        return (*(target for _, target in self.edges), *branches)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """One `WorkflowGraph`, parsed and checked: every edge leads to a node, every node can be
    reached from `start`, and no cycle is without a bound.

    `hash` is the SHA-256 (hex) of `document`, its canonical JSON with the sources of its scripts.
    """

    name: str
    start: str
    nodes: Mapping[str, Node]
    hash: str
    document: str
    file: str
    title: str | None = None
    lines: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def entries(self) -> tuple[TriggerWork, ...]:
        """Its trigger nodes, in file order."""
        works = (each.work for each in self.nodes.values())
        return tuple(each for each in works if isinstance(each, TriggerWork))

    @property
    def calls(self) -> tuple[str, ...]:
        """The workflows that it runs, in file order."""
        works = (each.work for each in self.nodes.values())
        return tuple(each.workflow for each in works if isinstance(each, WorkflowWork))
