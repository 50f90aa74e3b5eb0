"""The automation file as a shape: every key of it, with its documentation.

The published JSON Schema is made from these classes; `automation.py` turns what they hold
into the domain's values. Descriptions are the reference page.
"""

from typing import Annotated, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, WithJsonSchema

from amodal_rt.definitions.delivery_file import (
    ApprovalsShape,
    DeliveryShape,
    FailureAlertShape,
    as_targets,
)
from amodal_rt.definitions.event_file import Actors, EventConditions
from amodal_rt.definitions.expect_file import ExpectShape
from amodal_rt.definitions.filtering import FilterField, ParamsField
from amodal_rt.definitions.gate_file import CoalesceShape, GateField
from amodal_rt.definitions.invoke_file import PrefillsShape
from amodal_rt.definitions.limits_file import LimitsShape
from amodal_rt.definitions.proof_file import WebhookAuthShape
from amodal_rt.definitions.shapes import (
    Duration,
    FileShape,
    Filled,
    Listed,
    Models,
    PlainText,
    SchemaKey,
    Slug,
    Temperature,
    Variable,
    Zone,
    complaint,
    described,
)
from amodal_rt.definitions.trigger_file import ScheduleField, TriggerShape
from amodal_rt.definitions.words import shown, type_name
from amodal_rt.definitions.writes_file import WritesField
from amodal_rt.domain.automation import STEM
from amodal_rt.domain.profile import REFERENCE

SCHEMA_REFERENCE = "[a-z0-9][a-z0-9_-]{0,63}(@[1-9][0-9]{0,5})?"
# A key that no file can hold: the name of a target, told apart from its written-out form.
PROPOSE = "propose"
"""The word of `writeEnabled` for writes of which a person decides on each."""


def _as_messages(value: object) -> object:
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


def _workflow(value: object) -> object:
    if isinstance(value, dict) or value is None:
        return cast("object", value)
    if not isinstance(value, str):
        what = "the name of a workflow, or a graph"
        raise complaint("wrong_type", f"must be {what}, not {type_name(value)}")
    if not STEM.fullmatch(value):
        hint = 'the stem of a file of workflows/, as in "welcome"'
        raise complaint("wrong_value", f"{shown(value)} names no workflow", hint)
    return value


WorkflowField = Annotated[
    object,
    BeforeValidator(_workflow),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"},
                {"type": "object", "required": ["kind", "nodes"]},
            ]
        }
    ),
]


def _argument(value: str) -> str:
    if "\0" in value:
        raise complaint("wrong_value", "an argument holds no null character")
    return value


Argument = Annotated[PlainText, AfterValidator(_argument)]


def _profile(value: str) -> str:
    if not REFERENCE.fullmatch(value):
        hint = 'the name of a folder of profiles/, as in "build", or "build@3" for its version 3'
        raise complaint("wrong_value", f"{shown(value)} names no profile", hint)
    return value


ProfileField = Annotated[
    str,
    AfterValidator(_profile),
    WithJsonSchema({"type": "string", "pattern": f"^{SCHEMA_REFERENCE}$"}),
]


def _write_enabled(value: object) -> object:
    if isinstance(value, bool) or value == PROPOSE:
        return value
    hint = "without quotes" if value in ("true", "false") else None
    raise complaint("wrong_type", f'must be true, false or "propose", not {type_name(value)}', hint)


class MessageShape(FileShape):
    """One message of the conversation that begins the session."""

    role: Annotated[Literal["user", "assistant", "system"], described("Who says it.")]
    content: Annotated[Filled, described("What is said.")]


class CatchUpShape(FileShape):
    """Which slots run that were missed while the runtime was down."""

    policy: Annotated[
        Literal["last", "all", "none"], described("The last of them, all of them, or none.")
    ] = "last"
    within: Annotated[
        Duration | None, described('How old a slot may be to run still; default "24h".')
    ] = None


