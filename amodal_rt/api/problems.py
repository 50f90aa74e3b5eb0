"""The one exception of the client."""

import json
from typing import cast, get_args

from amodal_rt.errors import AmodalError, Kind

_KINDS: frozenset[str] = frozenset(get_args(Kind))
_BY_STATUS: dict[int, Kind] = {
    400: "invalid",
    401: "denied",
    403: "denied",
    404: "not_found",
    409: "conflict",
    503: "unavailable",
    504: "timed_out",
}


class ApiError(AmodalError):
    """The API did not do what was asked.

    `status` is that of the answer, None where none came; `code` is stable and tells errors
    apart, `message` is one line for people, `hint` what they can do, `kind` one of the seven of
    `amodal_rt.errors`. Without an answer the codes are `unreachable`, `timed_out` and, for an
    answer that is none of the API's, `unknown_answer`.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None,
        code: str,
        kind: Kind,
        hint: str | None = None,
        retry_after: str | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.status = status
        # Each error says of which kind it is: the client has one class for all seven.
        self.kind = kind  # pyright: ignore[reportAttributeAccessIssue]
        self.retry_after = retry_after


def unreachable(where: str, why: str) -> ApiError:
    """Nobody answers, or not to the end."""
    said = f"no daemon answers at {where}: {why}"
    return ApiError(said, status=None, code="unreachable", kind="unavailable")


def late(where: str, seconds: float) -> ApiError:
    """No answer in time. What was asked may have been done."""
    said = f"{where} did not answer within {seconds:g} s"
    return ApiError(said, status=None, code="timed_out", kind="timed_out")


def unknown_answer(status: int) -> ApiError:
    """An answer in words that are not the API's."""
    said = f"the answer ({status}) is none of this API"
    return ApiError(
        said,
        status=status,
        code="unknown_answer",
        kind=_kind(status),
        hint="is the URL that of an amodal-rt?",
    )


def refused(status: int, content: bytes, retry_after: str | None = None) -> ApiError:
    """What an answer of 400 or more says."""
    try:
        document = cast("object", json.loads(content))
    except (ValueError, RecursionError):
        document = None
    error = cast("dict[str, object]", document).get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict):
        return unknown_answer(status)
    said = cast("dict[str, object]", error)
    code, message, hint, kind = (said.get(key) for key in ("code", "message", "hint", "kind"))
    if not isinstance(code, str) or not isinstance(message, str):
        return unknown_answer(status)
    return ApiError(
        message,
        status=status,
        code=code,
        kind=cast("Kind", kind) if kind in _KINDS else _kind(status),
        hint=hint if isinstance(hint, str) else None,
        retry_after=retry_after,
    )


def _kind(status: int) -> Kind:
    return _BY_STATUS.get(status, "invalid" if status < 500 else "internal")
