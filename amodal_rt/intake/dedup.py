"""What makes two deliveries the same one (specification §4.2)."""

import hashlib
from collections.abc import Mapping
from typing import cast

from amodal_rt.domain.event import DedupKey
from amodal_rt.domain.trigger import SignatureScheme, WebhookAuth
from amodal_rt.intake.headers import Headers
from amodal_rt.intake.providers import PROVIDERS, Provider, first_text

GITHUB_EVENT = "x-github-event"
ID_HEADERS = ("webhook-id", "idempotency-key", "x-webhook-id", "x-github-delivery")
"""Where senders say which delivery this is, the most telling name first."""
_LONGEST = 256
_OF_WATCH = frozenset(
    ("action", "enterprise", "installation", "organization", "repository", "sender")
)


def name_of(auth: WebhookAuth | None, headers: Headers, data: object) -> str | None:
    """What the sender calls this delivery, in a header or else where its provider's body says so:
    1 to 256 printable ASCII characters, or None."""
    return name_in_headers(auth, headers) or name_in_body(auth, data)


def name_in_headers(auth: WebhookAuth | None, headers: Headers) -> str | None:
    """The first half of `name_of`."""
    if auth and auth.dedupe_header:
        return _printable(headers.first(auth.dedupe_header.lower()))
    row = PROVIDERS.get(auth.scheme) if auth else None
    for each in row.id_headers if row else ID_HEADERS:
        said = headers.first(each)
        if said is not None and (found := _printable(said)):
            return found
    return None


def name_in_body(auth: WebhookAuth | None, data: object) -> str | None:
    """The second half of `name_of`."""
    row = PROVIDERS.get(auth.scheme) if auth else None
    return _printable(first_text(data, row.keys)) if row else None


def key_for(
    endpoint: str,
    auth: WebhookAuth | None,
    headers: Headers,
    name: str | None,
    body: bytes,
    data: object,
) -> DedupKey | None:
    """The keys of this delivery on `endpoint`, which its headers call `name`; None when every
    such request is new."""
    row = PROVIDERS.get(auth.scheme) if auth else None
    if auth and auth.dedupe_header:
        keys = [f"header:{_digest(name.encode())}"] if name else []
    elif auth and auth.custom and auth.custom.dedup:
        keys = _custom(auth, headers, body, data)
    elif row:
        keys = _by_row(row, name, headers, body, data)
    else:
        # Neither is proof alone: ids are reused by other bodies, bodies repeat by nature.
        both = _digest(name.encode() + b"\n" + body) if name else None
        keys = [f"request:{both}"] if both else []
    return DedupKey(endpoint=endpoint, keys=tuple(keys)) if keys else None


def key_in_body(endpoint: str, auth: WebhookAuth | None, data: object) -> DedupKey | None:
    """The key of a delivery of which nobody has the headers or the raw bytes; None where one of
    these says what it is, and where every request is new."""
    row = PROVIDERS.get(auth.scheme) if auth else None
    if auth and auth.custom and auth.custom.dedup:
        asked = auth.custom.dedup
        said = None if asked == "digest" or asked.header else first_text(data, (asked.body,))
    else:
        said = first_text(data, row.keys) if row and auth and not auth.dedupe_header else None
    return DedupKey(endpoint=endpoint, keys=(_event(said),)) if said else None


def _by_row(
    row: Provider, name: str | None, headers: Headers, body: bytes, data: object
) -> list[str]:
    if said := first_text(data, row.keys):
        return [_event(said)]
    keys = [f"delivery:{_digest(name.encode())}"] if name else []
    if row.digested is None:
        return keys
    # The delivery id is not signed: a replay may carry a fresh one, but the same body.
    if row is PROVIDERS[SignatureScheme.GITHUB] and may_repeat(headers.first(GITHUB_EVENT), data):
        return keys
    said = [headers.first(each) or "" for each in row.digested]
    whole = b"\n".join([*(each.encode("utf-8", "replace") for each in said), body])
    return [*keys, f"body:{_digest(whole)}"]


def _custom(auth: WebhookAuth, headers: Headers, body: bytes, data: object) -> list[str]:
    asked = auth.custom.dedup if auth.custom else None
    if asked is None or asked == "digest":
        return [f"body:{_digest(body)}"]
    said = headers.first(asked.header) if asked.header else first_text(data, (asked.body,))
    return [_event(said)] if said else []


def _event(said: str) -> str:
    return f"event:{_digest(said.encode('utf-8', 'replace'))}"


def may_repeat(event: str | None, data: object) -> bool:
    """Whether GitHub sends such an event again with the same bytes, rightly.

    The header that names the event is not signed, so the signed body must look like it:
    otherwise a replay would rename itself and pass.
    """
    if not isinstance(data, Mapping):
        return False
    said = cast("Mapping[str, object]", data)
    keys = said.keys()
    match event:
        case "ping":
            return {"zen", "hook_id"} <= keys
        case "repository_dispatch":
            return {"client_payload", "branch"} <= keys
        case "workflow_dispatch":
            return {"workflow", "inputs", "ref"} <= keys
        case "watch":
            return said.get("action") == "started" and keys <= _OF_WATCH
        case _:
            return False


def _printable(value: str | None) -> str | None:
    if value and len(value) <= _LONGEST and value.isascii() and value.isprintable():
        return value
    return None


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
