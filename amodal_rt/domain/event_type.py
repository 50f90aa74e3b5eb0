"""A type of event: what is known of it before one arrives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

OF_THE_RUNTIME = frozenset(
    {"agent_session", "automation", "connector", "credential", "delivery", "webhook"}
)
"""First words of what the runtime itself says. What others alone can know (`thread.*`, `email.*`,
`context.*`) is theirs to send."""


class EventOrigin(StrEnum):
    """Who makes events of a type."""

    RUNTIME = "runtime"
    PROVIDER = "provider"
    CONNECTION = "connection"
    PLATFORM = "platform"
    WORKSPACE = "workspace"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """One entry of the catalogue. `source` names the provider, connection or file it is known
    from; `schema` is the JSON Schema (draft 2020-12) of its data, `sample` data that fits it."""

    name: str
    origin: EventOrigin
    source: str
    description: str
    schema: Mapping[str, object] = field(default_factory=dict[str, object])
    sample: object = None
