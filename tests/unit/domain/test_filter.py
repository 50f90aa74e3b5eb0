"""`filter` means what the payload filter of the system that it comes from means."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from amodal_rt.definitions.filtering import parse_filter
from amodal_rt.domain.filter import All, judge, passes
from amodal_rt.domain.filter import Any as AnyOf


def one(op: str, path: list[str], **more: Any) -> dict[str, Any]:
    return {"op": op, "path": path, **more}


X = one("eq", ["x"], value=1)
Y = one("eq", ["y"], value=2)
PASSES: list[tuple[Any, Any]] = [
    (X, {"x": 1}),
    (X, {"x": 1.0}),
    (one("eq", ["a", "b"], value="v"), {"a": {"b": "v"}}),
    (one("eq", ["a", "1", "b"], value="v"), {"a": [0, {"b": "v"}]}),
    (one("eq", ["0"], value="v"), ["v"]),
    (one("eq", ["0"], value="v"), {"0": "v"}),
    (one("eq", ["a.b"], value=1), {"a.b": 1}),
    (one("eq", ["x"], value=None), {"x": None}),
    (one("neq", ["x"], value=1), {"x": 2}),
    (one("neq", ["x"], value=1), {}),
    (one("neq", ["x"], value=1), {"x": True}),
    (one("neq", ["x"], value=1), None),
    (one("in", ["x"], values=["a", 2, None]), {"x": 2}),
    (one("in", ["x"], values=["a", None]), {"x": None}),
    (one("contains", ["x"], value="b"), {"x": "abc"}),
    (one("starts_with", ["x"], value="ab"), {"x": "abc"}),
    (one("ends_with", ["x"], value="bc"), {"x": "abc"}),
    (one("exists", ["x"]), {"x": None}),
    (one("exists", ["x"]), {"x": False}),
    (one("exists", ["x", "0"]), {"x": [None]}),
    (one("not_exists", ["x", "y"]), {"x": 1}),
    (one("not_exists", ["x", "y"]), {"x": None}),
    (one("not_exists", ["__class__"]), {"x": 1}),
    (one("not_exists", ["length"]), [1]),
    (one("not_exists", ["x", "-1"]), {"x": [1]}),
    (one("not_exists", ["x", "01"]), {"x": [1, 2]}),
    (one("not_exists", ["x", "²"]), {"x": [1, 2, 3]}),
    (one("not_exists", ["x", "9" * 30]), {"x": [1]}),
    (one("not_exists", ["x", "0"]), {"x": "text"}),
    ({"op": "and", "filters": [X, Y]}, {"x": 1, "y": 2}),
    ({"op": "all", "filters": [X]}, {"x": 1}),
    ({"op": "or", "filters": [X, Y]}, {"y": 2}),
    ({"op": "any", "filters": [X]}, {"x": 1}),
    ({"op": "not", "filter": X}, {}),
    ({"x": 1, "y": {"in": [2, 3]}}, {"x": 1, "y": 3}),
    ({"a.b": {"exists": True}, "c": {"exists": False}}, {"a": {"b": 0}}),
    ({"a": {"starts_with": "x", "ends_with": "z"}}, {"a": "xyz"}),
    ({"op": "push"}, {"op": "push"}),
    ({"op": {"in": ["push"]}}, {"op": "push"}),
]
STOPS: list[tuple[Any, Any]] = [
    (X, {"x": "1"}),
    (X, {"x": True}),
    (X, {"x": [1]}),
    (X, {}),
    (X, None),
    (X, [1]),
    (one("eq", ["x"], value=None), {}),
    (one("eq", ["x"], value=0), {"x": False}),
    (one("eq", ["a", "b"], value=1), {"a.b": 1}),
    (one("neq", ["x"], value=1), {"x": 1.0}),
    (one("in", ["x"], values=["1"]), {"x": 1}),
    (one("in", ["x"], values=[None]), {}),
    (one("in", ["x"], values=["a"]), {"x": ["a"]}),
    (one("contains", ["x"], value="B"), {"x": "abc"}),
    (one("contains", ["x"], value="a"), {"x": ["a"]}),
    (one("starts_with", ["x"], value="1"), {"x": 10}),
    (one("ends_with", ["x"], value="c"), {"x": None}),
    (one("exists", ["x"]), {}),
    (one("exists", ["x", "2"]), {"x": [1, 2]}),
    (one("not_exists", ["x"]), {"x": None}),
    ({"op": "and", "filters": [X, Y]}, {"x": 1}),
    ({"op": "or", "filters": [X, Y]}, {"x": 2, "y": 1}),
    ({"op": "not", "filter": X}, {"x": 1}),
    ({"x": 1, "y": 2}, {"x": 1, "y": 3}),
    ({"a": {"starts_with": "x", "ends_with": "z"}}, {"a": "xy"}),
]
REFUSED: list[Any] = [
    [],
    "x",
    True,
    {},
    {"x": {}},
    {"x": ["a"]},
    {"x": {"equals": 1}},
    {"x": {"in": "a"}},
    {"x": {"in": []}},
    {"x": {"eq": [1]}},
    {"x": {"exists": 1}},
    {"x": {"contains": 1}},
    {"a..b": 1},
    {"": 1},
    {"op": "and", "filters": []},
    {"op": "and", "filters": X},
    {"op": "and", "filters": [X], "path": ["x"]},
    {"op": "not", "filter": None},
    {"op": "not", "filters": [X]},
    {"op": "xor", "filters": [X]},
    {"op": "contains_tokens", "path": ["x"], "value": "a"},
    {"op": "eq", "path": "x.y", "value": 1},
    {"op": "eq", "path": [], "value": 1},
    {"op": "eq", "path": [""], "value": 1},
    {"op": "eq", "path": [0], "value": 1},
    {"op": "eq", "path": ["x"]},
    {"op": "eq", "path": ["x"], "value": {}},
    {"op": "eq", "path": ["x"], "values": [1]},
    {"op": "in", "path": ["x"], "value": 1},
    {"op": "in", "path": ["x"], "values": []},
    {"op": "in", "path": ["x"], "values": [[1]]},
    {"op": "starts_with", "path": ["x"], "value": 1},
    {"op": "exists", "path": ["x"], "value": True},
]


@pytest.mark.parametrize(("filter", "data"), PASSES)
def test_these_pass(filter: Any, data: Any) -> None:
    assert _judged(filter, data) is True


@pytest.mark.parametrize(("filter", "data"), STOPS)
def test_these_are_stopped(filter: Any, data: Any) -> None:
    assert _judged(filter, data) is False


@pytest.mark.parametrize("filter", REFUSED)
def test_what_is_no_filter_is_refused_when_the_file_is_read(filter: Any) -> None:
    with pytest.raises(PydanticCustomError) as error:
        parse_filter(filter)

    assert (error.value.context or {})["code"] == "bad_filter"


@pytest.mark.parametrize("op", ["not", "and"])
def test_a_filter_without_end_is_refused(op: str) -> None:
    deep: dict[str, Any] = X
    for _ in range(40):
        deep = {"op": op, "filter": deep} if op == "not" else {"op": op, "filters": [deep]}

    with pytest.raises(PydanticCustomError, match="levels"):
        parse_filter(deep)
    with pytest.raises(PydanticCustomError, match="rules"):
        parse_filter({"op": "or", "filters": [X] * 201})


def test_the_rule_that_decided_is_told_with_what_was_found() -> None:
    found = parse_filter({"op": "and", "filters": [X, one("in", ["y"], values=["a", "b"])]})
    assert found is not None

    assert judge(found, {"x": 1, "y": "c"}).rule == 'y in "a" "b"; it is "c"'
    assert judge(found, {"x": 1}).rule == 'y in "a" "b"; it is not there'
    assert "x eq 1" in judge(found, {"x": 1, "y": "a"}).rule


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "ab", "1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["x", "y", "0", "1"]), inner, max_size=3)
    ),
    max_leaves=6,
)
PATHS = st.lists(st.sampled_from(["x", "y", "0", "1", "-1"]), min_size=1, max_size=3)
SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "ab"])
RULES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(lambda op, p, v: one(op, p, value=v), st.sampled_from(["eq", "neq"]), PATHS, SCALARS),
    st.builds(lambda p, v: one("in", p, values=v), PATHS, st.lists(SCALARS, min_size=1)),
    st.builds(one, st.sampled_from(["exists", "not_exists"]), PATHS),
)
FILTERS = st.recursive(
    RULES,
    lambda inner: (
        st.builds(
            lambda op, parts: {"op": op, "filters": parts},
            st.sampled_from(["and", "or"]),
            st.lists(inner, min_size=1, max_size=3),
        )
        | inner.map(lambda part: {"op": "not", "filter": part})
    ),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(FILTERS, JSON)
def test_any_data_gets_one_verdict_and_the_words_agree_with_it(filter: Any, data: Any) -> None:
    assert _judged(filter, data) is not _judged({"op": "not", "filter": filter}, data)


@settings(max_examples=100, deadline=None)
@given(st.lists(FILTERS, min_size=1, max_size=3), JSON)
def test_and_is_all_and_or_is_any(parts: list[Any], data: Any) -> None:
    single = [_judged(each, data) for each in parts]

    assert _judged({"op": "and", "filters": parts}, data) is all(single)
    assert _judged({"op": "or", "filters": parts}, data) is any(single)


def test_all_of_nothing_holds_and_any_of_nothing_does_not() -> None:
    assert passes(All(()), {})
    assert not passes(AnyOf(()), {})


def _judged(filter: Any, data: Any) -> bool:
    parsed = parse_filter(filter)
    assert parsed is not None
    verdict = judge(parsed, data)
    assert verdict.rule
    assert verdict.passes is passes(parsed, data)
    return verdict.passes
