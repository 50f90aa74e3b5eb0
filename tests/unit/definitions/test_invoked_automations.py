"""Keys of automations that programs invoke, and what their schema lets in."""

import json
import time
from typing import Any

import pytest
from definition_samples import automation, parse

from amodal_rt.definitions import payload_schema
from amodal_rt.definitions.payload_schema import (
    TOO_LONG,
    payload_misfit,
)
from amodal_rt.domain.invocation import (
    Invocation,
    InvokeAuth,
    LockedError,
    same_json,
    with_prefills,
)

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": "^[a-z]+$"}, "n": {"$ref": "#/$defs/n"}},
    "required": ["name"],
    "$defs": {"n": {"type": "integer", "minimum": 1}},
}


def test_the_keys_are_read_and_absent_without_one() -> None:
    assert automation().invocation is None
    found = automation(
        inputSchema=SCHEMA, prefills={"payload": {"team": "ops"}}, invoke_auth="secret_key"
    )
    assert found.invocation == Invocation(
        schema=SCHEMA, prefills={"team": "ops"}, auth=InvokeAuth.SECRET_KEY
    )
    assert automation(prefills={}).invocation == Invocation()


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no schema": ({"inputSchema": {"type": "objekt"}}, "bad_schema", "objekt"),
    "outside": ({"inputSchema": {"$ref": "https://x.example/s"}}, "bad_schema", "stay inside"),
    "nowhere": ({"inputSchema": {"$ref": "#/$defs/x"}}, "bad_schema", "leads nowhere"),
    "draft": ({"inputSchema": {"$schema": "http://json-schema.org/draft-07/schema#"}},
              "bad_schema", "2020-12"),
    "look-ahead": ({"inputSchema": {"pattern": "(?=a)a"}}, "bad_schema", "look-ahead"),
    "deep in it": ({"inputSchema": {"properties": {"a": {"items": {"pattern": r"(a)\1"}}}}},
                   "bad_schema", "backreferences"),
    "by pattern": ({"inputSchema": {"patternProperties": {"(?=a)a": {}}}},
                   "bad_schema", "look-ahead"),
    "a text": ({"inputSchema": "person"}, "wrong_type", "inputSchema must be an object"),
    "who": ({"invokeAuth": "anybody"}, "wrong_value", "secret_key"),
    "prefilled": ({"prefills": {"paylod": {}}}, "unknown_key", "payload"),
    "participants": ({"prefills": {"participants": {}}}, "not_yet", "participants"),
}  # fmt: skip


@pytest.mark.parametrize(("keys", "code", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_judge_strangers_is_refused(keys: dict[str, Any], code: str, said: str) -> None:
    parsed = parse(json.dumps({"title": "x", "prompt": "y", **keys}, indent=1))
    assert parsed.definition is None
    assert parsed.problems[0].code == code
    assert said in parsed.problems[0].sentence()
    assert parsed.problems[0].line is not None


FITS: dict[str, tuple[object, str | None]] = {
    "fits": ({"name": "ada", "n": 1}, None),
    "missing": ({}, "'name' is a required property"),
    "pattern": ({"name": "Ada"}, "'Ada' does not match '^[a-z]+$'"),
    "reference": ({"name": "ada", "n": 0}, "0 is less than the minimum of 1"),
    "type": ([], "[] is not of type 'object'"),
}


@pytest.mark.parametrize(("value", "said"), FITS.values(), ids=FITS.keys())
def test_a_payload_is_judged(value: object, said: str | None) -> None:
    found = payload_misfit(value, SCHEMA)
    assert (found[0] if found else None) == said


def test_equal_items_are_told_from_alike_ones() -> None:
    unique = {"uniqueItems": True}
    assert payload_misfit([1, "1", True, [1], {"a": 1}, {"a": 2}], unique) is None
    for twice in ([1, 1.0], [{"a": 1, "b": 2}, {"b": 2.0, "a": 1}], [None, None]):
        assert payload_misfit(twice, unique) is not None


def _doubling(depth: int) -> dict[str, Any]:
    twice = {
        f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]}
        for n in range(depth)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**twice, f"d{depth}": {"type": "integer"}}}


HOSTILE: dict[str, tuple[dict[str, Any], object, str | None]] = {
    "a pattern": ({"pattern": "^(a+)+$"}, "a" * 5_000 + "!", "does not match"),
    "names": (
        {"patternProperties": {f"^{n}(a+)+$": {} for n in range(100)}},
        {f"{n}": n for n in range(20_000)},
        TOO_LONG,
    ),
    "references": (_doubling(40), 1, TOO_LONG),
    "items": (
        {"items": {"anyOf": [{"const": n} for n in range(2_000)]}},
        ["x"] * 2_000,
        TOO_LONG,
    ),
    "itself": ({"$ref": "#"}, 1, "refers to itself without end"),
    "many": ({"uniqueItems": True}, [{"a": n} for n in range(20_000)], None),
}


@pytest.mark.parametrize(("schema", "value", "said"), HOSTILE.values(), ids=HOSTILE.keys())
def test_no_payload_takes_for_ever(
    schema: dict[str, Any], value: object, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A tenth of the budget: what it buys grows with it.
    monkeypatch.setattr(payload_schema, "MOST_CHECKS", payload_schema.MOST_CHECKS // 10)
    begun = time.thread_time()
    found = payload_misfit(value, schema)
    assert time.thread_time() - begun < 3
    assert (found is None) is (said is None)
    assert said is None or (found is not None and said in found[0])


def test_prefills_are_joined_and_locked() -> None:
    locked = {"team": {"id": 1}, "kind": "bug"}
    assert with_prefills({"team": {"name": "x"}}, locked) == {
        "team": {"name": "x", "id": 1},
        "kind": "bug",
    }
    assert with_prefills({"kind": "bug"}, locked) == {"kind": "bug", "team": {"id": 1}}
    for given, path in (
        ({"kind": "feature"}, "kind"),
        ({"team": {"id": True}}, "team.id"),
        ({"team": None}, "team"),
        ([], ""),
    ):
        with pytest.raises(LockedError) as caught:
            with_prefills(given, locked)
        assert str(caught.value) == path
    assert with_prefills([], {}) == []


def test_json_values_are_the_same_whatever_the_order_of_their_keys() -> None:
    assert same_json({"a": 1, "b": [None]}, {"b": [None], "a": 1})
    assert not same_json(1, True)
    assert not same_json([1, 2], [2, 1])
