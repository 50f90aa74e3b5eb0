"""Strict Liquid for keys and prompts: a name that is not there, or a filter that nobody knows, is
an error. Asking for such a name (`if`, `default`) is not."""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from liquid import BoundTemplate, FalsyStrictUndefined, RenderContext, Undefined
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import FilteredExpression, Literal, Path
from liquid.builtin.output import OutputNode
from liquid.exceptions import LiquidError
from liquid.expression import Expression

from amodal_rt.definitions.printing import Printed, Printing, json_text, one_line
from amodal_rt.errors import InvalidError

ROOTS = ("payload", "event", "schedule", "automation")
"""The names that a strict template may begin a path with."""

_Names = tuple[str, ...]
_Printer = Callable[[str, Mapping[str, object]], str]
_SHORT = 16_384
"""So many characters are within a key's limit of bytes, whatever they are."""
_OURS = frozenset({"automation", "schedule"})
# What could hide one text inside another, or end the line: see guardrails/untrusted.py.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_HALVES = re.compile("[\ud800-\udfff]")
_DOUBTFUL = re.compile(r"[<>&\x7f]|[^\x00-\x7f]")


class _Keys(Printing):
    """Texts and numbers print as they are, everything else as canonical JSON."""

    output_stream_limit = 65_536

    def shown(self, value: object, expression: Expression, context: RenderContext) -> str:
        del expression, context
        return _in_key(value)


class _Own(str):
    """A text that the template, the automation or the schedule holds, not the event."""

    __slots__ = ()


class _Prompts(Printing):
    """What the file says prints as it is; every other value as one JSON literal.

    The file's are the automation, the schedule, texts that stand in the template, and what
    `assign` or a filter made of nothing but these. All the rest counts as the event's.
    """

    output_stream_limit = 1_048_576

    def shown(self, value: object, expression: Expression, context: RenderContext) -> str:
        if isinstance(value, str) and _is_own(expression, context):
            return value
        return _literal(value)

    def kept(self, value: object, expression: Expression, context: RenderContext) -> object:
        return _own(value) if _is_own(expression, context) else value

    def json(self, value: object) -> object:
        return str(value) if isinstance(value, Undefined) else Printed(_literal(value))


@lru_cache(maxsize=4_096)
def _parse(kind: type[Printing], template: str) -> BoundTemplate:
    return _environment(kind).from_string(template)


@lru_cache(maxsize=2)
def _environment(kind: type[Printing]) -> Printing:
    return kind(FalsyStrictUndefined)


def printed_key(template: str, scope: Mapping[str, object]) -> str:
    """The template over `scope`, for a key. Raises InvalidError (`template_render_failed`)."""
    return _print(_key, template, scope)


def printed_prompt(template: str, scope: Mapping[str, object]) -> str:
    """The template over `scope`, for a prompt. Raises InvalidError (`template_render_failed`)."""
    return _print(_prompt, template, scope)


def trouble(template: str, roots: Sequence[str] = ROOTS) -> str | None:
    """What is wrong with a strict template before anything is printed, in one line; `roots` are
    the names that it may speak of."""
    try:
        parsed = _parse(_Keys, template)
        used = parsed.analyze()
    except LiquidError as error:
        return _placed(one_line(error), error, template)
    unknown = sorted(used.filters.keys() - _environment(_Keys).filters.keys())
    if unknown:
        return f"there is no filter {unknown[0]}"
    strange = sorted(used.globals.keys() - set(roots))
    if strange:
        return f"there is no name {strange[0]}"
    return None


def _print(printed: _Printer, template: str, scope: Mapping[str, object]) -> str:
    try:
        return printed(template, scope)
    # A filter meets values that its author did not think of: whatever it raises is about this
    # template and these values.
    except Exception as error:  # noqa: BLE001
        said = _placed(one_line(error), error, template)
        raise InvalidError(f"template_render_failed: {said}", code=FAILED) from None


def _prompt(template: str, scope: Mapping[str, object]) -> str:
    return _parse(_Prompts, template).render(dict(scope))


def _key(template: str, scope: Mapping[str, object]) -> str:
    """Most keys are values that stand in the scope: looked up, they cost a tenth of what Liquid
    takes. All that is not so plain, errors too, is Liquid's."""
    texts = [_found(each, scope) for each in _looked_up(template)]
    whole = "".join(each for each in texts if each is not None)
    if not texts or None in texts or len(whole) > _SHORT:
        return _parse(_Keys, template).render(dict(scope))
    return whole


@lru_cache(maxsize=4_096)
def _looked_up(template: str) -> Sequence[str | _Names]:
    """The texts and the paths of which alone a template is made; nothing for any other."""
    parts: list[str | _Names] = []
    for node in _parse(_Keys, template).nodes:
        if isinstance(node, ContentNode) and not _HALVES.search(node.text):
            parts.append(node.text)
        elif isinstance(node, OutputNode) and (names := _names(node.expression)):
            parts.append(names)
        else:
            return ()
    return parts


def _names(expression: Expression) -> _Names | None:
    if not isinstance(expression, FilteredExpression) or expression.filters:
        return None
    path = expression.left.path if isinstance(expression.left, Path) else []
    names = tuple(each for each in path if isinstance(each, str))
    return names if len(names) == len(path) else None


def _found(part: str | _Names, scope: Mapping[str, object]) -> str | None:
    """A text itself, or what stands at the path; None unless every name of it is there."""
    if isinstance(part, str):
        return part
    value: Any = scope
    for name in part:
        if not isinstance(value, dict) or name not in value:
            return None
        value = cast("dict[str, Any]", value)[name]
    return _in_key(value)


def _in_key(value: object) -> str:
    text = value if isinstance(value, str) else _canonical(value)
    # Half a character, which nothing can encode, as JSON spells it.
    return text if text.isascii() else _HALVES.sub(_escaped, text)


FAILED = "template_render_failed"
"""The code of a template that prints nothing for a run."""


def _placed(said: str, error: Exception, template: str) -> str:
    place = error.context() if isinstance(error, LiquidError) else None
    return f"line {place[0]}: {said}" if place is not None and "\n" in template.strip() else said


def _canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)


def _literal(value: object) -> str:
    """JSON that holds no `<`, `>`, `&`, no line break and no invisible character."""
    return _DOUBTFUL.sub(_escaped, json_text(value))


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    if character in "<>&\x7f":
        return f"\\u{ord(character):04x}"
    # Outside of texts JSON is ASCII, so this one stands in a text.
    hidden = unicodedata.category(character) in _HIDDEN
    return json.dumps(character)[1:-1] if hidden else character


def _is_own(expression: Expression, context: RenderContext) -> bool:
    """Whether nothing of the event can be in what the expression comes to."""
    match expression:
        case Literal():
            return True
        case Path():
            return _is_own_path(expression, context)
        case FilteredExpression():
            filters = expression.filters or []
            parts = [expression.left, *(arg for each in filters for arg in each.children())]
            return all(_is_own(each, context) for each in parts)
        case _:
            return False


def _is_own_path(path: Path, context: RenderContext) -> bool:
    root = path.path[0]
    if not isinstance(root, str):
        return False
    found = context.scope.get(root)
    if root in _OURS and found is context.globals.get(root):
        # By way of `automation[payload.x]` an event could only choose among the file's words.
        return True
    return len(path.path) == 1 and isinstance(found, _Own)


def _own(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Printed):
        return _Own(value)
    if isinstance(value, list):
        return [_own(each) for each in cast("list[object]", value)]
    return value
