"""What the tools are asked with; their JSON Schemas are made from these classes."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_SHORT = 256
_TEXT = 200_000

Reference = Annotated[str, Field(min_length=1, max_length=_SHORT)]
"""An id, or another name of one thing."""
Cursor = Annotated[str, Field(min_length=1, max_length=_SHORT)]
Count = Annotated[int, Field(ge=1, le=100)]


class Input(BaseModel):
    """Arguments of a tool: nothing is converted, and nothing unknown is passed over."""

    # Built with the first call: a daemon that nobody speaks MCP to starts without it.
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", defer_build=True)


class Part(Input):
    """A part of a message: text alone is understood."""

    type: Literal["text"]
    text: Annotated[str, Field(min_length=1, max_length=_TEXT)]


class Message(Input):
    """One message of the conversation that begins a run. `id` and `metadata` are not kept."""

    id: str | None = None
    role: Literal["user", "assistant", "system"]
    parts: Annotated[list[Part], Field(min_length=1, max_length=100)]
    metadata: dict[str, object] | None = None


class ModelRef(BaseModel):
    """A model by its name; what else is said of it is not read."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", defer_build=True)

    id: Reference


class Models(Input):
    """Which model does it: `modelId`, else `tier`, else `thinking`. `credentialId` names the
    provider where the id does not; `coding` and `fast` are not used."""

    modelId: Reference | None = None  # noqa: N815 - the platform's own spelling
    tier: Reference | None = None
    credentialId: Reference | None = None  # noqa: N815 - the platform's own spelling
    thinking: ModelRef | None = None
    coding: dict[str, object] | None = None
    fast: dict[str, object] | None = None


Name = Annotated[str, Field(min_length=1, max_length=255)]
Messages = (
    Annotated[str, Field(min_length=1, max_length=_TEXT)]
    | Annotated[list[Message], Field(min_length=1, max_length=100)]
)
Temperature = Annotated[float, Field(ge=0, le=2)]


class CreateInput(Input):
    """A new automation."""

    name: Annotated[Name, Field(description="Display name; the file is named after it.")]
    lookup_key: Annotated[
        Reference | None, Field(description="The file's name, where `name` will not do.")
    ] = None
    description: Annotated[str, Field(max_length=10_000)] | None = None
    virtual_mcp_id: Annotated[
        Reference | None, Field(description="The agent that does it: a file of agents/.")
    ] = None
    messages: Annotated[
        Messages, Field(description="What the agent is asked: a text, or a list that ends with it.")
    ]
    models: Models | None = None
    temperature: Temperature | None = None
    tools: Annotated[
        list[Reference] | None,
        Field(max_length=1_000, description="Which tools it may use, as connection.tool."),
    ] = None
    maxAgentSteps: Annotated[int, Field(ge=1, le=100)] | None = None  # noqa: N815 - as above
    active: Annotated[bool, Field(description="Whether its triggers start runs at once.")] = True


class OneInput(Input):
    """One automation."""

    id: Annotated[Reference, Field(description="aut_…, the file's stem, or a lookupKey.")]


class ListInput(Input):
    """Which automations."""

    virtual_mcp_id: Annotated[Reference | None, Field(description="Only those of this agent.")] = (
        None
    )


class UpdateInput(OneInput):
    """What is to change; the agent cannot."""

    name: Name | None = None
    description: Annotated[str, Field(max_length=10_000)] | None = None
    active: Annotated[
        bool | None, Field(description="false pauses it, true lets its triggers start runs.")
    ] = None
    messages: Messages | None = None
    models: Models | None = None
    temperature: Temperature | None = None


class TriggerAddInput(Input):
    """One more trigger."""

    automation_id: Reference
    type: Literal["cron", "event", "webhook"]
    cron_expression: Annotated[
        Annotated[str, Field(min_length=1, max_length=_SHORT)] | None,
        Field(
            description="Of cron: five fields, or @daily and the like; UTC unless the file says."
        ),
    ] = None
    connection_id: Annotated[
        Reference | None,
        Field(description="Of event: the MCP connection whose server calls the event so."),
    ] = None
    event_type: Annotated[
        Annotated[str, Field(min_length=1, max_length=255)] | None,
        Field(description="Of event: its type, as in github.issues.opened."),
    ] = None
    params: Annotated[
        dict[str, str] | None,
        Field(max_length=100, description="Of event: keys of its data and what they must be."),
    ] = None


class TriggerRemoveInput(Input):
    """One trigger."""

    trigger_id: Annotated[Reference, Field(description="trg_…, as AUTOMATION_GET shows it.")]


class RunInput(OneInput):
    """A run to start."""

    payload: Annotated[
        dict[str, object] | None, Field(description="What it is given; its inputSchema judges.")
    ] = None
    idempotency_key: Annotated[
        Annotated[str, Field(min_length=1, max_length=_SHORT)] | None,
        Field(description="For invoked automations: the same key gives the same run."),
    ] = None


class RunListInput(Input):
    """Which runs."""

    automation_id: Reference | None = None
    status: Literal["pending", "running", "completed", "failed", "cancelled", "skipped"] | None = (
        None
    )
    limit: Count = 20
    before_cursor: Annotated[Cursor | None, Field(description="Leads to older runs.")] = None
    after_cursor: Annotated[Cursor | None, Field(description="Leads to newer runs.")] = None


class RunGetInput(Input):
    """One run, and which part of its journal."""

    run_id: Annotated[Reference, Field(description="run_… or thrd_….")]
    limit: Annotated[Count, Field(description="How many entries of the journal.")] = 20
    after_cursor: Annotated[Cursor | None, Field(description="Leads to later entries.")] = None


class SpendInput(Input):
    """Which days, and summed up by what."""

    days: Annotated[int, Field(ge=1, le=3_650, description="How many, today included.")] = 1
    by: Literal["automation", "model", "day"] = "automation"
    automation: Annotated[Reference | None, Field(description="Of this one alone.")] = None


class EmitInput(Input):
    """Something that happened."""

    type: Annotated[str, Field(min_length=1, max_length=255, description="As in deploy.finished.")]
    data: Annotated[dict[str, object] | None, Field(description="What happened.")] = None
    subject: Annotated[str | None, Field(max_length=1_000, description="To what.")] = None
    source: Annotated[str | None, Field(max_length=1_000, description="Where; default /mcp.")] = (
        None
    )
    id: Annotated[
        Reference | None, Field(description="The sender's own id: a second one starts nothing.")
    ] = None
