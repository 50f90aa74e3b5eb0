"""CloudEvents 1.0 over HTTP, in and out: structured, binary and batched.

What is read here is well formed and within bounds; whether its sender may say it is judged
elsewhere. `docs/how-to/send-events.md` says what becomes of each attribute.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast
from urllib.parse import unquote

from amodal_rt.clock import iso, parse_iso
from amodal_rt.domain.event import SENT_ID, DedupKey, Event
from amodal_rt.errors import InvalidError
from amodal_rt.guardrails.namespaces import type_fault
from amodal_rt.intake import bodies
from amodal_rt.intake.headers import Headers, is_secret

BYTES = 1_048_576
"""How large a request may be."""
MOST = 1000
"""How many events a batch may hold."""
STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
ENDPOINT = "/events"
"""Where duplicates are looked for, whatever door an event came through."""

_LONGEST = 512
_MOST_EXTENSIONS = 20
_LONGEST_EXTENSION = 1024
_JSON = "application/json"
_NAME = re.compile(r"[a-z0-9]{1,40}")
_TEXTS = ("id", "source", "type")
_OPTIONAL = ("specversion", "subject", "time", "datacontenttype", "dataschema")
_KNOWN = frozenset((*_TEXTS, *_OPTIONAL, "data", "data_base64"))
_BASE64 = frozenset(("encoding", "content_type", "content"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudEvent:
    """One event as its sender says it. `kept` holds what the runtime has no word for, as binary
    mode writes it (`ce-dataschema`, `content-type`)."""

    id: str
    source: str
    type: str
    data: object = None
    subject: str | None = None
    time: datetime | None = None
    kept: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def dedup(self) -> DedupKey:
        """Source and id together make it the same event (CloudEvents 1.0, `id`)."""
        both = json.dumps([self.source, self.id])
        return DedupKey(endpoint=ENDPOINT, keys=(hashlib.sha256(both.encode()).hexdigest(),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What one request holds: `batched` says whether its answer is a list."""

    events: Sequence[CloudEvent]
    batched: bool = False


def parse_request(headers: Headers, body: bytes) -> Sent:
    """The events of a request. Raises InvalidError: `unsupported` when it is no CloudEvent at
    all, else `bad_event`, saying which attribute of which event is wrong."""
    declared = (headers.first("content-type") or "").partition(";")[0].strip().lower()
    if declared == BATCHED:
        documents = _json(body)
        if not isinstance(documents, list):
            raise _bad("a batch is a JSON list of events")
        found = cast("list[object]", documents)
        if len(found) > MOST:
            raise InvalidError(f"a batch has at most {MOST:,} events", code="too_large")
        events = [_structured(each, f"events[{place}]: ") for place, each in enumerate(found)]
        return Sent(events=events, batched=True)
    if declared == STRUCTURED:
        return Sent(events=[_structured(_json(body), "")])
    if headers.first("ce-specversion") is not None:
        return Sent(events=[_binary(headers, body)])
    raise InvalidError(
        "this is no CloudEvent",
        code="unsupported",
        hint=f"send {STRUCTURED}, {BATCHED}, or the ce- headers of binary mode",
    )


def parse_document(document: object) -> CloudEvent:
    """One event in JSON. Raises InvalidError (`bad_event`)."""
    return _structured(document, "")


def document_of(event: Event) -> dict[str, object]:
    """The event as a CloudEvent in JSON. One that came as a CloudEvent keeps its `id` and the type
    of its content, and ours is its `eventid`; any other has our id, and what its sender called it
    is `deliveryid`."""
    document: dict[str, object] = {
        "specversion": "1.0",
        "id": event.headers.get(SENT_ID) or event.id,
        "source": event.source,
        "type": event.type,
        "time": iso(event.time),
        **_extensions_of(event),
    }
    if event.subject:
        document["subject"] = event.subject
    data = event.data
    if isinstance(data, dict) and cast("dict[str, object]", data).keys() == _BASE64:
        said = cast("dict[str, object]", data)
        document["data_base64"] = said["content"]
        kept = event.headers.get("content-type") or said["content_type"]
        document["datacontenttype"] = kept or "application/octet-stream"
    elif data is not None:
        document["data"] = data
        document["datacontenttype"] = _content_type(event)
    return document


def _content_type(event: Event) -> str:
    """As it was said, where the data is still what that says: what was a form is an object now."""
    said = event.headers.get("content-type", "")
    return said if said and (isinstance(event.data, str) or _is_json(said)) else _JSON


def _is_json(content_type: str) -> bool:
    declared = content_type.partition(";")[0].strip().lower()
    return declared == _JSON or declared.endswith("+json")


