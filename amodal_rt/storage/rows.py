"""Values to columns and back."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from amodal_rt.clock import from_millis, to_millis
from amodal_rt.domain.delivery import (
    DeliveryRecord,
    DeliveryStatus,
    Format,
    MessageKind,
    OutboxMessage,
    Target,
    TargetType,
)
from amodal_rt.domain.event import Event
from amodal_rt.domain.profile import Isolation, RunProfile
from amodal_rt.domain.run import Run, RunStatus, Start, Usage
from amodal_rt.domain.secret import PREFIX, SecretRef, Text
from amodal_rt.domain.trigger import TriggerKind

Row = RowMapping | Mapping[str, Any]
Columns = dict[str, object]

_JSON = json.JSONEncoder(separators=(",", ":"))


def storable(text: str) -> str:
    """Text that SQLite can hold: lone surrogates (headers, models) become `\\udcXX` escapes."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def maybe_storable(text: str | None) -> str | None:
    """`storable`, None staying None."""
    return None if text is None else storable(text)


def dumped(document: object) -> str:
    """JSON text, ASCII only, so that no string in it can be refused."""
    return _JSON.encode(document)


def maybe_dumped(document: object) -> str | None:
    """`dumped`, None becoming NULL."""
    return None if document is None else dumped(document)


def loaded(text: str | None) -> Any:
    """The inverse of `maybe_dumped`."""
    return None if text is None else json.loads(text)


def millis(instant: datetime | None) -> int | None:
    """`to_millis`, None staying None."""
    return None if instant is None else to_millis(instant)


def instant(value: int | None) -> datetime | None:
    """`from_millis`, None staying None."""
    return None if value is None else from_millis(value)


EVENT_COLUMNS = (
    "id", "type", "source", "subject", "actor", "address", "delivery_id", "depth", "missed",
    "headers", "data", "time", "received_at", "cause", "order_key",
)  # fmt: skip
"""A row of `events` without its number, in the order of `event_row`."""


def event_row(event: Event, missed: int) -> tuple[str | int | None, ...]:
    """The values of `EVENT_COLUMNS`."""
    time = to_millis(event.time)
    return (
        event.id,
        storable(event.type),
        storable(event.source),
        # Most of these are None, and so for every event: a call for each is dearer than asking.
        event.subject and storable(event.subject),
        event.actor and storable(event.actor),
        event.address,
        event.delivery_id and storable(event.delivery_id),
        event.depth,
        missed,
        dumped(dict(event.headers)) if event.headers else "{}",
        None if event.data is None else dumped(event.data),
        time,
        time if event.received_at is event.time else to_millis(event.received_at),
        event.cause,
        event.order and storable(event.order),
    )


def to_event(row: Row) -> Event:
    """The inverse of `event_row`."""
    return Event(
        id=row["id"],
        type=row["type"],
        source=row["source"],
        data=loaded(row["data"]),
        time=from_millis(row["time"]),
        received_at=from_millis(row["received_at"]),
        subject=row["subject"],
        actor=row["actor"],
        depth=row["depth"],
        address=row["address"],
        delivery_id=row["delivery_id"],
        cause=row["cause"],
        order=row["order_key"],
        headers=loaded(row["headers"]),
    )


START_COLUMNS = (
    "id", "automation", "title", "trigger", "definition", "event_id", "payload",
    "scheduled_for", "scheduled_until", "schedule_key", "count", "depth", "requester", "actor",
    "door", "conversation_key", "idempotency_key", "rehearse", "concurrency", "on_limit",
    "starts_per_hour", "created_at", "order_key", "fault",
)  # fmt: skip
"""What a start says of its row in `runs`, in the order of `start_row`."""
_FOR, _UNTIL = START_COLUMNS.index("scheduled_for"), START_COLUMNS.index("scheduled_until")

StartRow = tuple[str | int | None, ...]


def start_row(start: Start) -> StartRow:
    """The values of `START_COLUMNS`, as plain types: the driver is slow to bind subclasses."""
    return (
        start.run_id,
        start.automation,
        storable(start.title),
        str(start.trigger),
        start.definition,
        start.event_id,
        None if start.payload is None else dumped(start.payload),
        start.scheduled_for and to_millis(start.scheduled_for),
        start.scheduled_until and to_millis(start.scheduled_until),
        start.schedule_key,
        start.count,
        start.depth,
        start.requester and storable(start.requester),
        start.actor and storable(start.actor),
        start.door,
        start.conversation_key and storable(start.conversation_key),
        start.idempotency_key and storable(start.idempotency_key),
        int(start.rehearse),
        start.concurrency,
        str(start.on_limit),
        start.starts_per_hour,
        to_millis(start.created_at),
        start.order_key and storable(start.order_key),
        start.fault and storable(start.fault),
    )


