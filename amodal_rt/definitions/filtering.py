"""`filter` and `params` as files spell them, in full and in short form.

In full: `{"op": "and", "filters": […]}`, with rules such as
`{"op": "eq", "path": ["issue", "draft"], "value": false}`.
In short: `{"issue.draft": false, "action": {"in": ["opened", "reopened"]}}`: all must hold.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, cast

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from amodal_rt.definitions.shapes import complaint
from amodal_rt.definitions.words import nearest, shown, type_name
from amodal_rt.domain import filter as algebra
from amodal_rt.domain.filter import Filter, Rule, Scalar, Test
from amodal_rt.domain.params import Param, ParamTest

_JOINS = {"and": algebra.All, "all": algebra.All, "or": algebra.Any, "any": algebra.Any}
_TESTS = {each.value: each for each in Test}
TESTS = frozenset(_TESTS)
"""The words of comparison."""
_TEXTS = {Test.CONTAINS, Test.STARTS_WITH, Test.ENDS_WITH}
_OPS = sorted({*_JOINS, "not", *_TESTS})
_DEEPEST = 16
_MOST = 200


def parse_filter(given: object) -> Filter | None:
    """The filter, or None for null. Raises a complaint (`bad_filter`) that says where."""
    if given is None:
        return None
    left = [_MOST]
    return _parse(given, "", 0, left)


def parse_params(given: object) -> tuple[Param, ...]:
    """Each key with what is asked of it. Raises a complaint (`bad_params`)."""
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        message = f"must be an object, not {type_name(given)}"
        raise complaint("bad_params", message, 'for example {"action": "opened"}')
    fields = cast("Mapping[str, object]", given)
    return tuple(_param(key, value) for key, value in fields.items())


def _param(key: str, value: object) -> Param:
    if _is_scalar(value):
        return Param(key, ParamTest.EQ, (cast("Scalar", value),))
    hint = '"text", or {"op": "eq" | "contains" | "in", "value": …}'
    if not isinstance(value, Mapping):
        raise complaint("bad_params", f"{key}: must be a scalar or an object with op", hint)
    fields = cast("Mapping[str, object]", value)
    op, wanted = fields.get("op"), fields.get("value")
    if op not in tuple(ParamTest) or fields.keys() - {"op", "value"} or "value" not in fields:
        raise complaint("bad_params", f"{key}: {shown(fields)} is no comparison", hint)
    test = ParamTest(cast("str", op))
    values = wanted if test is ParamTest.IN else [wanted]
    if not isinstance(values, list):
        raise complaint("bad_params", f"{key}: in needs a list as its value", hint)
    listed = cast("list[object]", values)
    if not all(map(_is_scalar, listed)):
        raise complaint("bad_params", f"{key}: only texts, numbers, true, false and null", hint)
    if test is ParamTest.CONTAINS and not isinstance(wanted, str):
        raise complaint("bad_params", f"{key}: contains needs a text", hint)
    return Param(key, test, tuple(cast("list[Scalar]", listed)))


def _parse(given: object, where: str, depth: int, left: list[int]) -> Filter:
    left[0] -= 1
    if depth > _DEEPEST or left[0] < 0:
        raise _wrong(where, f"more than {_DEEPEST} levels or {_MOST} rules")
    if not isinstance(given, Mapping):
        raise _wrong(where, f"must be an object, not {type_name(given)}")
    fields = cast("Mapping[str, object]", given)
    op = fields.get("op")
    if "op" not in fields or not isinstance(op, str) or not (fields.keys() & _ARGUMENTS):
        return _short(fields, where, left)
    if op in _JOINS:
        _only(fields, {"op", "filters"}, where)
        inner = fields.get("filters")
        if not isinstance(inner, list) or not inner:
            raise _wrong(where, f"{op} needs filters, a list of at least one")
        parts = cast("list[object]", inner)
        return _JOINS[op](
            tuple(
                _parse(each, f"{where}.filters[{place}]", depth + 1, left)
                for place, each in enumerate(parts)
            )
        )
    if op == "not":
        _only(fields, {"op", "filter"}, where)
        return algebra.Not(_parse(fields.get("filter"), f"{where}.filter", depth + 1, left))
    test = _TESTS.get(op)
    if test is None:
        near = nearest(op, _OPS)
        raise _wrong(where, f"{shown(op)} is no op", f'did you mean "{near}"?' if near else None)
    return _rule(test, fields, where)


_ARGUMENTS = {"filters", "filter", "path", "value", "values"}


def _rule(test: Test, fields: Mapping[str, object], where: str) -> Rule:
    argument = {Test.IN: "values", Test.EXISTS: "", Test.NOT_EXISTS: ""}.get(test, "value")
    _only(fields, {"op", "path", argument} - {""}, where)
    path = fields.get("path")
    parts = cast("list[object]", path) if isinstance(path, list) else []
    if not parts or not all(isinstance(each, str) and each for each in parts):
        hint = 'a list of keys, as in ["issue", "draft"]'
        raise _wrong(where, "path must be a list of texts, none of them empty", hint)
    keys = tuple(cast("list[str]", parts))
    if not argument:
        return Rule(keys, test)
    if argument not in fields:
        raise _wrong(where, f"{test} needs {argument}")
    return Rule(keys, test, _values(test, fields[argument], where))


def _short(fields: Mapping[str, object], where: str, left: list[int]) -> Filter:
    if not fields:
        raise _wrong(where, "must say at least one thing")
    rules = [rule for name, value in fields.items() for rule in _short_rules(name, value, where)]
    left[0] -= len(rules)
    if left[0] < 0:
        raise _wrong(where, f"more than {_MOST} rules")
    return rules[0] if len(rules) == 1 else algebra.All(tuple(rules))


def _short_rules(name: str, value: object, where: str) -> Sequence[Rule]:
    path = tuple(name.split("."))
    if not all(path):
        raise _wrong(where, f"{shown(name)} is no path", 'keys joined by dots, as in "issue.draft"')
    if _is_scalar(value):
        return (Rule(path, Test.EQ, (cast("Scalar", value),)),)
    if isinstance(value, list):
        raise _wrong(where, f"{name}: a list means nothing here", 'write {"in": […]}')
    tests = cast("Mapping[str, object]", value)
    if not tests:
        raise _wrong(where, f"{name}: must say at least one thing")
    return [_short_rule(path, name, op, wanted, where) for op, wanted in tests.items()]


def _short_rule(path: tuple[str, ...], name: str, op: str, wanted: object, where: str) -> Rule:
    test = _TESTS.get(op)
    if test is None:
        near = nearest(op, sorted(_TESTS))
        hint = f'did you mean "{near}"?' if near else f"one of {', '.join(sorted(_TESTS))}"
        raise _wrong(where, f"{name}: {shown(op)} is no comparison", hint)
    if test in (Test.EXISTS, Test.NOT_EXISTS):
        if not isinstance(wanted, bool):
            raise _wrong(where, f"{name}: {op} needs true or false")
        opposite = Test.NOT_EXISTS if test is Test.EXISTS else Test.EXISTS
        return Rule(path, test if wanted else opposite)
    return Rule(path, test, _values(test, wanted, f"{where}.{name}"))


def _values(test: Test, given: object, where: str) -> tuple[Scalar, ...]:
    listed = given if test is Test.IN else [given]
    if not isinstance(listed, list) or not listed:
        raise _wrong(where, f"{test} needs a list of at least one value")
    values = cast("list[object]", listed)
    if not all(map(_is_scalar, values)):
        raise _wrong(where, f"{test} compares with texts, numbers, true, false and null alone")
    if test in _TEXTS and not all(isinstance(each, str) for each in values):
        raise _wrong(where, f"{test} needs a text")
    return tuple(cast("list[Scalar]", values))


def _only(fields: Mapping[str, object], known: set[str], where: str) -> None:
    for name in fields:
        if name not in known:
            near = nearest(name, sorted(known))
            hint = f'did you mean "{near}"?' if near else f"it has {', '.join(sorted(known))}"
            raise _wrong(where, f"{shown(name)} is no key of {fields.get('op')}", hint)


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _wrong(where: str, message: str, hint: str | None = None) -> Exception:
    place = where.lstrip(".")
    return complaint("bad_filter", f"{place}: {message}" if place else message, hint)


FilterField = Annotated[
    Filter | None, BeforeValidator(parse_filter), WithJsonSchema({"type": ["object", "null"]})
]
"""A filter in a file."""


def _of_result(found: Filter | None) -> Filter | None:
    for path in _paths(found):
        if path[0] not in ("result", "data") or (path[0] == "result" and len(path) > 1):
            place = algebra.shown_path(path)
            inner = place.removeprefix("result.")
            message = f"{place} is never there: the filter looks at result, a text, and at data"
            raise complaint("bad_filter", message, f'did you mean "data.{inner}"?')
    return found


def _paths(found: Filter | None) -> Iterator[algebra.Path]:
    match found:
        case None:
            return
        case Rule():
            yield found.path
        case algebra.Not():
            yield from _paths(found.filter)
        case algebra.All() | algebra.Any():
            for each in found.filters:
                yield from _paths(each)


ResultFilterField = Annotated[FilterField, AfterValidator(_of_result)]
"""A filter over `{result, data}` in a file. A path that leads nowhere would hold back every
result, or none."""
ParamsField = Annotated[
    tuple[Param, ...], BeforeValidator(parse_params), WithJsonSchema({"type": ["object", "null"]})
]
"""`params` in a file."""
