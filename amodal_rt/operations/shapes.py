"""The JSON documents that programs rely on (specification §9), in one place.

snake_case; instants ISO 8601 UTC with `Z`; what is not known is None, never left out.
"""

from collections.abc import Sequence

from amodal_rt import ids
from amodal_rt.clock import iso
from amodal_rt.domain.connection import Connection
from amodal_rt.domain.delivery import DeliveryRecord
from amodal_rt.domain.event import Rejection
from amodal_rt.domain.journal import UNSHOWN, Entry
from amodal_rt.domain.run import FailedReason, Run
from amodal_rt.ports import EventRecord, RunRef, StoreItem

Document = dict[str, object]


def run(found: Run, deliveries: Sequence[DeliveryRecord] = ()) -> Document:
    """One row of `ops runs list` and `ops automations history`."""
    duration = found.duration
    return {
        "run_id": found.run_id,
        "session_id": ids.session(found.run_id),
        "automation": found.automation,
        "title": found.title,
        "trigger": found.trigger.value,
        "status": found.status.value,
        "reason": found.reason,
        "error": found.error,
        "requester": found.requester,
        "depth": found.depth,
        "attempt": found.attempt,
        "created_at": iso(found.created_at),
        "scheduled_for": iso(found.scheduled_for),
        "scheduled_until": iso(found.scheduled_until),
        "count": found.count,
        "started_at": iso(found.started_at),
        "finished_at": iso(found.finished_at),
        "duration_seconds": None if duration is None else round(duration.total_seconds(), 3),
        "deliveries": [
            {
                "target": each.message.target.label,
                "status": each.status.value,
                "attempts": each.attempts,
            }
            for each in deliveries
        ],
        "usage": found.usage.document(),
        "model": found.model,
        "profile": found.profile.label if found.profile else None,
        "isolation": found.profile.isolation.value if found.profile else None,
    }


def run_in_full(found: Run, deliveries: Sequence[DeliveryRecord]) -> Document:
    """`ops runs show`."""
    return {
        **run(found, deliveries),
        "result": {
            "text": found.result_text,
            "payload": found.result_payload,
            "output": list(found.output),
        },
        "event_id": found.event_id,
        "definition": found.definition,
    }


def ruling(found: Run, waits: Document | None) -> Document:
    """One row of `ops automations why`; `waits` says what a pending run waits for."""
    return {
        "scheduled_for": iso(found.scheduled_for),
        "scheduled_until": iso(found.scheduled_until),
        "count": found.count,
        "event_id": found.event_id,
        "run_id": found.run_id,
        "status": found.status.value,
        "reason": found.reason,
        # What stopped it there is a rule, as what keeps a run from starting is.
        "rule": found.error if found.reason == FailedReason.BUDGET_EXCEEDED else found.rule,
        "definition": found.definition,
        "waits_for": waits,
    }


def entry(found: Entry) -> Document:
    """One line of `ops runs logs`."""
    return {
        "sequence": found.sequence,
        "type": found.type.value,
        "at": iso(found.at),
        "step": found.step,
        "parent": found.parent,
        "attempt": found.attempt,
        "data": {key: each for key, each in found.data.items() if key not in UNSHOWN},
    }


def event(found: EventRecord) -> Document:
    """One row of `ops events list`."""
    return {
        "event_id": found.event.id,
        "type": found.event.type,
        "source": found.event.source,
        "received_at": iso(found.event.received_at),
        "delivery_id": found.event.delivery_id,
        "missed": found.missed,
        "runs": [_ref(each) for each in found.runs],
    }


def event_in_full(found: EventRecord) -> Document:
    """`ops events show`."""
    told = found.event
    return {
        **event(found),
        "subject": told.subject,
        "actor": told.actor,
        "time": iso(told.time),
        "depth": told.depth,
        "automation": told.address,
        "automations": list(told.addressees),
        "headers": dict(told.headers),
        "data": told.data,
    }


def rejection(found: Rejection) -> Document:
    """One row of `ops events list --rejected`."""
    return {
        "endpoint": found.endpoint,
        "automation": found.automation,
        "reason": found.reason,
        "at": iso(found.at),
    }


def delivery(found: DeliveryRecord) -> Document:
    """One row of `ops deliveries list`."""
    message = found.message
    return {
        "delivery_id": message.delivery_id,
        "run_id": message.run_id,
        "automation": message.automation,
        "kind": message.kind.value,
        "target": message.target.label,
        "status": found.status.value,
        "attempts": found.attempts,
        "next_attempt_at": iso(found.next_attempt_at),
        "last_error": found.last_error,
    }


def delivery_in_full(found: DeliveryRecord) -> Document:
    """`ops deliveries show`."""
    return {
        **delivery(found),
        "created_at": iso(found.message.created_at),
        "expires_at": iso(found.message.expires_at),
        "finished_at": iso(found.finished_at),
        "body": dict(found.message.body),
    }


def connection(found: Connection, *, missing: Sequence[str]) -> Document:
    """One row of `ops connections list`; `missing` names its unset variables."""
    address = found.base_url if found.mcp is None else found.mcp.url or found.mcp.command
    return {
        "name": found.name,
        "protocol": found.protocol.value,
        "base_url": None if address is None else str(address),
        "auth": found.auth.type.value,
        "state": f"needs {', '.join(missing)}" if missing else "ready",
        "definition": found.hash,
    }


def store_item(found: StoreItem) -> Document:
    """One value of `ops stores NAME`."""
    return {
        "key": found.key,
        "value": found.value,
        "updated_at": iso(found.updated_at),
        "run_id": found.run_id,
    }


def _ref(found: RunRef) -> Document:
    return {
        "run_id": found.run_id,
        "automation": found.automation,
        "status": found.status.value,
        "reason": found.reason,
    }
