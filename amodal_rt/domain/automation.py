"""An automation: what runs, when, with which powers and where the result goes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from amodal_rt.domain.delivery import Delivery, FailureAlert, Target
from amodal_rt.domain.filter import Filter, Path
from amodal_rt.domain.invocation import Invocation
from amodal_rt.domain.parked import EXPIRES
from amodal_rt.domain.profile import ProfileName
from amodal_rt.domain.trigger import (
    CronTrigger,
    EventTrigger,
    Trigger,
    TriggerKind,
    WebhookTrigger,
)
from amodal_rt.domain.workflow import Workflow

STEM = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""What a file's stem must be to name an automation."""


class Lifecycle(StrEnum):
    """What the file says; the ledger may be stricter. `invalid` is only ever shown."""

    ACTIVE = "active"
    DRAFT = "draft"
    PAUSED = "paused"


class OnLimit(StrEnum):
    """What a start over the automation's own limit does."""

    SKIP = "skip"
    QUEUE = "queue"


class CatchUpPolicy(StrEnum):
    """Which of the slots missed while the daemon was down are run."""

    LAST = "last"
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """Slots older than `within` are never caught up."""

    policy: CatchUpPolicy = CatchUpPolicy.LAST
    within: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteLimits:
    """How many writes may leave, per run and per rolling hour of the automation."""

    per_run: int = 20
    per_hour: int = 60


@dataclass(frozen=True, slots=True)
class Pin:
    """The value at `path` of a call is one of `values`, of JSON. A path begins with `params` or
    `data` for a request, and with the name of an argument for a tool."""

    path: Path
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteGrant:
    """One line of `writes`: calls of `connection` by `endpoint` (`METHOD /path/{id}`) or by
    `tool` (a glob), with neither all of them; `per_run` None has no bound of its own."""

    connection: str
    endpoint: str | None = None
    tool: str | None = None
    pins: tuple[Pin, ...] = ()
    per_run: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of one automation. `on_limit` None: by kind of start (specification §3).
    `budget_models` are asked instead once a budget of cost is nearly spent."""

    concurrency: int = 3
    on_limit: OnLimit | None = None
    timeout: timedelta = timedelta(seconds=300)
    max_turns: int = 50
    max_tokens: int | None = None
    max_cost_usd: float | None = None
    max_tokens_per_day: int | None = None
    max_cost_usd_per_day: float | None = None
    budget_models: tuple[str, ...] = ()
    starts_per_hour: int | None = None
    webhook_bytes: int = 1_048_576
    writes: WriteLimits = field(default_factory=WriteLimits)

    def over(self, kind: TriggerKind) -> OnLimit:
        """What a start of this kind does when `concurrency` is reached."""
        if self.on_limit is not None:
            return self.on_limit
        skips = kind in (TriggerKind.CRON, TriggerKind.EVENT)
        return OnLimit.SKIP if skips else OnLimit.QUEUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a failed run is tried again, and when; never after a write unless allowed."""

    attempts: int = 0
    backoff: timedelta = timedelta(seconds=30)
    after_writes: bool = False


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a `messages` list; `role` is user, assistant or system."""

    role: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentWork:
    """An agent session. The last of `messages` is from the user and is the prompt.

    With `template` the prompt is what that Liquid text prints for the run instead, and
    `messages` is empty; `instructions`, likewise Liquid, go before it.
    """

    messages: tuple[ChatMessage, ...] = ()
    template: str | None = None
    instructions: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRead:
    """A read through a granted connection: `GET endpoint` with `query` of a REST one, or the
    read-only `tool` with `arguments` of an MCP one. What stands at `path` of the answer counts.
    """

    connection: str
    endpoint: str | None = None
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    tool: str | None = None
    arguments: Mapping[str, object] = field(default_factory=dict[str, object])
    path: Path = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """`when`: what must hold before a model is paid.

    Without `read`, `filter` is asked of the event's data. With it: of what was read, and with
    `changed` what was read must differ from what the last completed run saw.
    """

    filter: Filter | None = None
    read: GateRead | None = None
    changed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A read that must succeed once the work is done: with `status`, else with any of 2xx; what
    it found must fit `filter`, where there is one."""

    read: GateRead
    status: int | None = None
    filter: Filter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """`expect`: what a result must be, so that its run has completed.

    A result that fits `quiet` says that there was nothing to do: nothing else is asked of it, and
    it is not delivered. Filters look at `{result, data}`, `schema` at `data`. `tools` are globs
    over `connection.tool`: each must have been called with success, and each of `stores` written.
    """

    quiet: Filter | None = None
    schema: Mapping[str, object] | None = None
    filter: Filter | None = None
    matches: str | None = None
    tools: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    probe: Probe | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvals:
    """`approvals`: how long a person may take to decide on a write, and who may: globs of actors,
    empty for all who may manage. `targets` get a message with a link that decides, too."""

    expires: timedelta = EXPIRES
    approvers: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CoalesceRule:
    """`coalesce`: `key` is Liquid over the event."""

    key: str
    window: timedelta
    longest: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowRun:
    """A walk through a workflow, from the node that stands for what started it to an end.

    `others` are the workflows that it runs in turn, by name and as they were when this version
    was read: what a run does never changes under it.
    """

    workflow: Workflow
    others: Mapping[str, Workflow] = field(default_factory=dict[str, Workflow])


