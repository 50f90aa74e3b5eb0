"""The objects of the API. Their names and keys are those of the schemas of `/openapi.json`.

Instants are texts, ISO 8601 in UTC. A newer daemon may answer with further keys.
"""

from typing import Literal, NotRequired, TypedDict

from amodal_rt.errors import Kind

RunStatus = Literal["pending", "running", "completed", "failed", "cancelled", "skipped"]
JournalStatus = Literal["pending", "running", "waiting", "completed", "failed", "cancelled"]
AutomationType = Literal["trigger", "scheduled", "invoked"]
AutomationStatus = Literal["draft", "running", "paused"]
"""`running` is the API's word for `active`."""

ENDED: frozenset[RunStatus] = frozenset({"completed", "failed", "cancelled", "skipped"})
"""A run of one of these changes no more."""


class AutomationRun(TypedDict):
    """One execution. In lists, `payload` lacks what an event brought."""

    id: str
    app: str
    automation: str
    automation_name: str
    status: RunStatus
    reason: str | None
    event_id: str | None
    payload: dict[str, object]
    participants: dict[str, object] | None
    result: dict[str, object] | None
    user: str | None
    team: str | None
    created_at: str | None
    updated_at: str | None


class RunPage(TypedDict):
    """Runs, newest first: `before_cursor` leads to older ones, `after_cursor` to newer ones."""

    data: list[AutomationRun]
    before_cursor: str | None
    after_cursor: str | None
    has_more: bool


class Issue(TypedDict):
    """Why an automation cannot run."""

    code: str
    message: str


class Automation(TypedDict):
    """What may run. `webhook_url` is shown to tokens that may trigger. `config` is the workflow
    that runs; `input_schema` judges what callers give, `prefills` is what they cannot change."""

    id: str
    app: str
    name: str
    type: AutomationType
    status: AutomationStatus
    description: str | None
    trigger: str | None
    schedule: str | None
    timezone: str | None
    config: str | None
    lookup_key: str
    metadata: dict[str, object]
    run_as_user: str | None
    run_as_agent: str | None
    invoke_auth: str | None
    input_schema_config: str | None
    input_schema: dict[str, object] | None
    prefills: dict[str, object] | None
    created_by_user: str | None
    creator: str | None
    created_at: str | None
    updated_at: str | None
    file: str
    next_run_at: str | None
    webhook_url: str | None
    issue: Issue | None


class AutomationPage(TypedDict):
    """Automations by name: `before_cursor` leads to those that follow."""

    data: list[Automation]
    before_cursor: str | None
    after_cursor: str | None
    has_more: bool


class AutomationInput(TypedDict, total=False):
    """Fields of an Automation that a program may write. Any other key of an automation's file
    may stand beside them, in either spelling; in a change, None takes a key away."""

    name: str
    type: AutomationType
    status: Literal["draft", "running", "active", "paused"]
    description: str | None
    lookup_key: str | None
    metadata: dict[str, object] | None
    prompt: str | None
    trigger: str | None
    schedule: str | dict[str, object] | None


class EventName(TypedDict):
    """A type of event."""

    name: str
    description: str | None


class Invocation(TypedDict, total=False):
    """What `invoke` sends."""

    payload: dict[str, object] | None
    participants: dict[str, object] | None
    idempotency_key: str | None


class JournalEntry(TypedDict):
    """One step of a run."""

    id: str
    sequence: int
    type: str
    node_id: str | None
    command_id: str | None
    timer_id: str | None
    record: dict[str, object]
    created_at: str | None


class Journal(TypedDict):
    """How far a run is."""

    id: str
    status: JournalStatus
    current_sequence: int
    created_at: str | None
    started_at: str | None
    completed_at: str | None
    updated_at: str | None


class JournalPage(TypedDict):
    """Steps in order: `after_cursor` leads to those that follow, None where there are none."""

    data: list[JournalEntry]
    has_more: bool
    after_cursor: str | None
    before_cursor: None
    journal: Journal | None


SpendGroup = Literal["automation", "model", "day"]
"""What may be summed up by."""


class SpendTotal(TypedDict):
    """All of it together."""

    requests: int
    input_tokens: int
    output_tokens: int
    unpriced_tokens: int
    cost_usd: float


class SpendRow(SpendTotal):
    """What one automation, model or day used: the key that was asked for names it."""

    automation: NotRequired[str]
    model: NotRequired[str]
    day: NotRequired[str]


class Budget(TypedDict):
    """How a budget of today stands; `automation` None is all of them together, `rule` the line
    that sets it."""

    automation: str | None
    measure: Literal["cost_usd", "tokens", "unpriced_tokens"]
    limit: float
    spent: float
    is_spent: bool
    rule: str


class Spend(TypedDict):
    """What models cost on days of the workspace, `until` is today. Of `rows`, the dearest come
    first; of days, the newest."""

    since: str
    until: str
    day_ends_at: str | None
    by: SpendGroup
    total: SpendTotal
    rows: list[SpendRow]
    budgets: list[Budget]


class ProblemError(TypedDict):
    """`code` is stable; `hint` says what to do next."""

    code: str
    message: str
    kind: NotRequired[Kind]
    hint: NotRequired[str | None]


class Problem(TypedDict):
    """What is wrong."""

    error: ProblemError


class EventRun(TypedDict):
    """A run that an event started, or the reason why it did not. `run_id` is `run_…`."""

    run_id: str
    automation: str
    status: RunStatus
    reason: str | None


class EventReceipt(TypedDict):
    """What became of an event that was sent. `hint` comes with a duplicate."""

    status: Literal["accepted", "duplicate"]
    event_id: str
    runs: list[EventRun]
    hint: NotRequired[str]
