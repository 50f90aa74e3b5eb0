"""What a caller is told when something is wrong: `{"error": {code, kind, message, hint}}`.

The published client of the platform whose paths are served here reads `error.code` and
`error.message`. A defect of ours is one sentence, and nothing of what is inside.
"""

import json
from collections.abc import Mapping

from aiohttp import web

from amodal_rt.errors import AmodalError

STATUS: Mapping[str, int] = {
    "invalid": 422,
    "not_found": 404,
    "conflict": 409,
    "denied": 403,
    "unavailable": 503,
    "timed_out": 504,
    "internal": 500,
}
"""HTTP status by kind of error."""

RETRY_AFTER_SECONDS = 30
"""When a caller should come again for what was not possible right now."""

# What is wrong with the request as such, whatever it was about.
_MALFORMED: Mapping[str, int] = {
    "bad_body": 400,
    "bad_cursor": 400,
    "bad_instant": 400,
    "bad_limit": 400,
    "bad_query": 400,
    "bad_sequence": 400,
    "bad_status": 400,
    "bad_type": 400,
    "unauthorized": 401,
    "payment_required": 402,
    "method_not_allowed": 405,
    "sender_slow": 408,
    "too_large": 413,
    "unsupported": 415,
}


def status_of(error: AmodalError) -> int:
    """The status of an answer over TCP."""
    return _MALFORMED.get(error.code, STATUS[error.kind])


def refused(
    error: AmodalError, status: int | None = None, *, headers: Mapping[str, str] | None = None
) -> web.Response:
    """The answer for an error; `status` by its code and kind, unless given."""
    status = status_of(error) if status is None else status
    later = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else {}
    return respond({"error": error.document()}, status, headers={**later, **(headers or {})})


def respond(
    document: object, status: int = 200, *, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A JSON answer."""
    return web.Response(
        status=status,
        body=json.dumps(document).encode(),
        headers={"Content-Type": "application/json", **(headers or {})},
    )
