"""What an automation stands among."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from amodal_rt.domain.connection import Agent, Connection
from amodal_rt.domain.event_type import EventType
from amodal_rt.domain.identity import Identities
from amodal_rt.domain.integration import Integration
from amodal_rt.domain.profile import Profile
from amodal_rt.domain.workflow import Workflow
from amodal_rt.domain.workspace import WorkspaceSettings
from amodal_rt.settings import Environment

DEFAULT_AGENT = "main"
"""The agent that needs no file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What stands beside the automations. `broken_…` have files, but never had good ones.
    `secret_files` tells whether a file that some `NAME_FILE` names was changed. `event_types` are
    those of `events/`, `stores` the names of all."""

    settings: WorkspaceSettings
    agents: Mapping[str, Agent]
    connections: Mapping[str, Connection]
    environment: Environment
    broken_agents: frozenset[str] = frozenset()
    broken_connections: frozenset[str] = frozenset()
    secret_files: tuple[tuple[str, int, int], ...] = ()
    event_types: Mapping[str, EventType] = field(default_factory=dict[str, EventType])
    integrations: Mapping[str, Integration] = field(default_factory=dict[str, Integration])
    identities: Identities = field(default_factory=Identities)
    workflows: Mapping[str, Workflow] = field(default_factory=dict[str, Workflow])
    stores: frozenset[str] = frozenset()
    broken_stores: frozenset[str] = frozenset()
    profiles: tuple[Profile, ...] = ()
    broken_profiles: frozenset[str] = frozenset()
