"""The nodes of a `WorkflowGraph` as files spell them, one shape for each kind."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from amodal_rt.definitions.event_file import EventName
from amodal_rt.definitions.filtering import FilterField
from amodal_rt.definitions.shapes import (
    Duration,
    FileShape,
    Filled,
    Listed,
    Models,
    PlainText,
    Slug,
    described,
)
from amodal_rt.domain.workflow import NodeKind

Anything = Annotated[object, described("Any JSON; its texts may hold `{{ … }}`.")]
NodeId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
"""What names a node within its graph."""

LONGEST_WAIT = timedelta(days=366)
MOST_BRANCHES = 50


class NodeRetryShape(FileShape):
    """When a node that failed is tried again."""

    attempts: Annotated[int, Field(ge=0, le=10, description="How often it is tried again.")] = 0
    backoff_seconds: Annotated[
        float, Field(ge=0, le=3_600, description="The first pause; each further one is double.")
    ] = 1.0


class NodeShape(FileShape):
    """What every node may say."""

    kind: Annotated[str, described("What the node does.")]
    id: Annotated[NodeId, described("Names the node; results are kept under it.")]
    name: Annotated[PlainText | None, described("Display name.")] = None
    title: Annotated[PlainText | None, described("Another word for `name`.")] = None
    description: Annotated[PlainText | None, described("For people.")] = None
    on_success: Annotated[NodeId | None, described("The node that follows.")] = None
    on_error: Annotated[
        NodeId | None,
        described("The node that follows a failure; without it the run fails."),
    ] = None
    timeout_seconds: Annotated[
        float | None,
        Field(
            gt=0,
            le=86_400,
            description="After that it has failed. A wait, or waiting for a person, is not "
            "bounded by it.",
        ),
    ] = None
    retry: Annotated[NodeRetryShape | None, described("Whether it is tried again.")] = None
    max_visits: Annotated[
        int | None,
        Field(
            ge=1,
            le=10_000,
            description="How often one run may come by; needed once in every cycle. Default 1.",
        ),
    ] = None


class ForkShape(NodeShape):
    """A node with two ways on."""

    on_true: Annotated[NodeId | None, described("The node that follows yes.")] = None
    on_false: Annotated[NodeId | None, described("The node that follows no.")] = None


class TriggerShape(NodeShape):
    """Where a run enters."""

    trigger: Annotated[
        EventName | None,
        described(
            "The event that it stands for, `workflow.scheduled` for a schedule; default whatever "
            "starts the automation."
        ),
    ] = None


class AgentShape(NodeShape):
    """An agent session with the automation's powers, or fewer."""

    prompt: Annotated[Filled, described("What it is asked; `{{ … }}` is printed.")]
    agent: Annotated[Slug | None, described("Who does it; default the automation's.")] = None
    model: Annotated[Models | None, described("Models to try in order.")] = None
    connections: Annotated[
        Annotated[list[Slug], Listed] | None, described("Fewer of the automation's connections.")
    ] = None
    tools: Annotated[
        Annotated[list[Filled], Listed] | None, described("Fewer of the automation's tools.")
    ] = None


class RequestShape(NodeShape):
    """One HTTP request over a connection."""

    connection: Annotated[Slug, described("Which connection.")]
    method: Annotated[
        Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"],
        described("Anything but a read needs `writeEnabled`."),
    ] = "GET"
    endpoint: Annotated[Filled, described("The path below the connection's address.")]
    params: Anything = None
    data: Anything = None
    headers: Anything = None


class McpShape(NodeShape):
    """One call of a tool of an MCP server."""

    connection: Annotated[Slug, described("Which connection.")]
    tool: Annotated[Filled, described("The tool, as its server names it.")]
    arguments: Anything = None


class ScriptShape(NodeShape):
    """Python in a sandbox."""

    script: Annotated[
        Filled, described("The `id` of an entry of `data`, or the stem of a file of `scripts/`.")
    ]


class ConditionShape(ForkShape):
    """Which of two ways to go."""

    filter: Annotated[FilterField, described("A filter over what templates see.")] = None
    expression: Annotated[
        Filled | None, described("Python whose value is true or false, instead of `filter`.")
    ] = None


