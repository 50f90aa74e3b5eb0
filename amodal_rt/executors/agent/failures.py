"""Why a model did not answer, in one line that repeats nothing secret."""

import json
from collections.abc import Callable, Mapping
from typing import cast

import httpx2
from pydantic_ai.exceptions import (
    AgentRunError,
    ContentFilterError,
    FallbackExceptionGroup,
    ModelAPIError,
    ModelAuthenticationError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelQuotaExceededError,
    ModelRequestRejectedError,
    UnexpectedModelBehavior,
    UserError,
)

from amodal_rt.errors import AmodalError
from amodal_rt.guardrails.untrusted import plain_line

_WORDS = {
    400: "refused the request",
    401: "refused the key",
    403: "refused the key",
    404: "does not know the model or the path",
    408: "timed out",
    413: "found the request too large",
    429: "is over its rate limit or quota",
}


class SilentModelError(ModelAPIError):
    """A model with another one behind it did not answer in time; the message says so."""

    def __init__(self, reference: str, when: str) -> None:
        super().__init__(reference, f"the model {reference} did not answer {when}")


class SparedModelError(ModelAPIError):
    """A model was not asked because a cheaper one is to be, or the other way round; the message
    says why."""

    def __init__(self, reference: str, why: str) -> None:
        super().__init__(reference, why)


class PacedModelError(ModelAPIError):
    """A model was not asked because too much was asked of its provider; the message says until
    when."""


class ParkedEndError(AgentRunError):
    """A write of the run waits for a person, so no model is asked any more; the message is what
    the agent said last."""


class BudgetSpentError(AgentRunError):
    """A budget has nothing left; the message names it. Nothing more may be asked for it."""


class RecordedFailureError(ModelAPIError):
    """A model did not answer an earlier attempt; the message says why. The next one is asked."""


class RecordedEndError(AgentRunError):
    """A request ended the agent in an earlier attempt; the message says why."""


class MisreadAnswerError(ModelAPIError):
    """A provider answered with success and in no shape that its interface knows."""


def goes_on(error: Exception) -> bool:
    """Whether the next model of a list is asked. Not after a request that any model would refuse,
    nor after one that a provider will not answer for what it says."""
    if not isinstance(error, ModelAPIError):
        return False
    own = isinstance(error, ModelHTTPError) and error.status_code in _ITS_OWN
    return own or isinstance(error, _ITS_OWN_KINDS) or not isinstance(error, _REJECTED)


def is_lasting(error: BaseException) -> bool:
    """Whether another attempt would end the same: a refused request or key, an unknown model,
    an empty account, a budget. What passes by itself is not: 429, 5xx, no connection."""
    if isinstance(error, FallbackExceptionGroup):
        inner: tuple[BaseException, ...] = error.exceptions
        return all(is_lasting(each) for each in inner)
    kinds = (_REJECTED, ModelQuotaExceededError, ContentFilterError, BudgetSpentError)
    return isinstance(error, (*kinds, SparedModelError))


_REJECTED = ModelRequestRejectedError
_ITS_OWN_KINDS = (
    ModelAuthenticationError, ModelNotFoundError, ModelContextWindowExceededError
)  # fmt: skip
_ITS_OWN = frozenset({401, 403, 404, 413})
"""Refusals that are about one provider: another has other keys, models and sizes."""
_NOT_SENT = (
    httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol,
)  # fmt: skip
_SAID = (
    SilentModelError, SparedModelError, PacedModelError, BudgetSpentError, RecordedFailureError,
    RecordedEndError,
)  # fmt: skip


def may_cost(error: BaseException) -> bool:
    """Whether a request that ended so may stand on a bill: it was sent, and its provider did not
    answer that it failed."""
    if isinstance(error, (ModelHTTPError, AmodalError, UserError)):
        return False
    return not any(isinstance(each, _NOT_SENT) for each in _chain(error))


def describe(error: BaseException, mask: Callable[[str], str]) -> str:
    """One line for people, masked before it is cut: half a secret would not be recognised."""
    if isinstance(error, FallbackExceptionGroup):
        inner: tuple[BaseException, ...] = error.exceptions
        return "no model answered: " + "; ".join(describe(each, mask) for each in inner)
    if isinstance(error, _SAID):
        return mask(error.message)
    if isinstance(error, ModelHTTPError):
        return _http(error, mask)
    if isinstance(error, MisreadAnswerError):
        line = f"the model {error.model_name}'s provider gave an unreadable answer: {error.message}"
        return plain_line(mask(line), 400)
    if isinstance(error, ModelAPIError):
        return f"the model {error.model_name} did not answer: {_root(error, mask)}"
    if isinstance(error, AmodalError):
        return mask(error.message)
    if isinstance(error, UnexpectedModelBehavior):
        return plain_line(mask(f"the model misbehaved: {error.message}"), 400)
    return plain_line(mask(f"{type(error).__name__}: {error}".rstrip(": ")), 400)


def _http(error: ModelHTTPError, mask: Callable[[str], str]) -> str:
    status = error.status_code
    words = _WORDS.get(status, "failed" if status >= 500 else "refused the request")
    line = f"the model {error.model_name}'s provider {words} (HTTP {status})"
    # Providers quote the key, in part, in what they say of a wrong one.
    detail = "" if status in {401, 403} else _detail(error.body, mask)
    return f"{line}: {detail}" if detail else line


def _detail(body: object, mask: Callable[[str], str]) -> str:
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except ValueError:
            return ""
    if isinstance(body, list) and body:
        body = cast("list[object]", body)[0]
    if not isinstance(body, Mapping):
        return ""
    fields = cast("Mapping[str, object]", body)
    inner = fields.get("error", fields)
    message = (
        cast("Mapping[str, object]", inner).get("message") if isinstance(inner, Mapping) else inner
    )
    return plain_line(mask(message), 300) if isinstance(message, str) else ""


def _root(error: BaseException, mask: Callable[[str], str]) -> str:
    root = _chain(error)[-1]
    name = type(root).__name__
    text = plain_line(mask(str(root)), 200)
    return f"{name}: {text}" if text else name


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what caused it, down to the first."""
    seen: list[BaseException] = [error]
    while (cause := _cause(seen[-1])) and cause not in seen:
        seen.append(cause)
    return seen


def _cause(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)
