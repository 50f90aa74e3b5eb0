"""Who asks, and how rooms wake each other."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, and through which door (`cli`, `webhook`, `cron`, `api`, `mcp`, `dashboard`)."""

    actor: str
    door: str


class Signals(Protocol):
    """Wake-ups inside one process. A lost or spurious wake-up never loses a fact:
    every waiter looks at the ledger again."""

    def notify(self, topic: str) -> None:
        """Wake everything that waits for `topic` now. Callable from the event loop only."""
        ...

    def listen(self, topic: str) -> "AbstractContextManager[Callable[[], Awaitable[None]]]":
        """Begin to listen; the value waits for the next notification since the last wait.

        A notification between entering the block and waiting is not lost.
        """
        ...


RUNS_PENDING = "runs.pending"
"""Topic: a run may have become claimable."""
OUTBOX = "outbox"
"""Topic: a message may have become due."""
SNAPSHOT = "workspace.snapshot"
"""Topic: the workspace was read again."""
FACTS = "facts"
"""Topic: an automation was paused, resumed or rotated."""
EVENTS = "events.unmatched"
"""Topic: an event may wait to be matched."""
PARKED = "writes.parked"
"""Topic: a parked write was made, decided on or performed."""
QUEUE_FULL = "queue.full"
"""Topic: an event was refused because too many runs wait."""


def journal_topic(run_id: str) -> str:
    """Topic: the journal of `run_id` grew, or the run ended."""
    return f"journal.{run_id}"