@dataclass(frozen=True, slots=True)
class CommandRun:
    """A program and its arguments, which runs in the automation's profile: the event's data on
    its standard input, the result on its standard output."""

    argv: tuple[str, ...]


Work = AgentWork | WorkflowRun | CommandRun
"""What runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Automation:
    """One automation file, parsed and checked, defaults applied, secrets still references.

    `agent` names a file in `agents/`, `models` the models to try in order (`provider:name`
    or a tier; empty: the agent's, else the workspace's). `connections` and `tools` are
    allow-lists, None meaning all that the agent may. `write_enabled` False is read-only,
    unless it `proposes`: then a person decides on each write. `writes`
    is the part of what either opens that is allowed, None meaning all. `env` names the variables
    that a workflow sees. `profile` is where programs run.
    `invocation` is None where no key speaks of programs that invoke it.
    `acknowledged` are risks that a reviewer has accepted.
    `conversation_key` and `idempotency_key` are Liquid over the event. `run_as` and
    `created_by` are members' ids.
    """

    name: str
    title: str
    work: Work
    triggers: tuple[Trigger, ...]
    description: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])
    lookup_key: str | None = None
    timezone: str = "UTC"
    agent: str = "main"
    models: tuple[str, ...] = ()
    temperature: float | None = None
    connections: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None
    write_enabled: bool = False
    proposes: bool = False
    profile: ProfileName | None = None
    writes: tuple[WriteGrant, ...] | None = None
    env: tuple[str, ...] = ()
    delivery: Delivery | None = None
    failure_alert: FailureAlert | None = None
    limits: Limits = field(default_factory=Limits)
    catch_up: CatchUp = field(default_factory=CatchUp)
    retry: Retry = field(default_factory=Retry)
    invocation: Invocation | None = None
    conversation_key: str | None = None
    idempotency_key: str | None = None
    coalesce: CoalesceRule | None = None
    gate: Gate | None = None
    expect: Expectation | None = None
    run_as: str | None = None
    created_by: str | None = None
    acknowledged: tuple[str, ...] = ()
    approvals: Approvals = field(default_factory=Approvals)
    status: Lifecycle = Lifecycle.ACTIVE

    @property
    def crons(self) -> tuple[CronTrigger, ...]:
        """Its schedules, in file order."""
        return tuple(each for each in self.triggers if isinstance(each, CronTrigger))

    @property
    def webhook(self) -> WebhookTrigger | None:
        """Its webhook trigger, if it has one; there is at most one."""
        # A plain loop: every webhook asks a few times, and a generator takes three times as long.
        for each in self.triggers:
            if isinstance(each, WebhookTrigger):
                return each
        return None

    @property
    def events(self) -> tuple[EventTrigger, ...]:
        """Its triggers on the bus, in file order."""
        return tuple(each for each in self.triggers if isinstance(each, EventTrigger))


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One version of an automation, as a run names it.

    `hash` is the SHA-256 (hex) of `document`, the canonical JSON of the file after
    defaults and without secrets. `secrets` names every environment variable that it, its
    targets and its webhook proof need. `lines` gives the line of each key by JSON
    pointer (`/delivery/targets/0`), for messages that point at the file.
    """

    automation: Automation
    hash: str
    document: str
    file: str
    secrets: tuple[str, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict[str, int])

    def place(self, pointer: str) -> str:
        """`automations/x.json:7`, or without the line where it is unknown."""
        line = self.lines.get(pointer)
        return f"{self.file}:{line}" if line else self.file
