"""Liquid templates of messages.

The template is the operator's, the values are not: each printed value passes `escape`, the
template's own words do not. Objects, lists and null print as JSON, a missing name prints
nothing and is reported. Loops, output and nesting are bounded, and no template reads a file.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache

from liquid import BoundTemplate, RenderContext, Undefined
from liquid.exceptions import LiquidError
from liquid.expression import Expression

from amodal_rt.definitions.printing import Printing, json_text
from amodal_rt.errors import InvalidError

Escape = Callable[[str], str]

OUTPUT_LIMIT = 65_536
"""Bytes that a template may print."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a template printed, and the names that it wanted and did not find."""

    text: str
    missing: tuple[str, ...]


@dataclass(slots=True)
class _Rendering:
    escape: Escape
    missing: dict[str, None]


_current: ContextVar[_Rendering | None] = ContextVar("rendering", default=None)


class _Missing(Undefined):
    """Prints nothing, wherever it is printed, and says so."""

    __slots__ = ()

    def __str__(self) -> str:
        rendering = _current.get()
        if rendering is not None:
            path, found, _ = (self.hint or "").partition(" is undefined")
            rendering.missing.setdefault(path.strip("'") if found else self.name)
        return ""


class _Messages(Printing):
    output_stream_limit = OUTPUT_LIMIT

    def shown(self, value: object, expression: Expression, context: RenderContext) -> str:
        del expression, context
        rendering = _current.get()
        if rendering is None:
            return str(value)
        if isinstance(value, str):
            return rendering.escape(value)
        if isinstance(value, range):
            return f"{value.start}..{value.stop - 1}"
        return rendering.escape(json_text(value))


@lru_cache(maxsize=1)
def _environment() -> Printing:
    return _Messages(_Missing)


@lru_cache(maxsize=512)
def _parse(template: str) -> BoundTemplate:
    return _environment().from_string(template)


def render(template: str, values: Mapping[str, object], *, escape: Escape = str) -> Rendered:
    """Print `template` over `values`. Raises InvalidError (`template`) in one line.

    `values` are JSON: nothing else of Python can be reached from a template.
    """
    rendering = _Rendering(escape, {})
    token = _current.set(rendering)
    try:
        text = _parse(template).render(dict(values))
    except LiquidError as error:
        raise InvalidError(f"template: {_one_line(error)}", code="template") from None
    # A filter meets values that its author did not think of: whatever it raises is about
    # this template and these values, and must not stop a delivery.
    except Exception as error:  # noqa: BLE001
        raise InvalidError(
            f"template: {type(error).__name__}: {_one_line(error)}", code="template"
        ) from None
    finally:
        _current.reset(token)
    return Rendered(text, tuple(rendering.missing))


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
