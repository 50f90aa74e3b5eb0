"""What is said of a model that did not answer."""

from collections.abc import Callable

import pytest
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError, UnexpectedModelBehavior

from amodal_rt.executors.agent.failures import MisreadAnswerError, describe
from amodal_rt.guardrails.redaction import Redactor

SECRET = "canary-of-the-connection"


def _http(said: str) -> Exception:
    return ModelHTTPError(400, "m", {"error": {"message": said}})


FAILURES: dict[str, Callable[[str], Exception]] = {
    "a refusal": _http,
    "an unreadable answer": lambda said: MisreadAnswerError("m", said),
    "no answer": lambda said: ModelAPIError("m", said),
    "a misbehaving model": UnexpectedModelBehavior,
    "what nobody foresaw": RuntimeError,
}


@pytest.mark.parametrize("kind", FAILURES)
def test_half_a_secret_at_the_end_of_a_line_is_not_told(kind: str) -> None:
    mask = Redactor(lambda: [SECRET]).mask

    told = [describe(FAILURES[kind]("x" * before + SECRET), mask) for before in range(150, 400)]

    assert any("[secret]" in each for each in told)
    assert not any(SECRET[:4] in each for each in told)
