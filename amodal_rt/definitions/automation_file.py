"""The automation file as a shape: every key of it, with its documentation.

The published JSON Schema is made from these classes; `automation.py` turns what they hold
into the domain's values.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from amodal_rt.definitions.shapes import (
    Duration,
    EnvText,
    FileShape,
    Filled,
    Instant,
    Listed,
    NotYet,
    Prompt,
    Url,
    Zone,
)

Natural = Annotated[int, Field(ge=1)]


# A key that no file can hold: the name of a target, told apart from its written-out form.
_BY_NAME = "\0ref"


def _as_schedule(value: object) -> object:
    return {"cron": value} if isinstance(value, str) else value


def _as_target(value: object) -> object:
    return {_BY_NAME: value} if isinstance(value, str) else value


def _as_targets(value: object) -> object:
    return {"targets": [value]} if isinstance(value, str) else value


def _as_messages(value: object) -> object:
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


class ScheduleShape(FileShape):
    """When: exactly one of `cron`, `every`, `at`."""

    cron: Annotated[Filled | None, Field(description="Five fields, standard cron; or @daily.")] = (
        None
    )
    every: Annotated[Duration | None, Field(description='A fixed interval: "15m".')] = None
    at: Annotated[Instant | None, Field(description="Once, at this ISO time.")] = None
    timezone: Annotated[Zone | None, Field(description="IANA zone of `cron`; default UTC.")] = None
    start_at: Annotated[Instant | None, Field(description="Not before this instant.")] = None
    end_at: Annotated[Instant | None, Field(description="Only before this instant.")] = None


ScheduleField = Annotated[ScheduleShape, BeforeValidator(_as_schedule)]


class MessageShape(FileShape):
    """One message of the prompt."""

    role: Literal["user", "assistant", "system"]
    content: Prompt


class WebhookAuthShape(FileShape):
    """The proof that a webhook must carry."""

    type: Annotated[str, Field(description="`hmac-sha256` or `github`.")]
    secret: Annotated[
        list[EnvText],
        Listed,
        Field(min_length=1, description="`env:NAME`, or several while rotating."),
    ]
    header: Annotated[Filled | None, Field(description="Default X-Signature-256.")] = None
    dedupe_header: Annotated[
        Filled | None, Field(description="The one header that identifies a delivery.")
    ] = None


class TargetShape(FileShape):
    """A receiver: `webhook` with a `url`, `callback`, or the name of one in `amodal.json`."""

    model_config = ConfigDict(json_schema_extra={"description": "A receiver of messages."})

    type: Literal["webhook", "callback"] | None = None
    ref: Annotated[str | None, Field(validation_alias=_BY_NAME, exclude=True)] = None
    url: Url | None = None
    format: Literal["json", "slack"] = "json"
    label: Filled | None = None
    secret: EnvText | None = None
    name: Filled | None = None


TargetField = Annotated[TargetShape, BeforeValidator(_as_target)]


class DeliveryShape(FileShape):
    """Where the result goes."""

    targets: Annotated[list[TargetField], Field(min_length=1)]
    template: Annotated[str | None, Field(description="Liquid; becomes `message`.")] = None
    when: NotYet = None


class FailureAlertShape(FileShape):
    """Whom to tell after how many consecutive failures."""

    after: Natural = 1
    cooldown_minutes: Annotated[int, Field(ge=0)] = 60
    targets: Annotated[list[TargetField], Listed, Field(min_length=1)]


class WriteLimitsShape(FileShape):
    """How many writes may leave."""

    per_run: Annotated[int, Field(ge=0)] = 20
    per_hour: Annotated[int, Field(ge=0)] = 60


class LimitsShape(FileShape):
    """The bounds of one automation."""

    concurrency: Natural = 3
    on_limit: Literal["skip", "queue"] | None = None
    timeout_seconds: Annotated[int, Field(ge=1, le=86_400)] = 300
    max_turns: Annotated[int, Field(ge=1, le=1_000)] = 50
    max_tokens: Natural | None = None
    max_cost_usd: NotYet = None
    max_cost_usd_per_day: NotYet = None
    starts_per_hour: Natural | None = None
    webhook_bytes: Annotated[int, Field(ge=1, le=16_777_216)] = 1_048_576
    writes: WriteLimitsShape = WriteLimitsShape()


class CatchUpShape(FileShape):
    """Which missed slots run."""

    policy: Literal["last", "all", "none"] = "last"
    within: Duration | None = None


class RetryShape(FileShape):
    """How often a failed run is tried again."""

    attempts: Annotated[int, Field(ge=0, le=20)] = 0
    backoff_seconds: Annotated[int, Field(ge=1, le=86_400)] = 30
    after_writes: bool = False


class TriggerShape(FileShape):
    """One of several triggers."""

    type: str
    schedule: ScheduleField | None = None
    timezone: Zone | None = None
    webhook_auth: WebhookAuthShape | None = None
    event: NotYet = None
    params: NotYet = None
    filter: NotYet = None
    actors: NotYet = None


class AutomationShape(FileShape):
    """One automation: what runs, when, with which powers and where the result goes."""

    schema_: Annotated[
        str | None, Field(validation_alias="$schema", serialization_alias="$schema")
    ] = None
    title: Annotated[Filled | None, Field(description="Display name. Required (or `name`).")] = None
    name: Annotated[Filled | None, Field(description="The same as `title`.")] = None
    description: str | None = None
    metadata: Annotated[dict[str, object], Field(default_factory=dict[str, object])]
    lookup_key: Annotated[str | None, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")] = None

    prompt: Annotated[
        Prompt | None, Field(description="What the agent is asked; {{event}} refers to the event.")
    ] = None
    prompt_file: Annotated[Filled | None, Field(description="A file that holds the prompt.")] = None
    messages: Annotated[
        list[MessageShape] | None, BeforeValidator(_as_messages), Field(min_length=1)
    ] = None
    input_template: NotYet = None
    instructions: NotYet = None
    workflow: NotYet = None
    config: NotYet = None
    config_id: NotYet = None
    command: NotYet = None

    schedule: Annotated[ScheduleField | None, Field(description="Cron text, or an object.")] = None
    timezone: Annotated[Zone | None, Field(description="IANA zone; default UTC.")] = None
    trigger: Annotated[str | None, Field(description="cron, webhook or manual.")] = None
    triggers: Annotated[list[TriggerShape] | None, Field(min_length=1)] = None
    params: NotYet = None
    filter: NotYet = None
    event_conditions: NotYet = None
    actors: NotYet = None
    webhook_auth: WebhookAuthShape | None = None
    input_schema: NotYet = None
    prefills: NotYet = None
    invoke_auth: NotYet = None

    agent: Annotated[Filled | None, Field(description="A file of agents/; default main.")] = None
    model: Annotated[list[Filled] | None, Listed, Field(min_length=1)] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    profile: NotYet = None
    connections: Annotated[list[Filled] | None, Field(description="Allow-list.")] = None
    tools: Annotated[
        list[Filled] | None, Field(description="Allow-list: connection.tool, globs.")
    ] = None
    write_enabled: Annotated[bool | str, Field(description="false: read-only; true: writes.")] = (
        False
    )
    writes: NotYet = None

    delivery: Annotated[DeliveryShape | None, BeforeValidator(_as_targets)] = None
    failure_alert: Annotated[FailureAlertShape | None, BeforeValidator(_as_targets)] = None
    limits: LimitsShape = LimitsShape()
    catch_up: CatchUpShape = CatchUpShape()
    retry: RetryShape = RetryShape()
    conversation_key: NotYet = None
    idempotency_key: NotYet = None
    coalesce: NotYet = None
    when: NotYet = None
    expect: NotYet = None
    run_as: NotYet = None
    run_as_user: NotYet = None
    created_by: NotYet = None
    acknowledge: NotYet = None
    status: Literal["active", "draft", "paused"] = "active"
