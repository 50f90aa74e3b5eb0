"""What lets a program in through the TCP door."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Scope(StrEnum):
    """What a token's bearer may do. TRIGGER: start runs and send events. MANAGE includes all."""

    READ = "read"
    TRIGGER = "trigger"
    MANAGE = "manage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as the ledger holds it: `digest` is the SHA-256 (hex) of what the bearer shows,
    which is kept nowhere."""

    id: str
    name: str
    digest: str
    scopes: frozenset[Scope]
    created_at: datetime
    created_by: str
    revoked_at: datetime | None = None

    def allows(self, scope: Scope) -> bool:
        """Whether the bearer may do what `scope` names."""
        return self.revoked_at is None and bool({scope, Scope.MANAGE} & self.scopes)