def slot_of(row: StartRow) -> tuple[int | None, int | None]:
    """The first and the last slot of a start's row, in milliseconds; both None without slot."""
    first, last = row[_FOR], row[_UNTIL]
    if first is None:
        return None, None
    assert not isinstance(first, str)
    assert not isinstance(last, str)
    return first, first if last is None else last


def to_run(row: Row) -> Run:
    """A run as its row stands."""
    return Run(
        run_id=row["id"],
        automation=row["automation"],
        title=row["title"],
        trigger=TriggerKind(row["trigger"]),
        status=RunStatus(row["status"]),
        definition=row["definition"],
        created_at=from_millis(row["created_at"]),
        reason=row["reason"],
        rule=row["rule"],
        error=row["error"],
        event_id=row["event_id"],
        payload=loaded(row["payload"]),
        scheduled_for=instant(row["scheduled_for"]),
        scheduled_until=instant(row["scheduled_until"]),
        schedule_key=row["schedule_key"],
        count=row["count"],
        depth=row["depth"],
        attempt=row["attempt"],
        term=row["term"],
        requester=row["requester"],
        actor=row["actor"],
        door=row["door"],
        conversation_key=row["conversation_key"],
        order_key=row["order_key"],
        idempotency_key=row["idempotency_key"],
        coalesce_key=row["coalesce_key"],
        superseded=row["superseded"],
        fault=row["fault"],
        profile=to_profile(loaded(row["profile"])),
        rehearse=bool(row["rehearse"]),
        node=row["node"],
        resumes=row["resumes"],
        not_before=instant(row["not_before"]),
        started_at=instant(row["started_at"]),
        finished_at=instant(row["finished_at"]),
        usage=to_usage(row),
        model=row["model"],
        result_text=row["result_text"],
        result_payload=loaded(row["result_payload"]),
        output=tuple(loaded(row["output"]) or ()),
    )


def profile_document(profile: RunProfile) -> dict[str, str]:
    """What `runs.profile` holds."""
    return {"label": profile.label, "hash": profile.hash, "isolation": profile.isolation.value}


def to_profile(document: Mapping[str, str] | None) -> RunProfile | None:
    """The inverse of `profile_document`."""
    if document is None:
        return None
    return RunProfile(
        label=document["label"],
        hash=document["hash"],
        isolation=Isolation(document["isolation"]),
    )


def to_usage(row: Row) -> Usage:
    """What the attempts so far consumed."""
    return Usage(
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        turns=row["turns"],
        cost_usd=row["cost_usd"],
    )


def message_columns(message: OutboxMessage) -> Columns:
    """A row of `outbox`: due at once, or kept for the record."""
    due = message.status is DeliveryStatus.PENDING
    created_at = to_millis(message.created_at)
    return {
        "id": message.delivery_id,
        "run_id": message.run_id,
        "automation": message.automation,
        "kind": message.kind.value,
        "target": dumped(_target_document(message.target)),
        "target_key": message.target.key,
        "body": dumped(dict(message.body)),
        "owed_as": message.status.value,
        "status": message.status.value,
        "created_at": created_at,
        "expires_at": to_millis(message.expires_at),
        "next_attempt_at": created_at if due else None,
        "finished_at": None if due else created_at,
    }


def to_delivery(row: Row) -> DeliveryRecord:
    """A message as its row stands."""
    message = OutboxMessage(
        delivery_id=row["id"],
        run_id=row["run_id"],
        automation=row["automation"],
        kind=MessageKind(row["kind"]),
        target=_to_target(loaded(row["target"])),
        body=loaded(row["body"]),
        created_at=from_millis(row["created_at"]),
        expires_at=from_millis(row["expires_at"]),
        status=DeliveryStatus(row["owed_as"]),
    )
    return DeliveryRecord(
        message=message,
        status=DeliveryStatus(row["status"]),
        attempts=row["attempts"],
        next_attempt_at=instant(row["next_attempt_at"]),
        last_error=row["last_error"],
        finished_at=instant(row["finished_at"]),
        retried_at_attempt=row["retried_at_attempt"],
    )


def _target_document(target: Target) -> Mapping[str, object]:
    return {
        "type": target.type.value,
        "label": target.label,
        "url": _text_document(target.url),
        "name": target.name,
        "format": target.format,
        "secret": _text_document(target.secret),
    }


def _to_target(document: Mapping[str, Any]) -> Target:
    return Target(
        type=TargetType(document["type"]),
        label=document["label"],
        url=_to_text(document["url"]),
        name=document["name"],
        format=Format(document["format"]),
        secret=_to_text(document["secret"]),
    )


def _text_document(text: Text | None) -> str | None:
    return None if text is None else str(text)


def _to_text(text: str | None) -> Text | None:
    if text is not None and text.startswith(PREFIX):
        return SecretRef(text.removeprefix(PREFIX))
    return text
