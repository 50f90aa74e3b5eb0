"""Patterns of JSON Schema, whose time is bounded by their text."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from amodal_rt.definitions.event_type import parse_event_type
from amodal_rt.definitions.json_patterns import SteadyValidator, pattern_fault

ALMOST = "a" * 5_000 + "!"
SLOW = "^(a+)+$"
"""Python's own expressions need longer for `ALMOST` than anybody lives."""


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"pattern": SLOW}, ALMOST),
        ({"patternProperties": {SLOW: False}, "additionalProperties": False}, {ALMOST: 1}),
        ({"propertyNames": {"pattern": SLOW}}, {ALMOST: 1}),
    ],
)
def test_a_pattern_that_could_take_for_ever_answers(schema: object, value: object) -> None:
    assert not SteadyValidator(schema).is_valid(value)


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "^[a-z]+$"},
        {"pattern": "\\d"},
        {"patternProperties": {"^x-": {"type": "integer"}}},
        {"patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": False},
        {"properties": {"a": {}}, "additionalProperties": {"type": "integer"}},
        {"properties": {"a": {}}, "additionalProperties": False},
        {"additionalProperties": True},
    ],
)
@pytest.mark.parametrize("value", ["abc", "a1", "", 5, {"x-a": 1}, {"x-a": "b"}, {"a": "b"}, {}])
def test_what_fits_is_what_fits_everywhere(schema: Any, value: Any) -> None:
    steady, usual = (
        [(each.validator, *each.absolute_path) for each in kind(schema).iter_errors(value)]
        for kind in (SteadyValidator, Draft202012Validator)
    )

    assert steady == usual


def test_half_a_character_does_not_make_a_text_misfit() -> None:
    assert SteadyValidator({"pattern": "^a"}).is_valid("a\ud800")


@pytest.mark.parametrize(
    ("pattern", "told"), [("(?!a)b", "look-ahead"), ("(a)\\1", "backreferences"), ("^a+$", None)]
)
def test_a_pattern_that_needs_more_than_one_look_is_none(pattern: str, told: str | None) -> None:
    fault = pattern_fault(pattern)

    assert fault is None if told is None else told in (fault or "")


@pytest.mark.parametrize("schema", [{"pattern": "(?!a)b"}, {"patternProperties": {"(?!a)b": {}}}])
def test_such_a_schema_is_wrong_in_a_file(schema: dict[str, object]) -> None:
    text = json.dumps({"description": "x", "schema": {"anyOf": [schema]}}).encode()

    found, problems = parse_event_type(text, file="events/deploy.json")

    assert found is None
    assert [each.code for each in problems] == ["bad_schema"]
    assert "look-ahead" in problems[0].message
