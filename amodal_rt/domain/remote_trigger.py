"""A trigger that an MCP server watches for us and reports by calling back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import cast

SPARE = "~"
"""Between the key of a trigger and the number of a token that its server may have."""


class RemoteState(StrEnum):
    """What we know of the server's side. AMBIGUOUS: it did not answer in time, so it may call."""

    ACTIVE = "active"
    AMBIGUOUS = "ambiguous"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteType:
    """One entry of a server's `TRIGGER_LIST`. `params` maps each name to what it may be
    (`{"enum": […], "description": …}`)."""

    type: str
    description: str
    params: Mapping[str, object] = field(default_factory=dict[str, object])

    def sample(self) -> dict[str, object]:
        """Data as the server might report it, as far as it tells: of each param the first choice,
        else its name."""
        return {key: (_choices(said) or [key])[0] for key, said in self.params.items()}

    def find_fault(self, params: Mapping[str, str]) -> str | None:
        """Why it never happens with those params, or None: a value that is none of its `enum`."""
        for key, value in params.items():
            allowed = _choices(self.params.get(key))
            if allowed and value not in allowed:
                return f"{key} is one of {', '.join(allowed)}, and not {value}"
        return None

    def unknown(self, params: Mapping[str, str]) -> list[str]:
        """The names among the params that the server has no word for."""
        return [key for key in params if key not in self.params]


def _choices(said: object) -> list[str]:
    found = cast("Mapping[str, object]", said).get("enum") if isinstance(said, Mapping) else None
    if not isinstance(found, list):
        return []
    return [str(each) for each in cast("list[object]", found)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTrigger:
    """What a server was configured to watch for.

    `automation` is the one that asks for it; with an empty one it is watched for all that ask
    for the same. `key` tells it from what else is asked. `type` is the server's own name of
    it, `digest` the SHA-256 (hex) of the one token that the server calls back with: each has its
    own, so that ending one leaves its siblings alone.
    """

    automation: str
    key: str
    connection: str
    type: str
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    digest: str
    state: RemoteState
    configured_at: datetime
    error: str | None = None

    @property
    def place(self) -> tuple[str, str]:
        """Whose it is and its key, without the number of a spare token."""
        return self.automation, self.key.partition(SPARE)[0]

    @property
    def is_spare(self) -> bool:
        """Whether its token is one that the server may have beside the one that counts."""
        return SPARE in self.key