class TransformShape(NodeShape):
    """A value made of others."""

    value: Anything


class EmitShape(NodeShape):
    """Says on the bus that something happened."""

    type: Annotated[EventName, described("The type of the event.")]
    data: Anything = None
    subject: Annotated[PlainText | None, described("What it is about; may hold `{{ … }}`.")] = None


class StoreShape(NodeShape):
    """Reads or writes a store."""

    store: Annotated[Slug, described("Which store.")]
    action: Annotated[Literal["get", "put", "delete", "query"], described("What is done.")]
    key: Annotated[PlainText | None, described("Which value; may hold `{{ … }}`.")] = None
    value: Anything = None
    limit: Annotated[int, Field(ge=1, le=1_000, description="Of a query: so many at most.")] = 100


class WaitShape(NodeShape):
    """Lets the run wait without holding a slot."""

    duration: Annotated[Duration | None, described("How long.")] = None
    until: Annotated[Filled | None, described("Until this ISO time; may hold `{{ … }}`.")] = None


class ApprovalShape(ForkShape):
    """Lets the run wait for a person."""

    message: Annotated[Filled, described("What is asked; `{{ … }}` is printed.")]
    expires: Annotated[Duration, described("After that the answer is no.")] = timedelta(days=7)


class DeliverShape(NodeShape):
    """Owes a message to somebody."""

    targets: Annotated[
        Annotated[list[Slug], Listed, Field(min_length=1, max_length=20)],
        described("Names of targets in `amodal.json`."),
    ]
    message: Anything


class ParallelShape(NodeShape):
    """Walks several ways side by side."""

    branches: Annotated[
        list[NodeId],
        Field(
            min_length=1,
            max_length=MOST_BRANCHES,
            description="The first node of each; `onSuccess` follows when all have ended.",
        ),
    ]


class SubWorkflowShape(NodeShape):
    """Runs another workflow."""

    workflow: Annotated[Slug, described("The stem of a file of `workflows/`.")]
    payload: Anything = None


SHAPES: dict[NodeKind, type[NodeShape]] = {
    NodeKind.TRIGGER: TriggerShape,
    NodeKind.AGENT: AgentShape,
    NodeKind.REQUEST: RequestShape,
    NodeKind.MCP: McpShape,
    NodeKind.SCRIPT: ScriptShape,
    NodeKind.CONDITION: ConditionShape,
    NodeKind.TRANSFORM: TransformShape,
    NodeKind.EMIT: EmitShape,
    NodeKind.STORE: StoreShape,
    NodeKind.WAIT: WaitShape,
    NodeKind.APPROVAL: ApprovalShape,
    NodeKind.DELIVER: DeliverShape,
    NodeKind.PARALLEL: ParallelShape,
    NodeKind.WORKFLOW: SubWorkflowShape,
}

_WORDS = {
    **{each.value: each for each in NodeKind},
    "httprequest": NodeKind.REQUEST,
    "http_request": NodeKind.REQUEST,
    "http": NodeKind.REQUEST,
    "conditional": NodeKind.CONDITION,
    "embedagent": NodeKind.AGENT,
    "embed_agent": NodeKind.AGENT,
    "subworkflow": NodeKind.WORKFLOW,
    "sub_workflow": NodeKind.WORKFLOW,
    "sub-workflow": NodeKind.WORKFLOW,
}
KINDS = tuple(f"Workflow{each.value.capitalize()}" for each in NodeKind)
"""How the documented platform spells the kinds."""


def kind_of(word: str) -> NodeKind | None:
    """The kind that a file names: `WorkflowScript`, or `script` in short."""
    plain = (word.removeprefix("Workflow") or word).lower()
    return _WORDS.get(plain)


def words_for(kind: NodeKind) -> tuple[str, ...]:
    """How files spell a kind, the documented platform's way first."""
    short = sorted(word for word, each in _WORDS.items() if each is kind and word != kind.value)
    return (f"Workflow{kind.value.capitalize()}", kind.value, *short)
