"""`params` means what the documented platform's event triggers mean by it."""

from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from amodal_rt.definitions.filtering import parse_params
from amodal_rt.domain.params import mismatch

MATCHES: list[tuple[Any, Any]] = [
    (None, {"a": 1}),
    ({}, {"a": 1}),
    ({}, None),
    ({}, [1]),
    ({"a": "x"}, {"a": "x", "b": "ignored"}),
    ({"a": 1}, {"a": 1.0}),
    ({"a": None}, {"a": None}),
    ({"a": False}, {"a": False}),
    ({"a": "x"}, {"a": ["w", "x"]}),
    ({"a": {"op": "eq", "value": "x"}}, {"a": "x"}),
    ({"a": {"op": "eq", "value": "x"}}, {"a": ["x"]}),
    ({"a": {"op": "contains", "value": "BUG"}}, {"a": "a debugger"}),
    ({"a": {"op": "contains", "value": "bug"}}, {"a": ["x", 3, "BUGS"]}),
    ({"a": {"op": "contains", "value": ""}}, {"a": ""}),
    ({"a": {"op": "in", "value": ["x", 2]}}, {"a": 2}),
    ({"a": {"op": "in", "value": ["x", "y"]}}, {"a": ["q", "y"]}),
    ({"a": "x", "b": 2}, {"a": "x", "b": 2}),
    ({"a.b": 1}, {"a.b": 1}),
]
MISSES: list[tuple[Any, Any]] = [
    ({"a": "x"}, None),
    ({"a": "x"}, "x"),
    ({"a": "x"}, ["x"]),
    ({"a": "x"}, {}),
    ({"a": None}, {}),
    ({"a": "x"}, {"a": "X"}),
    ({"a": "1"}, {"a": 1}),
    ({"a": 1}, {"a": True}),
    ({"a": 0}, {"a": False}),
    ({"a": "x"}, {"a": []}),
    ({"a": "x"}, {"a": [["x"]]}),
    ({"a": "x"}, {"a": {"x": "x"}}),
    ({"a.b": 1}, {"a": {"b": 1}}),
    ({"a": {"op": "contains", "value": "1"}}, {"a": 1}),
    ({"a": {"op": "contains", "value": "x"}}, {"a": {"x": "x"}}),
    ({"a": {"op": "in", "value": []}}, {"a": None}),
    ({"a": {"op": "in", "value": ["1"]}}, {"a": [1, True]}),
    ({"a": "x", "b": 2}, {"a": "x", "b": 3}),
]
REFUSED: list[Any] = [
    [],
    "x",
    7,
    {"a": ["x"]},
    {"a": {}},
    {"a": {"value": 1}},
    {"a": {"op": "eq"}},
    {"a": {"op": "regex", "value": "x"}},
    {"a": {"op": ["eq"], "value": "x"}},
    {"a": {"op": "eq", "value": [1]}},
    {"a": {"op": "eq", "value": {}}},
    {"a": {"op": "eq", "value": 1, "also": 2}},
    {"a": {"op": "in", "value": "x"}},
    {"a": {"op": "in", "value": [[1]]}},
    {"a": {"op": "contains", "value": 1}},
]


@pytest.mark.parametrize(("params", "data"), MATCHES)
def test_these_match(params: Any, data: Any) -> None:
    assert mismatch(parse_params(params), data) is None


@pytest.mark.parametrize(("params", "data"), MISSES)
def test_these_do_not(params: Any, data: Any) -> None:
    assert mismatch(parse_params(params), data)


@pytest.mark.parametrize("params", REFUSED)
def test_what_could_never_match_is_refused_when_the_file_is_read(params: Any) -> None:
    with pytest.raises(PydanticCustomError) as error:
        parse_params(params)

    assert (error.value.context or {})["code"] == "bad_params"


def test_the_first_key_that_fails_is_named() -> None:
    params = parse_params({"a": 1, "b": {"op": "contains", "value": "x"}})

    assert mismatch(params, {"a": 1, "b": "y"}) == 'params.b contains "x"; it is "y"'
    assert mismatch(params, {"a": 1}) == 'params.b contains "x"; it is not there'
    assert mismatch(params, []) == "params: the data is no object"
