"""What a pending run waits for."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class WaitReason(StrEnum):
    """The rule that keeps a pending run from its start; of several, the first in this order."""

    PARKED = "parked"
    INVALID = "invalid"
    PROVIDER_LIMIT = "provider_limit"
    COALESCE = "coalesce"
    NOT_DUE = "not_due"
    CONVERSATION = "conversation"
    CONCURRENCY_LIMIT = "concurrency_limit"
    GLOBAL_LIMIT = "global_limit"
    NEXT = "next"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """`until` is when a wait for time ends, `runs` are those that go first, `limit` is how many
    may run at once, where a limit is the reason."""

    reason: WaitReason
    until: datetime | None = None
    runs: tuple[str, ...] = ()
    limit: int | None = None
