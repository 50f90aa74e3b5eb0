"""The words of the workspace's own alerts (specification §7, `alerts`)."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from amodal_rt.clock import iso
from amodal_rt.delivery.neutral import Neutral
from amodal_rt.delivery.payload import KEPT_FOR, cut_result
from amodal_rt.domain.condition import Condition, ConditionKind
from amodal_rt.domain.delivery import MessageKind, OutboxMessage, Target
from amodal_rt.domain.outcome import Origin
from amodal_rt.ids import Ids

_BEGUN: Mapping[ConditionKind, str] = {
    ConditionKind.FILE_INVALID: "{subject} has been invalid for over a minute",
    ConditionKind.WORKSPACE_MISSING: "The files of {subject} have been gone for over a minute",
    ConditionKind.SCHEDULE_OVERDUE: "The schedule of {subject} is overdue",
    ConditionKind.DEAD_LETTER: "A result of {subject} could not be delivered",
    ConditionKind.QUEUE_FULL: "{subject} is full, events are refused",
    ConditionKind.ALERT_FAILED: "An alert to {subject} did not arrive",
    ConditionKind.TARGET_DISABLED: "Nothing is sent to {subject} any more",
    ConditionKind.TOOLS_HELD: "Tools of {subject} changed or are new, and are off",
    ConditionKind.BUDGET_NEAR: "{subject} is nearly spent",
    ConditionKind.BUDGET_SPENT: "{subject} is spent",
    ConditionKind.UNKNOWN_WRITE: "Whether a write of {subject} happened is unknown",
    ConditionKind.WRITE_FAILED: "An approved write of {subject} was not made",
}
_OVER: Mapping[ConditionKind, str] = {
    ConditionKind.FILE_INVALID: "{subject} is invalid no more",
    ConditionKind.WORKSPACE_MISSING: "The files of {subject} are there again",
    ConditionKind.SCHEDULE_OVERDUE: "The schedule of {subject} is on time again",
    ConditionKind.DEAD_LETTER: "Results of {subject} arrive again, or go there no more",
    ConditionKind.QUEUE_FULL: "{subject} takes events again",
    ConditionKind.ALERT_FAILED: "Messages reach {subject} again",
    ConditionKind.TOOLS_HELD: "The tools of {subject} are as approved",
    ConditionKind.TARGET_DISABLED: "{subject} is no longer disabled",
    ConditionKind.BUDGET_NEAR: "{subject} is full again",
    ConditionKind.BUDGET_SPENT: "{subject} has room again",
    ConditionKind.UNKNOWN_WRITE: "The write of {subject} is known",
    ConditionKind.WRITE_FAILED: "The write of {subject} was made",
}
_LONGEST = 2_000


def alert(
    condition: Condition,
    targets: Sequence[Target],
    *,
    workspace: str | None,
    now: datetime,
    ids: Ids,
) -> tuple[OutboxMessage, ...]:
    """One message to each target: this is wrong."""
    sentence = _BEGUN[condition.kind].format(subject=condition.subject)
    said = f": {cut_result(condition.said, _LONGEST).text}" if condition.said else ""
    body = _body(condition, "alert", condition.said, workspace, now)
    return _to_each(
        condition, targets, MessageKind.WORKSPACE_ALERT, body, (sentence, said), now, ids
    )


def recovery(
    condition: Condition,
    targets: Sequence[Target],
    *,
    workspace: str | None,
    now: datetime,
    ids: Ids,
) -> tuple[OutboxMessage, ...]:
    """One message to each target: it is wrong no more."""
    sentence = _OVER[condition.kind].format(subject=condition.subject)
    body = _body(condition, "recovered", None, workspace, now)
    kind = MessageKind.WORKSPACE_RECOVERY
    return _to_each(condition, targets, kind, body, (sentence, ""), now, ids)


def _body(
    condition: Condition, status: str, error: str | None, workspace: str | None, now: datetime
) -> dict[str, object]:
    return {
        "automation": condition.automation,
        "status": status,
        "condition": condition.kind.value,
        "timestamp": iso(now),
        "since": iso(condition.since),
        "subject": condition.subject,
        "error": error,
        "delivery_id": condition.delivery_id,
        "workspace": workspace,
    }


def _to_each(
    condition: Condition,
    targets: Sequence[Target],
    kind: MessageKind,
    body: Mapping[str, object],
    text: tuple[str, str],
    now: datetime,
    ids: Ids,
) -> tuple[OutboxMessage, ...]:
    """`text` is our sentence, and what is quoted of others."""
    workspace = body["workspace"]
    own = f"{workspace}: {text[0]}" if workspace else text[0]
    return tuple(
        OutboxMessage(
            delivery_id=ids.delivery(),
            run_id=None,
            automation=condition.automation,
            kind=kind,
            target=target,
            body={
                **body,
                "text": Neutral(target.format)(own)
                + Neutral(target.format, Origin(tainted=True))(text[1]),
            },
            created_at=now,
            expires_at=now + KEPT_FOR,
        )
        for target in targets
    )
