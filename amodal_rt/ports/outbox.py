"""Messages owed, their targets, and what is wrong with the workspace as a whole."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Protocol

from amodal_rt.domain.breaker import Breaker
from amodal_rt.domain.condition import Condition, Ruling
from amodal_rt.domain.delivery import (
    Attempt,
    DeliveryRecord,
    DeliveryStatus,
    FailureState,
    MessageKind,
    OutboxMessage,
    Plan,
)
from amodal_rt.ports.signals import Caller


class Outbox(Protocol):
    """Messages owed."""

    async def claim_messages(self, *, limit: int, now: datetime) -> list[DeliveryRecord]:
        """Take up to `limit` due messages for sending, oldest due first; none twice.

        Messages past `expires_at` become `expired` and are not returned; those of rehearsals
        become `suppressed`. Due messages to a target whose breaker holds are not returned
        either: they wait until it lets a trial through (`next_attempt_at`, at the latest
        `expires_at`; `last_error` says so) and no attempt is counted. Once its pause is over
        one message is, as its trial. What is due for a disabled target becomes `dead`,
        likewise without an attempt.
        """
        ...

    async def next_due_at(self) -> datetime | None:
        """When the next pending message is due, or None."""
        ...

    async def record_attempt(self, attempt: Attempt) -> None:
        """Count the attempt and set what follows. Ignored for a message that is settled, or
        that another node has claimed since.

        A delivered failure alert sets what its target was told of the automation
        (`Told.alerted_at`); a delivered recovery clears `alerting` there. In the same
        transaction the target's breaker follows (`breaker.after`).

        A *result* that became `dead` or `expired`, here or while claiming, counts one failure
        on its automation. Every message that did so, of whatever kind but a rehearsal's, is
        listed by `given_up` until `follow_up`.
        """
        ...

    async def release_claims(self, *, sending: Collection[str] | None = None) -> int:
        """Messages left `sending` by nodes that are gone are due again; with `sending`, the
        ids of all that this node knows to send, so are its others: the answer to its claim was
        lost. Returns how many."""
        ...

    async def retry_message(
        self,
        delivery_id: str,
        *,
        at: datetime,
        expires_at: datetime,
        caller: Caller | None = None,
    ) -> None:
        """Make a dead, expired or suppressed message due now, and forget its target's breaker.
        Its `tries` count anew. Of a `caller` the audit trail has a row.

        Raises NotFoundError, or ConflictError (`delivered`) for one that arrived.
        """
        ...

    async def retry_messages(
        self,
        *,
        since: datetime,
        at: datetime,
        expires_at: datetime,
        label: str | None = None,
        caller: Caller | None = None,
    ) -> list[str]:
        """`retry_message` for all that became dead or expired at `since` or later, oldest first,
        of targets with that label only. Returns their ids."""
        ...

    async def given_up(self, *, limit: int) -> list[DeliveryRecord]:
        """Messages that became dead or expired and that nothing has followed yet, oldest first."""
        ...

    async def follow_up(self, delivery_id: str, plan: Callable[[FailureState], Plan]) -> Plan:
        """Commit what a given-up message owes, once: `plan` is pure and is told the failure
        state of its automation. Called again, by whatever node, it writes nothing and returns
        an empty plan, as for a message that is not given up or not there."""
        ...

    async def owe_again(self, delivery_id: str, *, at: datetime) -> bool:
        """Make an alert that became dead or expired, followed up or not, pending again and due
        at `at`, with its expiry, its attempts and its target's breaker as they were. False, and
        nothing changes, for a result, for one that is not given up, and where it expires by
        `at`. Raises NotFoundError."""
        ...

    async def has_delivered(
        self, since: datetime, *, automation: str | None = None, target: str | None = None
    ) -> bool:
        """Whether a message arrived at `since` or later, at the target of that key if one is
        named. With `automation`: a result of it, and none was given up after that."""
        ...

    async def find_message(self, delivery_id: str) -> DeliveryRecord | None:
        """One message, or None."""
        ...

    async def list_messages(
        self,
        *,
        limit: int,
        status: DeliveryStatus | None = None,
        run_ids: Sequence[str] | None = None,
        kind: MessageKind | None = None,
    ) -> list[DeliveryRecord]:
        """Newest first."""
        ...

    async def failure_state(self, automation: str) -> FailureState:
        """The counter as it stands."""
        ...

    async def owe_from_run(
        self,
        run_id: str,
        messages: Sequence[OutboxMessage],
        *,
        at: datetime,
        step: str,
        attempt: int = 1,
        term: int | None = None,
    ) -> None:
        """Commit messages of a step of a run, together with a `delivery.owed` entry `{targets}`
        in its journal. With `term`, raises ConflictError (`fenced`) and writes nothing unless the
        run is running under it; NotFoundError when there is no such run."""
        ...

    async def owe(self, automation: str, plan: Callable[[FailureState], Plan]) -> Plan:
        """Commit what `plan` says the current state owes (after a dead letter)."""
        ...


class BreakerLedger(Protocol):
    """Which targets failed lately; the same for all nodes. `record_attempt` moves them."""

    async def breakers(self) -> list[Breaker]:
        """All of them, by key."""
        ...

    async def forget_breaker(self, target: str) -> bool:
        """Take the target for well again, and make due now what waits for it. False when it
        has no breaker."""
        ...


class ConditionLedger(Protocol):
    """What is wrong with the workspace as a whole, once for all nodes."""

    async def conditions(self) -> list[Condition]:
        """Those that stand, oldest first."""
        ...

    async def find_condition(self, key: str) -> Condition | None:
        """How it stands or stood last, or None."""
        ...

    async def rule_on_condition(
        self, key: str, rule: Callable[[Condition | None], Ruling | None]
    ) -> Ruling | None:
        """Keep what `rule` says of the condition as it is known, and owe the messages of the
        ruling, in one transaction. `rule` is pure; None changes nothing."""
        ...

    async def count_pending(self) -> int:
        """How many runs are pending."""
        ...

    async def prove_writable(self, at: datetime) -> None:
        """Commit something small. Raises UnavailableError when nothing can be made durable."""
        ...
