"""One consistent reading of a workspace."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from amodal_rt.domain.automation import Automation, Definition
from amodal_rt.domain.connection import Agent, Connection, Knowledge, Store
from amodal_rt.domain.delivery import Target
from amodal_rt.domain.event_type import EventType
from amodal_rt.domain.identity import Identities
from amodal_rt.domain.integration import Integration
from amodal_rt.domain.price import Price
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.profile import Profile, find_profile
from amodal_rt.domain.run import Run
from amodal_rt.domain.secret import Text
from amodal_rt.domain.workflow import Workflow

MODEL_KEY_MISSING = "model_key_missing"
"""The code of a problem that stops every run but a rehearsal."""
FILE_GONE = "file_gone"
"""The code of a problem: an automation goes on although its file is not there."""
WORKSPACE_MISSING = "workspace_missing"
"""The code of a problem: no automation's file can be seen, so none is believed deleted."""


class ProviderType(StrEnum):
    """Whose wire format a model provider speaks."""

    ANTHROPIC = "anthropic"
    OPENAI = "openai"
    OPENAI_COMPATIBLE = "openai-compatible"
    GOOGLE = "google"
    OLLAMA = "ollama"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A named model provider of `amodal.json`; a built-in name needs no entry."""

    name: str
    type: ProviderType
    base_url: Text | None = None
    api_key: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceLimits:
    """Bounds of the whole workspace. Budgets are those of a day; None is no bound."""

    concurrency: int = 10
    queue: int = 10_000
    start_within: timedelta = timedelta(hours=1)
    history: timedelta = timedelta(days=90)
    max_cost_usd_per_day: float | None = 5.0
    max_tokens_per_day: int | None = None
    max_unpriced_tokens_per_day: int | None = 10_000_000
    budget_models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceAlerts:
    """Who hears what no automation can report, and who is asked at every heartbeat."""

    targets: tuple[Target, ...] = ()
    heartbeat_url: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceSettings:
    """`amodal.json`, parsed. `models` maps a tier to the models to try in order. Where
    `admin_listen` is set, `listen` carries webhooks and health alone. `may_grant_powers`:
    programs may give automations powers, over the API and MCP."""

    name: str | None = None
    model: tuple[str, ...] = ()
    models: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    providers: Mapping[str, Provider] = field(default_factory=dict[str, Provider])
    targets: Mapping[str, Target] = field(default_factory=dict[str, Target])
    defaults: Mapping[str, object] = field(default_factory=dict[str, object])
    alerts: WorkspaceAlerts = field(default_factory=WorkspaceAlerts)
    listen: str = "127.0.0.1:3847"
    admin_listen: str | None = None
    may_grant_powers: bool = False
    public_url: str | None = None
    database: Text | None = None
    limits: WorkspaceLimits = field(default_factory=WorkspaceLimits)
    allow_private: tuple[str, ...] = ()
    prices: Mapping[str, Price] = field(default_factory=dict[str, Price])


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomationState:
    """One stem as it stands: the live version, and what is wrong with the file now.

    `definition` is the version that runs: the file's own, or the last good one when the
    file is broken or not there (`stale`), or None when nothing can run. `blocked` names what stops
    even a good version: unset environment variables, a configured model without its key.
    """

    name: str
    file: str
    definition: Definition | None = None
    problems: tuple[Problem, ...] = ()
    stale: bool = False
    blocked: tuple[Problem, ...] = ()

    @property
    def runnable(self) -> bool:
        """Whether a run may start."""
        return self.definition is not None and not self.blocked

    @property
    def to_rehearse(self) -> Definition | None:
        """The version that a rehearsal may run: it needs no key of the configured model."""
        other = any(problem.code != MODEL_KEY_MISSING for problem in self.blocked)
        return None if other else self.definition

    @property
    def invalid(self) -> bool:
        """Whether the file, as it is now, cannot run."""
        errors = any(problem.severity == "error" for problem in self.problems)
        return errors or bool(self.blocked) or self.definition is None

    @property
    def gone(self) -> bool:
        """Whether there is no file, and what ran goes on until that is believed."""
        return any(problem.code == FILE_GONE for problem in self.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything the files said at one moment. Never changed; a reload makes a new one.

    `event_types` are those of `events/`. `problems` holds what concerns no automation
    (settings, connections, agents …).
    """

    version: int
    settings: WorkspaceSettings = field(default_factory=WorkspaceSettings)
    automations: Mapping[str, AutomationState] = field(default_factory=dict[str, AutomationState])
    agents: Mapping[str, Agent] = field(default_factory=dict[str, Agent])
    connections: Mapping[str, Connection] = field(default_factory=dict[str, Connection])
    knowledge: Mapping[str, Knowledge] = field(default_factory=dict[str, Knowledge])
    stores: Mapping[str, Store] = field(default_factory=dict[str, Store])
    integrations: Mapping[str, Integration] = field(default_factory=dict[str, Integration])
    identities: Identities = field(default_factory=Identities)
    event_types: Mapping[str, EventType] = field(default_factory=dict[str, EventType])
    workflows: Mapping[str, Workflow] = field(default_factory=dict[str, Workflow])
    profiles: tuple[Profile, ...] = ()
    problems: tuple[Problem, ...] = ()

    def find(self, name: str) -> Definition | None:
        """The version of `name` that may run now, or None."""
        state = self.automations.get(name)
        return state.definition if state and state.runnable else None

    def find_for(self, run: Run) -> Definition | None:
        """The version that `run` may execute now, or None."""
        state = self.automations.get(run.automation)
        if state is None:
            return None
        return (state.to_rehearse if run.rehearse else None) or self.find(run.automation)

    def profile_of(self, automation: Automation) -> Profile | None:
        """The version of the profile that a run of it would have now; None without one, or where
        it is not there."""
        wanted = automation.profile
        return find_profile(self.profiles, wanted) if wanted is not None else None

    def can_run(self, name: str, rehearse: bool) -> bool:
        """Whether a run of `name`, or a rehearsal of it, has a version to execute now."""
        state = self.automations.get(name)
        return state is not None and (
            state.runnable or (rehearse and state.to_rehearse is not None)
        )
