"""What an outcome owes to whom.

Pure but for the ids it draws: it is called inside the ledger's transaction, so that outcome
and messages commit together. Nothing here is sent, and no secret is read.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import cast

from amodal_rt.clock import iso
from amodal_rt.delivery import notices
from amodal_rt.delivery.neutral import Neutral
from amodal_rt.delivery.payload import KEPT_FOR, cut_result, parse_data, plain_data
from amodal_rt.delivery.writing import Writer
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.condition import Condition, ConditionKind
from amodal_rt.domain.delivery import (
    REHEARSAL,
    Delivery,
    FailureAlert,
    FailureState,
    MessageKind,
    OutboxMessage,
    Plan,
    Target,
)
from amodal_rt.domain.filter import judge
from amodal_rt.domain.outcome import (
    AWAITING_APPROVAL,
    QUIET,
    UNKNOWN_WRITE,
    UNTAINTED,
    Origin,
    Outcome,
)
from amodal_rt.domain.run import Run, RunStatus
from amodal_rt.domain.workspace import WorkspaceSettings
from amodal_rt.guardrails.links import hosts_in
from amodal_rt.guardrails.untrusted import plain_line
from amodal_rt.ids import Ids

DELIVERY_FAILED = "delivery_failed"
"""The `reason` of an alert about a result that could not be delivered."""


class DeliveryPlanner:
    """Implements `ports.OutcomePlanner`.

    Completed runs owe their result to each target and a recovery notice to each that an alert
    has reached; failed runs owe an alert when the automation's `failureAlert` says so, to each
    target by what that one was told. Skipped and cancelled runs owe nothing. Rehearsals owe
    their result alone.
    """

    def __init__(self, ids: Ids) -> None:
        self._ids = ids

    def plan(
        self, run: Run, outcome: Outcome, definition: Definition, state: FailureState, now: datetime
    ) -> Plan:
        """The messages of this outcome. `state` is the counter with this outcome in it."""
        rehearsed = run.rehearse or outcome.rehearsed
        if outcome.status is RunStatus.COMPLETED:
            delivery = definition.automation.delivery
            if outcome.reason == AWAITING_APPROVAL:
                results = self._asking(run, outcome, delivery, now)
            else:
                said = None if outcome.reason == QUIET else delivery
                results = self._results(run, outcome, said, now)
            recovery = () if rehearsed else self._recovery(run, definition, state, now)
            return replace(results, messages=(*results.messages, *recovery))
        if outcome.status is RunStatus.FAILED and not rehearsed:
            return Plan(
                self._alert(
                    run_id=run.run_id,
                    title=run.title,
                    definition=definition,
                    state=state,
                    now=now,
                    reason=outcome.reason,
                    error=outcome.error,
                    urgent=UNKNOWN_WRITE in outcome.notes,
                )
            )
        return Plan()

    def of_step(
        self, run: Run, targets: Sequence[Target], said: object, now: datetime, *, origin: Origin
    ) -> tuple[OutboxMessage, ...]:
        """What a step of a run tells these targets before the run ends: `said`, a text or JSON."""
        text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False, default=str)
        result, data = cut_result(text), plain_data(said)
        body: dict[str, object] = {
            "automation": run.automation,
            "status": "message",
            "timestamp": iso(now),
            "run_id": run.run_id,
            "result": result.text,
            "truncated": result.truncated,
            **({} if data is None else {"data": data}),
            **({"model": REHEARSAL} if run.rehearse else {}),
            **_marked(origin),
        }
        return self._to_each(targets, MessageKind.RESULT, body, ("", result.text), now, origin)

    def plan_unknown_write(
        self, run: Run, outcome: Outcome, settings: WorkspaceSettings, now: datetime
    ) -> Plan:
        """The workspace's own alert about a write of unknown outcome, for when the automation
        tells nobody. Each is told: no cooldown, and no end."""
        if run.rehearse or outcome.rehearsed:
            return Plan()
        condition = Condition(
            key=f"{ConditionKind.UNKNOWN_WRITE} {run.run_id}",
            kind=ConditionKind.UNKNOWN_WRITE,
            since=now,
            subject=run.automation,
            automation=run.automation,
            detail=f"run {run.run_id}: {outcome.error}",
        )
        messages = notices.alert(
            condition, settings.alerts.targets, workspace=settings.name, now=now, ids=self._ids
        )
        return Plan(tuple(replace(each, run_id=run.run_id) for each in messages))

    def plan_dead_letter(
        self,
        message: OutboxMessage,
        error: str,
        definition: Definition,
        state: FailureState,
        now: datetime,
    ) -> Plan:
        """The alert that a result owes which was given up; `state` counts it already."""
        return Plan(
            self._alert(
                run_id=message.run_id,
                title=definition.automation.title,
                definition=definition,
                state=state,
                now=now,
                reason=DELIVERY_FAILED,
                error=f"delivery to {message.target.label} failed: {error}",
            )
        )

    def _asking(self, run: Run, outcome: Outcome, delivery: Delivery | None, now: datetime) -> Plan:
        """What waits for a person, told to those who expect the result, in words of ours: what
        template and filter would look at is not there yet."""
        result = cut_result(outcome.text)
        body: dict[str, object] = {
            "automation": run.automation,
            "status": AWAITING_APPROVAL,
            "timestamp": iso(now),
            "run_id": run.run_id,
            "result": result.text,
            "truncated": result.truncated,
            **_marked(outcome.origin),
        }
        targets, said = delivery.targets if delivery else (), ("", result.text)
        kind, origin = MessageKind.RESULT, outcome.origin
        return Plan(self._to_each(targets, kind, body, said, now, origin))

    def _results(
        self, run: Run, outcome: Outcome, delivery: Delivery | None, now: datetime
    ) -> Plan:
        if delivery is None:
            return Plan()
        result = cut_result(outcome.text)
        data = plain_data(outcome.payload) or parse_data(outcome.text)
        if delivery.when is not None:
            verdict = judge(delivery.when, {"result": outcome.text or "", "data": data})
            if not verdict.passes:
                note = f"delivery.when: nothing is sent: {verdict.rule}"
                return Plan(notes=(plain_line(note, 300),), reason=QUIET)
        values = {
            **_own_keys(data),
            "automation": run.automation,
            "timestamp": iso(now),
            "result": result.text,
            **({} if data is None else {"data": data}),
        }
        writer = Writer(delivery.template, values, result, outcome.origin)
        body: dict[str, object] = {
            "automation": run.automation,
            "status": "success",
            "timestamp": iso(now),
            "run_id": run.run_id,
            "result": result.text,
            "truncated": result.truncated,
        }
        if writer.message is not None:
            body["message"] = writer.message
        if data is not None:
            body["data"] = data
        model = {"model": REHEARSAL} if run.rehearse or outcome.rehearsed else {}
        messages = [
            self._message(
                run.run_id,
                run.automation,
                MessageKind.RESULT,
                target,
                {**body, "text": writer.text_for(target), **model, **_marked(outcome.origin)},
                now,
            )
            for target in delivery.targets
        ]
        return Plan(tuple(messages), writer.notes)

    def _alert(
        self,
        *,
        run_id: str | None,
        title: str,
        definition: Definition,
        state: FailureState,
        now: datetime,
        reason: str | None,
        error: str | None,
        urgent: bool = False,
    ) -> tuple[OutboxMessage, ...]:
        alert = definition.automation.failure_alert
        if alert is None:
            return ()
        # Somebody must look after a write of unknown outcome: no threshold, no cooldown.
        targets = [each for each in alert.targets if urgent or _is_due(alert, each, state, now)]
        because = f" ({reason})" if reason else ""
        said = f": {cut_result(error, 2_000).text}" if error else ""
        row = "" if state.consecutive < 2 else f" {state.consecutive} failures in a row."
        body: dict[str, object] = {
            "automation": definition.automation.name,
            "status": "failure",
            "timestamp": iso(now),
            "run_id": run_id,
            "reason": reason,
            "error": error,
            "consecutive_failures": state.consecutive,
        }
        run = f" Run {run_id}" if run_id else ""
        text = (f"{title} failed{because}", f"{said}.{row}{run}")
        # Errors quote what services answer, and nothing in an alert is there to be followed.
        origin = Origin(tainted=True, hosts=hosts_in([definition.document]))
        return self._to_each(targets, MessageKind.FAILURE_ALERT, body, text, now, origin)

    def _recovery(
        self, run: Run, definition: Definition, state: FailureState, now: datetime
    ) -> tuple[OutboxMessage, ...]:
        alert = definition.automation.failure_alert
        if alert is None:
            return ()
        targets = [each for each in alert.targets if state.told(each).alerting]
        body: dict[str, object] = {
            "automation": run.automation,
            "status": "recovered",
            "timestamp": iso(now),
            "run_id": run.run_id,
            "reason": None,
            "error": None,
            "consecutive_failures": 0,
        }
        text = (f"{run.title} works again. Run {run.run_id}", "")
        return self._to_each(targets, MessageKind.RECOVERY, body, text, now, UNTAINTED)

    def _to_each(
        self,
        targets: Sequence[Target],
        kind: MessageKind,
        body: Mapping[str, object],
        text: tuple[str, str],
        now: datetime,
        origin: Origin,
    ) -> tuple[OutboxMessage, ...]:
        """`text` is in two parts: of a file or of ours, and of whose origin `origin` tells."""
        own, said = text
        return tuple(
            self._message(
                cast("str | None", body["run_id"]),
                str(body["automation"]),
                kind,
                target,
                {
                    **body,
                    "text": Neutral(target.format)(own) + Neutral(target.format, origin)(said),
                },
                now,
            )
            for target in targets
        )

    def _message(
        self,
        run_id: str | None,
        automation: str,
        kind: MessageKind,
        target: Target,
        body: Mapping[str, object],
        now: datetime,
    ) -> OutboxMessage:
        return OutboxMessage(
            delivery_id=self._ids.delivery(),
            run_id=run_id,
            automation=automation,
            kind=kind,
            target=target,
            body=body,
            created_at=now,
            expires_at=now + KEPT_FOR,
        )


def _own_keys(data: object) -> dict[str, object]:
    # JSON, so its keys are text.
    return cast("dict[str, object]", data) if isinstance(data, dict) else {}


def _marked(origin: Origin) -> dict[str, object]:
    return {"tainted": True} if origin.tainted else {}


def _is_due(alert: FailureAlert, target: Target, state: FailureState, now: datetime) -> bool:
    told = state.told(target)
    if state.consecutive < alert.after or told.alert_open:
        return False
    # A clock that was set back must not silence alerts until it has caught up.
    return told.alerted_at is None or abs(now - told.alerted_at) >= alert.cooldown
