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
    """Who makes events of a type. ALIAS: nobody, it is another name for what has one here."""

    RUNTIME = "runtime"
    PROVIDER = "provider"
    CONNECTION = "connection"
    PLATFORM = "platform"
    WORKSPACE = "workspace"
    ALIAS = "alias"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """One entry of the catalogue. `source` names the provider, connection or file it is known
    from; `schema` is the JSON Schema (draft 2020-12) of its data, `sample` data that fits it.
    Of an alias, `alias_of` is the name or glob that a trigger of this name waits for."""

    name: str
    origin: EventOrigin
    source: str
    description: str
    alias_of: str | None = None
    schema: Mapping[str, object] = field(default_factory=dict[str, object])
    sample: object = None
