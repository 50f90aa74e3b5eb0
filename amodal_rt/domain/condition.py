"""What is wrong with a workspace as a whole, and when people are told."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from amodal_rt.domain.delivery import OutboxMessage


class ConditionKind(StrEnum):
    """What no automation can report about itself."""

    FILE_INVALID = "file_invalid"
    WORKSPACE_MISSING = "workspace_missing"
    SCHEDULE_OVERDUE = "schedule_overdue"
    DEAD_LETTER = "dead_letter"
    QUEUE_FULL = "queue_full"
    ALERT_FAILED = "alert_failed"
    TARGET_DISABLED = "target_disabled"
    TOOLS_HELD = "tools_held"
    BUDGET_NEAR = "budget_near"
    BUDGET_SPENT = "budget_spent"
    # Told of each run by itself, and never stands: only a person can say that it is over.
    UNKNOWN_WRITE = "unknown_write"
    WRITE_FAILED = "write_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One thing that is or was wrong.

    `key` names it for good: a kind and what it is about. It stands from `since` until
    `cleared_at`. `told` says that an alert about this period is owed or sent; `alerted_at` is
    when one was owed last, in whatever period, and survives the end of the condition for the
    cooldown. `unreported` says that it had to be told and there was nobody to tell. `subject`
    is what people call it, `detail` the newest error, `seen_by` the node that saw it. `earlier` are
    the first words of errors before it that nobody heard of either, the newest first, and `more`
    says how many others there were. `delivery_id` is the message that did not arrive, where it is
    about one.
    """

    key: str
    kind: ConditionKind
    since: datetime
    subject: str
    automation: str | None = None
    detail: str | None = None
    alerted_at: datetime | None = None
    cleared_at: datetime | None = None
    told: bool = False
    unreported: bool = False
    target: str | None = None
    seen_by: str | None = None
    earlier: tuple[str, ...] = ()
    more: int = 0
    delivery_id: str | None = None

    @property
    def standing(self) -> bool:
        """Whether it is so now."""
        return self.cleared_at is None

    @property
    def said(self) -> str | None:
        """All that is to be told of it: `detail`, and what nobody heard of before."""
        if not self.earlier:
            return self.detail
        more = f" and {self.more} more" if self.more else ""
        return f"{self.detail}. Before it: {'; '.join(self.earlier)}{more}"


@dataclass(frozen=True, slots=True)
class Ruling:
    """How a condition stands from now on, and the messages that this owes."""

    condition: Condition
    messages: tuple[OutboxMessage, ...] = field(default=())