def _extensions_of(event: Event) -> dict[str, object]:
    kept = {
        name.removeprefix("ce-"): value
        for name, value in event.headers.items()
        if name.startswith("ce-") and name != SENT_ID
    }
    own: dict[str, object] = {
        "eventid": event.id if SENT_ID in event.headers else None,
        "actor": event.actor,
        "cause": event.cause,
        "deliveryid": event.delivery_id,
        "receivedtime": iso(event.received_at),
    }
    told = {name: value for name, value in own.items() if value is not None}
    return {**kept, **told, "depth": event.depth}


def _structured(document: object, where: str) -> CloudEvent:
    if not isinstance(document, dict):
        raise _bad(f"{where}an event is a JSON object")
    said = {
        name: value
        for name, value in cast("dict[str, object]", document).items()
        if value is not None
    }
    if "data" in said and "data_base64" in said:
        raise _bad(f"{where}data and data_base64 exclude each other")
    content_type = _text(said, "datacontenttype", where)
    data = said.get("data")
    if "data_base64" in said:
        data = _data(_unpacked(said["data_base64"], where), content_type, where)
    return _event(said, data, content_type, where)


def _binary(headers: Headers, body: bytes) -> CloudEvent:
    content_type = headers.first("content-type")
    said: dict[str, object] = {}
    for name, values in headers.beginning("ce-").items():
        if len(values) > 1:
            # Which of the two a proxy or another reader believes is not ours to guess.
            raise _bad(f"{name[:40]} stands {len(values)} times")
        said[name.removeprefix("ce-")] = _unquoted(values[0])
    for name in ("datacontenttype", "data", "data_base64"):
        if name in said:
            raise _bad(f"ce-{name} stands in the body or in Content-Type")
    return _event(said, _data(body, content_type, ""), content_type, "")


def _event(
    said: Mapping[str, object], data: object, content_type: str | None, where: str
) -> CloudEvent:
    if said.get("specversion") != "1.0":
        raise _bad(f'{where}specversion is not "1.0"')
    id, source, type = (_required(said, name, where) for name in _TEXTS)
    fault = type_fault(type)
    if fault:
        raise _bad(f"{where}type: {fault}")
    if any(each.isspace() for each in source):
        raise _bad(f"{where}source is no URI reference: it holds blanks")
    return CloudEvent(
        id=id,
        source=source,
        type=type,
        subject=_text(said, "subject", where),
        time=_time(said, where),
        data=data,
        kept=_kept(said, content_type, where),
    )


def _kept(said: Mapping[str, object], content_type: str | None, where: str) -> dict[str, str]:
    kept = {SENT_ID: _required(said, "id", where)}
    if content_type:
        kept["content-type"] = content_type[:_LONGEST]
    if schema := _text(said, "dataschema", where):
        kept["ce-dataschema"] = schema
    extensions = [name for name in said if name not in _KNOWN]
    if len(extensions) > _MOST_EXTENSIONS:
        raise _bad(f"{where}an event has at most {_MOST_EXTENSIONS} extensions")
    for name in extensions:
        value = said[name]
        if not _NAME.fullmatch(name):
            raise _bad(f"{where}{name[:40]!r}: names are lower-case letters and digits")
        if not isinstance(value, str | int | float):
            raise _bad(f"{where}{name}: an extension is a text, a number or a boolean")
        text = value if isinstance(value, str) else json.dumps(value)
        if not is_secret(name):
            kept[f"ce-{name}"] = text[:_LONGEST_EXTENSION]
    return kept


def _required(said: Mapping[str, object], name: str, where: str) -> str:
    text = _text(said, name, where)
    if text is None:
        raise _bad(f"{where}{name} is missing")
    return text


def _text(said: Mapping[str, object], name: str, where: str) -> str | None:
    value = said.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise _bad(f"{where}{name} is not a text, or is empty")
    if len(value) > _LONGEST or not value.isprintable():
        raise _bad(f"{where}{name} is longer than {_LONGEST} characters, or not printable")
    return value


def _time(said: Mapping[str, object], where: str) -> datetime | None:
    text = _text(said, "time", where)
    try:
        return parse_iso(text) if text else None
    except (ValueError, OverflowError):
        raise _bad(f"{where}time is no RFC 3339 instant with a zone") from None


def _data(body: bytes, content_type: str | None, where: str) -> object:
    if body and _is_json(content_type or ""):
        try:
            return bodies.load_json(body)
        except ValueError:
            raise _bad(f"{where}data is not the JSON that it says it is") from None
    return bodies.parse_body(body, content_type)


def _unpacked(value: object, where: str) -> bytes:
    try:
        return base64.b64decode(value if isinstance(value, str) else "!", validate=True)
    except (binascii.Error, ValueError):
        raise _bad(f"{where}data_base64 is not base64") from None


def _unquoted(value: str) -> str:
    raw = value.encode("utf-8", "replace").decode()
    return unquote(raw, errors="replace")


def _json(body: bytes) -> object:
    try:
        return bodies.load_json(body)
    except ValueError:
        raise _bad("the body is not JSON") from None


def _bad(message: str) -> InvalidError:
    return InvalidError(message, code="bad_event")
