"""Liquid templates of messages.

The template is the operator's, the values are not: each printed value passes `escape`, the
template's own words do not. Objects, lists and null print as JSON, a missing name prints
nothing and is reported. Loops, output and nesting are bounded, and no template reads a file.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import TextIO, cast

from liquid import BoundTemplate, Environment, RenderContext, Undefined
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.capture_tag import CaptureNode, CaptureTag
from liquid.builtin.tags.echo_tag import EchoNode, EchoTag
from liquid.exceptions import LiquidError

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


class _Captured(str):
    """Printed once already: its values were escaped then."""

    __slots__ = ()


class _Missing(Undefined):
    """Prints nothing, wherever it is printed, and says so."""

    __slots__ = ()

    def __str__(self) -> str:
        rendering = _current.get()
        if rendering is not None:
            path, found, _ = (self.hint or "").partition(" is undefined")
            rendering.missing.setdefault(path.strip("'") if found else self.name)
        return ""


def _print(value: object) -> str:
    rendering = _current.get()
    if isinstance(value, _Captured | Undefined) or rendering is None:
        return str(value)
    if isinstance(value, str):
        return rendering.escape(value)
    if isinstance(value, range):
        return f"{value.start}..{value.stop - 1}"
    return rendering.escape(_json(value))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _join(values: object, separator: object = " ") -> str:
    if isinstance(values, Undefined | str):
        return str(values)
    several = isinstance(values, list | tuple | range)
    items = cast("Iterable[object]", values) if several else [values]
    return str(separator).join(item if isinstance(item, str) else _json(item) for item in items)


class _OutputNode(OutputNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return buffer.write(_print(self.expression.evaluate(context)))


class _EchoNode(EchoNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return buffer.write(_print(self.expression.evaluate(context)))


class _CaptureNode(CaptureNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        inner = context.get_buffer(buffer)
        self.block.render(context, inner)
        context.assign(self.name, _Captured(inner.getvalue()))
        return 0


class _Output(Output):
    node_class = _OutputNode


class _Echo(EchoTag):
    node_class = _EchoNode


class _Capture(CaptureTag):
    node_class = _CaptureNode


class _Environment(Environment):
    block_nesting_limit = 30
    context_depth_limit = 30
    loop_iteration_limit = 10_000
    local_namespace_limit = 1_000_000
    output_stream_limit = OUTPUT_LIMIT

    def __init__(self) -> None:
        super().__init__(undefined=_Missing)
        for tag in (_Output, _Echo, _Capture):
            self.add_tag(tag)
        for name in ("include", "render"):
            del self.tags[name]
        self.add_filter("json", _json)
        self.add_filter("join", _join)


@lru_cache(maxsize=512)
def _parse(template: str) -> BoundTemplate:
    return _Environment().from_string(template)


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