class RetryShape(FileShape):
    """How often a failed run is tried again."""

    attempts: Annotated[int, Field(ge=0, le=20, description="How many tries follow the first.")] = 0
    backoff_seconds: Annotated[
        int, Field(ge=1, le=86_400, description="How long to wait before a try.")
    ] = 30
    after_writes: Annotated[
        bool, described("Try again even after a write has left; writes may then repeat.")
    ] = False


class DefaultsShape(FileShape):
    """Keys that `defaults` of `amodal.json` may give to every automation that has none."""

    timezone: Annotated[Zone | None, described("IANA zone of schedules; default UTC.")] = None
    agent: Annotated[
        Filled | None, described("Who does it: the name of a file in `agents/`; default `main`.")
    ] = None
    model: Annotated[
        Models | None,
        described("`provider:name`, a tier of `models`, or a list to fall back through."),
    ] = None
    temperature: Annotated[
        Temperature | None, described("How freely the model chooses words; default 0.5.")
    ] = None
    connections: Annotated[
        list[Filled] | None,
        described("Which connections it may use; default the agent's, else all."),
    ] = None
    tools: Annotated[
        list[Filled] | None,
        described("Which tools, as `connection.tool` with globs; default the agent's, else all."),
    ] = None
    delivery: Annotated[
        DeliveryShape | None, BeforeValidator(as_targets), described("Where the result goes.")
    ] = None
    failure_alert: Annotated[
        FailureAlertShape | None,
        BeforeValidator(as_targets),
        described("Whom to tell when it keeps failing."),
    ] = None
    approvals: Annotated[
        ApprovalsShape | None, described("Who decides on writes that need a person.")
    ] = None
    limits: Annotated[LimitsShape, described("The bounds of its runs.")] = LimitsShape()
    catch_up: Annotated[CatchUpShape, described("Which missed slots run.")] = CatchUpShape()
    retry: Annotated[RetryShape, described("How often a failed run is tried again.")] = RetryShape()


