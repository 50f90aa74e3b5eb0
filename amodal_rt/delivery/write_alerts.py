"""Messages about parked writes: who is asked, and alerts about approved ones that were not made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from amodal_rt.clock import iso
from amodal_rt.delivery import notices
from amodal_rt.delivery.neutral import Neutral
from amodal_rt.delivery.payload import KEPT_FOR, cut_result
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.condition import Condition, ConditionKind
from amodal_rt.domain.delivery import FailureAlert, MessageKind, OutboxMessage, Target
from amodal_rt.domain.outcome import AWAITING_APPROVAL, Origin
from amodal_rt.domain.parked import ParkedStatus, ParkedWrite
from amodal_rt.domain.workspace import WorkspaceSettings
from amodal_rt.guardrails.links import hosts_in
from amodal_rt.ids import Ids

_SAID: Mapping[ParkedStatus, str] = {
    ParkedStatus.FAILED: "failed",
    ParkedStatus.REFUSED: "is not allowed any more and was not made",
    ParkedStatus.UNKNOWN: "may or may not have happened, look before you repeat it",
}


class WriteAlerts:
    """Implements `ports.WriteMessages`. Each is told: no threshold, no cooldown."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids

    def asking(
        self, write: ParkedWrite, definition: Definition | None, now: datetime
    ) -> tuple[OutboxMessage, ...]:
        if definition is None:
            return ()
        targets = definition.automation.approvals.targets
        until = iso(write.expires_at)
        body: dict[str, object] = {
            "automation": write.automation,
            "status": AWAITING_APPROVAL,
            "timestamp": iso(now),
            "run_id": write.run_id,
            "write_id": write.write_id,
            "connection": write.connection,
            "call": write.label,
            "why": write.why,
            "until": until,
            "url": None,
        }
        own = f"{write.title} wants to write over {write.connection} until {until} ("
        own += f"ops approvals show {write.write_id}): "
        told = write.why if write.why.startswith(write.label) else f"{write.label}: {write.why}"
        said = cut_result(told, 2_000).text
        words = _Words(own, said, _strange(definition))
        messages = self._to_each(targets, write, MessageKind.APPROVAL, body, words, now)
        return tuple(
            replace(each, expires_at=min(write.expires_at, each.expires_at)) for each in messages
        )

    def of_write(
        self,
        write: ParkedWrite,
        status: ParkedStatus,
        error: str,
        definition: Definition | None,
        settings: WorkspaceSettings,
        now: datetime,
    ) -> tuple[OutboxMessage, ...]:
        if status not in _SAID:
            return ()
        alert = definition.automation.failure_alert if definition else None
        if definition is not None and alert is not None:
            # A call is a model's, and an error quotes what a service answered.
            origin = _strange(definition)
            return self._to_automation(write, status, error, alert, origin, now)
        unknown = status is ParkedStatus.UNKNOWN
        kind = ConditionKind.UNKNOWN_WRITE if unknown else ConditionKind.WRITE_FAILED
        condition = Condition(
            key=f"{kind} {write.write_id}",
            kind=kind,
            since=now,
            subject=write.automation,
            automation=write.automation,
            detail=f"{_sentence(write, status)}: {cut_result(error, 2_000).text}",
        )
        messages = notices.alert(
            condition, settings.alerts.targets, workspace=settings.name, now=now, ids=self._ids
        )
        return tuple(replace(each, run_id=write.run_id) for each in messages)

    def _to_automation(
        self,
        write: ParkedWrite,
        status: ParkedStatus,
        error: str,
        alert: FailureAlert,
        origin: Origin,
        now: datetime,
    ) -> tuple[OutboxMessage, ...]:
        body: dict[str, object] = {
            "automation": write.automation,
            "status": "failure",
            "timestamp": iso(now),
            "run_id": write.run_id,
            "reason": f"write_{status}",
            "error": error,
            "consecutive_failures": 0,
            "write_id": write.write_id,
        }
        said = f"{_sentence(write, status)}: {cut_result(error, 2_000).text}"
        words = _Words(f"{write.title}: ", said, origin)
        return self._to_each(alert.targets, write, MessageKind.FAILURE_ALERT, body, words, now)

    def _to_each(
        self,
        targets: Sequence[Target],
        write: ParkedWrite,
        kind: MessageKind,
        body: Mapping[str, object],
        words: "_Words",
        now: datetime,
    ) -> tuple[OutboxMessage, ...]:
        return tuple(
            OutboxMessage(
                delivery_id=self._ids.delivery(),
                run_id=write.run_id,
                automation=write.automation,
                kind=kind,
                target=target,
                body={**body, "text": words.to(target)},
                created_at=now,
                expires_at=now + KEPT_FOR,
            )
            for target in targets
        )


@dataclass(frozen=True, slots=True)
class _Words:
    """Our words, and then what a model or a service has `said`."""

    own: str
    said: str
    origin: Origin

    def to(self, target: Target) -> str:
        return Neutral(target.format)(self.own) + Neutral(target.format, self.origin)(self.said)


def _strange(definition: Definition) -> Origin:
    """What models and services say is a stranger's, and links to what the file names alone."""
    return Origin(tainted=True, hosts=hosts_in([definition.document]))


def _sentence(write: ParkedWrite, status: ParkedStatus) -> str:
    return (
        f"the approved write {write.label} of {write.connection} ({write.write_id}) {_SAID[status]}"
    )
