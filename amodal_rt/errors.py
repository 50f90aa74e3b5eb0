"""The one tree of errors.

Every error has a `kind` (seven, mapped by the doors to HTTP status and exit status),
a stable machine-readable `code` and, where a person can act, a `hint`.

    AmodalError
    ├── InvalidError      exit 3   HTTP 422
    ├── NotFoundError     exit 4   HTTP 404
    ├── ConflictError     exit 1   HTTP 409
    ├── DeniedError       exit 1   HTTP 403
    ├── UnavailableError  exit 5   HTTP 503
    ├── TimedOutError     exit 1   HTTP 504
    └── InternalError     exit 1   HTTP 500
"""

from typing import ClassVar, Literal

Kind = Literal["invalid", "not_found", "conflict", "denied", "unavailable", "timed_out", "internal"]


class AmodalError(Exception):
    """Root of all errors that a caller may see.

    `message` is one line, free of secrets and safe to show; `hint` says what to do next.
    """

    kind: ClassVar[Kind] = "internal"
    default_code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, code: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.hint = hint

    def document(self) -> dict[str, str | None]:
        """The body of `{"error": …}` that every door shows."""
        return {"code": self.code, "kind": self.kind, "message": self.message, "hint": self.hint}


class InvalidError(AmodalError):
    """What was given cannot be accepted as it is; trying again changes nothing."""

    kind = "invalid"
    default_code = "invalid"


class NotFoundError(AmodalError):
    """The named thing does not exist here."""

    kind = "not_found"
    default_code = "not_found"


class ConflictError(AmodalError):
    """The thing is in a state that forbids the request."""

    kind = "conflict"
    default_code = "conflict"


class DeniedError(AmodalError):
    """Understood and refused: the caller, or the automation, may not do this."""

    kind = "denied"
    default_code = "denied"


class UnavailableError(AmodalError):
    """Not possible right now; the same request may succeed later."""

    kind = "unavailable"
    default_code = "unavailable"


class TimedOutError(AmodalError):
    """A deadline passed before the work ended."""

    kind = "timed_out"
    default_code = "timed_out"


class InternalError(AmodalError):
    """A defect of this program. The message names no internals."""

    kind = "internal"
    default_code = "internal"
