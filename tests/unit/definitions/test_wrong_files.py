# ruff: noqa: SIM905  a list of words is read as words
"""Every wrong file is refused with a message that a newcomer can act on."""

import json
import time
from typing import Any

import pytest
from definition_samples import parse
from hypothesis import given, settings
from hypothesis import strategies as st
from wrong_files import WRONG

from amodal_rt.definitions.automation import Parsed


@pytest.mark.parametrize("name", WRONG)
def test_the_first_error_says_what_is_wrong_and_where(name: str) -> None:
    wrong = WRONG[name]

    parsed = parse(wrong.content, file=wrong.file)

    assert parsed.definition is None
    first = parsed.problems[0]
    assert (first.code, first.line, first.column) == (wrong.code, wrong.line, wrong.column)
    assert first.file == wrong.file
    assert first.severity == "error"
    assert wrong.says in first.message
    assert (wrong.hint or "") in (first.hint or "")


@pytest.mark.parametrize("name", WRONG)
def test_messages_are_one_short_line_without_python_or_secrets(name: str) -> None:
    for problem in parse(WRONG[name].content, file=WRONG[name].file).problems:
        told = f"{problem.message} {problem.hint}"
        assert "\n" not in told
        assert len(told) < 400
        assert problem.message.isprintable()
        assert "planted" not in told
        assert not any(word in told for word in ("dict", "NoneType", "pydantic", "Traceback"))


def test_the_table_is_long() -> None:
    assert len(WRONG) >= 200


def test_several_problems_come_in_the_order_of_the_file() -> None:
    text = '{"limits": {"maxTurns": 0},\n "timezone": "Mars",\n "catchUp": 1,\n "titel": "x"}'

    parsed = parse(text)

    assert [each.line for each in parsed.problems] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "keys",
    [
        {f"key{number}": 1 for number in range(15_000)},
        {"title": "T", "prompt": "x", "delivery": {"targets": ["reprots"] * 15_000}},
        {"metadata": {"a": [1] * 80_000}, "x": 1},
    ],
)
def test_a_file_with_thousands_of_mistakes_or_values_is_answered_soon(keys: dict[str, Any]) -> None:
    started = time.process_time()

    problems = parse(json.dumps(keys)).problems

    assert time.process_time() - started < 2
    assert len(problems) <= 51
    assert {each.code for each in problems[:50]} & {"unknown_key", "unknown_target"}


def test_a_missing_prompt_file_hides_no_other_problem() -> None:
    parsed = parse('{"title": "T",\n "promptFile": "gone.md",\n "schedule": "61 * * * *"}')

    assert [each.code for each in parsed.problems] == ["no_such_file", "bad_cron"]


def _is_refused_or_read(parsed: Parsed) -> None:
    errors = [each for each in parsed.problems if each.severity == "error"]
    assert (parsed.definition is None) == bool(errors)
    for problem in parsed.problems:
        assert problem.code
        assert problem.message
        assert len(problem.message) < 1000
        assert (problem.line or 1) >= 1
        assert (problem.column or 1) >= 1
    if parsed.definition is not None:
        json.loads(parsed.definition.document)


often = settings(max_examples=60, deadline=None)
YAML_BITS = st.sampled_from(
    "title: status: prompt: schedule: - & * ! | > { } [ ] , : # ' \" \\ % @ ` ~ ? << --- ... "
    "0x1F 0o17 017 1_000 1e5 .nan -_ 1e999 2026-01-01 yes null x \t \n\n".split(" ")
)


@often
@given(st.lists(YAML_BITS, max_size=12).map(" ".join), st.text(max_size=20))
def test_random_front_matter_never_raises(head: str, body: str) -> None:
    _is_refused_or_read(parse(_utf8(f"---\n{head}\n---\n{body}"), file="automations/x.md"))


@often
@given(st.text(max_size=200))
def test_random_legacy_markdown_never_raises(text: str) -> None:
    _is_refused_or_read(parse(_utf8(f"# T\n\n{text}\n## Check\n{text}"), file="automations/x.md"))


KEYS = st.sampled_from(
    "title name description metadata lookupKey prompt promptFile messages schedule timezone "
    "trigger triggers webhookAuth agent model temperature connections tools writeEnabled delivery "
    "failureAlert limits catchUp retry status type url secret header targets template cron every "
    "at startAt endAt role content when after cooldownMinutes concurrency maxTurns policy within "
    "attempts backoffSeconds write_enabled failure_alert $schema".split()
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(
        ["env:X", "0 9 * * *", "@daily", "15m", "999999999d", "2026-01-01", "0001-01-01", "webhook",
         "cron", "github", "user", "reports", "UTC", "https://x.example"]
    )
)  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)


@often
@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_random_values_never_raise(value: dict[str, Any]) -> None:
    _is_refused_or_read(parse(json.dumps(value)))
    _is_refused_or_read(parse(json.dumps({"title": "T", "prompt": "x", **value})))


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", errors="replace")
