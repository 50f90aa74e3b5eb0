"""The client is in step with the OpenAPI document: paths, parameters, bodies, objects."""

import inspect
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from amodal_rt.api import objects, routes
from amodal_rt.api.automations import AutomationsApi
from amodal_rt.api.client import ApiClient
from amodal_rt.api.runs import RunsApi
from amodal_rt.api.transport import Call
from amodal_rt.clock import SystemClock
from amodal_rt.ids import SystemIds
from amodal_rt.servers.api.automations import PREFIXES, ManagementApi
from amodal_rt.servers.api.openapi import openapi, openapi_route
from amodal_rt.servers.api.public import PublicApi
from amodal_rt.servers.api.runs import RunDoor

MANAGED = PREFIXES[0]
ELSEWHERE = {
    f"PUT {MANAGED}/{{automation}}": "PATCH does the same",
    f"GET {MANAGED}/runs/{{run}}": "/api/v1/automation_runs/{run} is the same run",
    f"GET {MANAGED}/runs/{{run}}/journal": "/api/v1/automation_runs/{run}/journal is the same",
    f"GET {MANAGED}/runs/{{run}}/stream": "/api/v1/automation_runs/{run}/stream is the same",
}
"""Operations that the client reaches by another path."""
FREE_FORM = {"fields"}
"""Parameters that are a body of their own, whose keys its typed dictionary names."""


class Nothing:
    """Has every verb: only the routes are asked for."""

    def __getattr__(self, name: str) -> None:
        return None


class Recorder:
    """Carries no call and remembers the last."""

    call: Call | None = None

    async def ask(self, call: Call) -> object:
        self.call = call
        return {"data": [], "has_more": False, "before_cursor": None, "after_cursor": None}


def document() -> dict[str, Any]:
    nothing: Any = Nothing()
    runs = RunDoor(nothing, nothing)
    made = [
        *PublicApi(nothing, nothing, nothing, runs, nothing, nothing).routes(),
        *ManagementApi(nothing, nothing, nothing, nothing, runs).routes(),
    ]
    return openapi([*made, openapi_route(made)])


DOCUMENT = document()
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
OPERATIONS: dict[str, Any] = {
    f"{method.upper()} {path}": operation
    for path, each in DOCUMENT["paths"].items()
    if not path.startswith(PREFIXES[1])
    for method, operation in each.items()
}


def methods(recorder: Recorder) -> dict[str, Any]:
    """The client's methods by what they ask; those that stream are compared by their routes."""
    automations, runs = AutomationsApi(recorder), RunsApi(recorder)
    client = ApiClient("http://127.0.0.1", "t", clock=SystemClock(), ids=SystemIds(SystemClock()))
    client._transport = recorder  # pyright: ignore[reportAttributeAccessIssue]
    return {
        f"{routes.INVOKE.method} {routes.INVOKE.path}": client.invoke,
        f"GET {routes.RUN.path}": runs.get,
        f"GET {routes.JOURNAL.path}": runs.journal,
        f"GET {routes.STREAM.path}": None,
        f"GET {routes.SPEND.path}": client.spend,
        f"GET {routes.OPENAPI.path}": client.openapi,
        f"GET {routes.AUTOMATIONS.path}": automations.list,
        f"POST {routes.CREATE.path}": automations.create,
        f"GET {routes.EVENT_NAMES.path}": automations.event_names,
        f"GET {routes.RUNS.path}": runs.list,
        f"GET {routes.AUTOMATION.path}": automations.get,
        f"PATCH {routes.UPDATE.path}": automations.update,
        f"DELETE {routes.DELETE.path}": automations.delete,
        f"POST {routes.ACTIVATE.path}": automations.activate,
        f"POST {routes.PAUSE.path}": automations.pause,
        f"GET {routes.RUNS_OF.path}": automations.runs,
    }


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema itself, where it is a reference."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return SCHEMAS[name] if name else schema