class AutomationShape(DefaultsShape):
    """One automation: what runs, when, with which powers and where the result goes."""

    schema_: SchemaKey = None
    title: Annotated[Filled | None, described("Display name. Required, here or as `name`.")] = None
    name: Annotated[Filled | None, described("Another word for `title`.")] = None
    description: Annotated[PlainText | None, described("What it is for, for people.")] = None
    metadata: Annotated[
        dict[str, object],
        Field(default_factory=dict[str, object], description="Anything of yours; not read."),
    ]
    lookup_key: Annotated[Slug | None, described("A slug of yours, unique in the workspace.")] = (
        None
    )

    prompt: Annotated[
        Filled | None, described("What the agent is asked; `{{event}}` refers to the event's data.")
    ] = None
    prompt_file: Annotated[
        Filled | None, described("A file of the workspace that holds the prompt.")
    ] = None
    messages: Annotated[
        Annotated[list[MessageShape], BeforeValidator(_as_messages), Field(min_length=1)] | None,
        described("A conversation instead of a prompt; the user's is last."),
    ] = None
    input_template: Annotated[
        Filled | None,
        described("The prompt as strict Liquid; what the event says prints as JSON."),
    ] = None
    instructions: Annotated[
        Filled | None, described("Instructions that go with `inputTemplate`; Liquid too.")
    ] = None
    workflow: Annotated[
        WorkflowField | None,
        described("The workflow that runs: the stem of a file of `workflows/`, or a graph."),
    ] = None
    config: Annotated[WorkflowField | None, described("Another word for `workflow`.")] = None
    config_id: Annotated[WorkflowField | None, described("Another word for `workflow`.")] = None
    command: Annotated[
        Annotated[list[Argument], Field(min_length=1, max_length=1_000)] | None,
        described(
            "The program that runs in its `profile`, as a list of arguments: the event's data as "
            "JSON on standard input, the result on standard output."
        ),
    ] = None

    schedule: Annotated[
        ScheduleField | None, described("When: a cron expression, or an object.")
    ] = None
    trigger: Annotated[
        str | None,
        described(
            "`cron`, `webhook`, `manual`, or the name of an event (`github.*` for several); "
            "default by `schedule`, `webhookAuth` or `eventConditions`, else `manual`."
        ),
    ] = None
    triggers: Annotated[
        Annotated[list[TriggerShape], Field(min_length=1, max_length=100)] | None,
        described("More than one trigger, instead of the keys for one."),
    ] = None
    params: Annotated[
        ParamsField,
        described(
            'Which events, by their top-level keys: a value, or `{"op": "eq", "value": …}`; '
            "`contains` and `in` too. All must hold, and `filter` too."
        ),
    ] = ()
    filter: Annotated[
        FilterField, described("Which events, by a filter over their data, in full or short.")
    ] = None
    event_conditions: Annotated[
        EventConditions | None, described("Several types of event; any one of them is enough.")
    ] = None
    actors: Annotated[
        Actors | None,
        described("Whose: accounts (`github:octocat`), ids of members, globs (`slack:*`)."),
    ] = None
    webhook_auth: Annotated[
        WebhookAuthShape | None, described("The proof that a webhook must carry.")
    ] = None
    input_schema: Annotated[
        dict[str, object] | None,
        described("JSON Schema (2020-12) of an invoked run's payload; references within it alone."),
    ] = None
    prefills: Annotated[
        PrefillsShape | None, described("Values of an invoked run's payload that are locked.")
    ] = None
    invoke_auth: Annotated[
        Literal["secret_key", "user"] | None,
        described("Who may invoke it: a program with a token, or a person; default both."),
    ] = None

    profile: Annotated[
        ProfileField | None,
        described("Where programs run: `name`, the latest version, or `name@version`."),
    ] = None
    write_enabled: Annotated[
        StrictBool | Literal["propose"],
        BeforeValidator(_write_enabled),
        WithJsonSchema({"enum": [False, True, "propose"]}),
        described(
            "`false`: read-only. `true`: writes, within `writes` and `limits.writes`. "
            "`propose`: the same, and a person decides on each."
        ),
    ] = False
    writes: Annotated[
        WritesField | None,
        described("Which writes exactly, once `writeEnabled` opens them; default all."),
    ] = None
    env: Annotated[
        Annotated[list[Variable], Listed, Field(max_length=100)] | None,
        described(
            "Variables that templates and scripts of its workflow see as `env.NAME`. Their values "
            "count as secrets: what is kept, shown or delivered has `[secret]` instead."
        ),
    ] = None

    conversation_key: Annotated[
        Filled | None,
        described("Liquid: runs of one key follow one another, in the order of their events."),
    ] = None
    idempotency_key: Annotated[
        Filled | None, described("Liquid: one key starts one run in seven days.")
    ] = None
    coalesce: Annotated[
        CoalesceShape | None, described("How events close together become one run.")
    ] = None
    when: Annotated[
        GateField,
        described("A gate before the model: a filter of the event's data, or a read."),
    ] = None
    expect: Annotated[
        ExpectShape | None, described("What a result must be, so that the run has completed.")
    ] = None
    run_as: Annotated[
        Filled | None, described("The id of the member in whose name it runs, whoever starts it.")
    ] = None
    run_as_user: Annotated[Filled | None, described("Another word for `runAs`.")] = None
    created_by: Annotated[
        Filled | None,
        described("The id of the member who made it; once no member, it counts as paused."),
    ] = None
    acknowledge: Annotated[
        list[Literal["trifecta"]],
        Listed,
        Field(
            default_factory=list[Literal["trifecta"]],
            description="Risks that a reviewer has accepted: `trifecta`, private data, untrusted "
            "input and an outward channel in one automation.",
        ),
    ]
    status: Annotated[
        Literal["active", "draft", "paused"],
        described("Whether its triggers start runs; `draft` and `paused` start by hand alone."),
    ] = "active"
