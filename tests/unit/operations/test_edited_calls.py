"""What of a parked call a form lets a person edit, and what it holds."""

from typing import Any

import pytest

from amodal_rt.errors import InvalidError
from amodal_rt.operations.edited_calls import free, held, joined

REQUEST: dict[str, Any] = {
    "connection": "crm", "method": "POST", "endpoint": "/deals",
    "data": {"to": {"id": 7, "name": "a"}, "text": "x"}, "params": {"dry": "1"},
}  # fmt: skip
TOOL: dict[str, Any] = {"connection": "chat", "tool": "post", "arguments": {"to": "c", "text": "x"}}
PIN = {("data", "to", "id"): "a.json:3", ("params", "dry"): "a.json:3"}


def test_a_pinned_field_and_what_makes_it_this_call_are_held() -> None:
    assert free(REQUEST, PIN) == {
        "method": "POST", "endpoint": "/deals", "data": {"to": {"name": "a"}, "text": "x"},
        "params": {},
    }  # fmt: skip
    assert [(each.name, each.value) for each in held(REQUEST, PIN)] == [
        ("connection", "crm"), ("data.to.id", 7), ("params.dry", "1"),
    ]  # fmt: skip
    assert free(TOOL, {("arguments", "to"): "a.json:3"}) == {"arguments": {"text": "x"}}
    assert [each.name for each in held(TOOL, {})] == ["connection", "tool"]


@pytest.mark.parametrize("call", [REQUEST, TOOL])
def test_what_nobody_touched_is_what_it_was(call: dict[str, Any]) -> None:
    pins = PIN | {("arguments", "to"): "a.json:3"}

    assert joined(call, pins, free(call, pins)) == call
    assert free(call, pins) != call


def test_what_is_held_comes_back_where_its_place_was_taken_away() -> None:
    whole = joined(REQUEST, PIN, {"method": "PUT", "endpoint": "/x"})

    assert whole["data"] == {"to": {"id": 7}}
    assert (whole["method"], whole["params"]) == ("PUT", {"dry": "1"})


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"connection": "crm"}, "connection"),
        ({"tool": "delete"}, "tool"),
        ({"data": {"to": {"id": 7}}}, "data.to.id"),
        ({"data": {"to": {"id": None}}}, "data.to.id"),
        ({"data": "to=1"}, "data.to.id"),
        ({"data": {"to": [1]}}, "data.to.id"),
    ],
)
def test_what_is_held_cannot_be_said_otherwise(given: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidError) as refused:
        joined(REQUEST, PIN, {"endpoint": "/deals", **given})

    assert refused.value.code == "field_held"
    assert refused.value.message.startswith(f"{name} stays as it is")


def test_a_pin_inside_a_list_is_left_to_whoever_judges_the_call() -> None:
    call = {"connection": "crm", "data": {"to": ["a", "b"]}}
    pins = {("data", "to", "0"): "a.json:3"}

    assert free(call, pins) == {"data": {"to": ["a", "b"]}}
    assert joined(call, pins, free(call, pins)) == call