def test_every_operation_has_a_method_and_every_method_an_operation() -> None:
    ours = methods(Recorder())

    assert OPERATIONS.keys() - ELSEWHERE.keys() == ours.keys()
    assert OPERATIONS.keys() >= ELSEWHERE.keys()


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - ELSEWHERE.keys()))
async def test_a_method_asks_its_operation_with_every_parameter(name: str) -> None:
    operation, recorder = OPERATIONS[name], Recorder()
    method = methods(recorder)[name]
    in_path = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
    in_query = {each["name"] for each in operation["parameters"] if each["in"] == "query"}
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    keys = set(resolved(body.get("schema", {})).get("properties", {}))
    if method is None:
        assert not in_query
        assert not keys
        return
    taken = set(inspect.signature(method).parameters)
    given: dict[str, Any] = {each: {"x": 1} if each in FREE_FORM else "1" for each in taken}

    await method(**given)

    call = recorder.call
    assert call is not None
    assert f"{call.method} {call.path}" == name
    assert set(call.parts) == in_path
    assert set(call.query or {}) == in_query
    if not taken & FREE_FORM:
        assert set(typing.cast("Mapping[str, Any]", call.body or {})) == keys
    assert taken - FREE_FORM == (in_path - {"app"}) | in_query | (
        set() if taken & FREE_FORM else keys
    )


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_schema_is_a_typed_dictionary_with_its_keys(name: str) -> None:
    schema, ours = SCHEMAS[name], getattr(objects, name, None)

    assert ours is not None, f"amodal_rt.api.objects has no {name}"
    assert differences(ours, schema) == []


def differences(ours: Any, schema: Mapping[str, Any], where: str = "") -> list[str]:
    """Where a typed dictionary and a schema do not say the same."""
    if not is_typeddict(ours):
        return [f"{where}: {ours} is no typed dictionary"]
    required, properties = set(schema.get("required", ())), schema["properties"]
    found = [
        f"{where}: {word} {sorted(a ^ b)}"
        for word, a, b in (
            ("required", required, set(ours.__required_keys__)),
            ("optional", set(properties) - required, set(ours.__optional_keys__)),
        )
        if a != b
    ]
    hints = get_type_hints(ours)
    for key in properties.keys() & hints.keys():
        found += unlike(hints[key], properties[key], f"{where}.{key}")
    return found


def unlike(hint: Any, schema: Mapping[str, Any], where: str) -> list[str]:
    """The same of one key."""
    parts = get_args(hint) if get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    nullable = type(None) in parts
    plain = [each for each in parts if each is not type(None)]
    told = schema.get("oneOf")
    kinds = schema.get("type")
    null = {"type": "null"} in told if told else "null" in listed(kinds)
    wrong = [] if null == nullable else [f"{where}: null is {null}, not {nullable}"]
    if told:
        (schema,) = [each for each in told if each != {"type": "null"}]
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return wrong + ([] if plain == [getattr(objects, name)] else [f"{where}: is no {name}"])
    if "enum" in schema:
        said = {value for each in plain for value in get_args(each)}
        enum = get_origin(plain[0]) is Literal and said == set(schema["enum"])
        return wrong + ([] if enum else [f"{where}: {sorted(schema['enum'])}"])
    if "properties" in schema:
        return wrong + differences(plain[0], schema, where)
    if schema.get("type") == "array":
        (item,) = get_args(plain[0])
        return wrong + unlike(item, schema["items"], f"{where}[]")
    names = {kind(each) for each in plain}
    wanted = set(listed(schema.get("type"))) - {"null"}
    return wrong + ([] if names == wanted else [f"{where}: {wanted}, not {names}"])


def listed(given: Any) -> list[str]:
    return given if isinstance(given, list) else [given] if given else []


def kind(hint: Any) -> str:
    """The word of JSON Schema for a type."""
    plain = get_origin(hint) or hint
    words = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object"}
    return words[plain]


def test_a_key_that_is_missing_or_of_another_type_is_noticed() -> None:
    """Guards the tests above: a comparison that finds nothing would pass for ever."""
    run = {**SCHEMAS["AutomationRun"]}
    more = {**run, "properties": {**run["properties"], "cost": {"type": "integer"}}}
    other = {**run, "properties": {**run["properties"], "user": {"type": "string"}}}
    word = {**run, "properties": {**run["properties"], "status": {"enum": ["pending", "over"]}}}

    assert differences(objects.AutomationRun, run) == []
    assert differences(objects.AutomationRun, more) == [": optional ['cost']"]
    assert differences(objects.AutomationRun, other) == [".user: null is False, not True"]
    assert differences(objects.AutomationRun, word) == [".status: ['over', 'pending']"]
