"""How Liquid prints here: one environment for messages, keys and prompts.

Loops, output and nesting are bounded, and no template reads a file. What a value looks like when
it is printed is for each kind of template to say. Importing this loads the template language,
which takes a fifth of a second: `liquid.py` does so when the first template is met.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, TextIO, cast

from liquid import Environment, RenderContext, Undefined
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.assign_tag import AssignNode, AssignTag
from liquid.builtin.tags.capture_tag import CaptureNode, CaptureTag
from liquid.builtin.tags.cycle_tag import CycleNode, CycleTag
from liquid.builtin.tags.echo_tag import EchoNode, EchoTag
from liquid.exceptions import FilterArgumentError, LiquidError
from liquid.expression import Expression
from liquid.filter import sequence_filter
from liquid.token import Token

from amodal_rt.definitions.delimiters import require_bounded

_NOTHING = ()
"""What stands for a member that is not there."""


class Printed(str):
    """Text that was printed once already: what stands in it is as it may stand."""

    __slots__ = ()


class Printing(Environment):
    """The tags, filters and limits of every template; `shown` is each kind's own."""

    block_nesting_limit = 30
    context_depth_limit = 30
    loop_iteration_limit = 10_000
    local_namespace_limit = 1_000_000
    output_stream_limit = 65_536

    def __init__(self, undefined: type[Undefined]) -> None:
        super().__init__(undefined=undefined)
        for tag in (_Output, _Echo, _Capture, _Cycle, _Assign):
            self.add_tag(tag)
        for name in ("include", "render"):
            del self.tags[name]
        self.add_filter("json", self.json)
        self.add_filter("join", _join)
        self.add_filter("uniq", _uniq)

    def tokenizer(self) -> Callable[[str], Iterator[Token]]:
        """The library's, of texts that it reads in time."""
        tokens = super().tokenizer()

        def bounded(source: str) -> Iterator[Token]:
            require_bounded(source)
            return tokens(source)

        return bounded

    def shown(self, value: object, expression: Expression, context: RenderContext) -> str:
        """What stands in the text for `value`, which is what `expression` came to."""
        raise NotImplementedError

    def kept(self, value: object, expression: Expression, context: RenderContext) -> object:
        """What `assign` gives a name to."""
        del expression, context
        return value

    def json(self, value: object) -> object:
        """The filter of that name."""
        return str(value) if isinstance(value, Undefined) else json_text(value)


def json_text(value: object) -> str:
    """JSON on one line, every character as it is."""
    return json.dumps(value, ensure_ascii=False, default=str)


def one_line(error: Exception) -> str:
    """What a template's error says to people, without the picture of where."""
    said = error.message if isinstance(error, LiquidError) else f"{type(error).__name__}: {error}"
    return " ".join(str(said).split())[:300] or type(error).__name__


def trouble(template: str) -> str | None:
    """What keeps the text from being a template, in one line; None when nothing does."""
    environment = _known()
    try:
        used = environment.from_string(template).analyze().filters
    except LiquidError as error:
        return one_line(error)
    unknown = sorted(used.keys() - environment.filters.keys())
    return f"there is no filter {unknown[0]}" if unknown else None


@lru_cache(maxsize=1)
def _known() -> Printing:
    return Printing(Undefined)


def _join(values: object, separator: object = " ") -> str:
    if isinstance(values, Undefined | str):
        return str(values)
    several = isinstance(values, list | tuple | range)
    items = cast("Iterable[object]", values) if several else [values]
    return str(separator).join(item if isinstance(item, str) else json_text(item) for item in items)


@sequence_filter
def _uniq(values: Iterable[object], key: object = None) -> list[object]:
    """As the library's, which compares each with each: a long list of a stranger's would hold up
    the whole daemon."""
    seen: dict[object, object] = {}
    for each in values:
        found = each if key is None else _member(each, key)
        mark = ("json", json.dumps(found, sort_keys=True, default=str))
        plain = found is None or isinstance(found, str | int | float)
        seen.setdefault(found if plain else mark, each)
    return list(seen.values())


def _member(value: Any, key: object) -> object:
    try:
        return value[key]
    except KeyError:
        return _NOTHING
    except TypeError:
        message = f"can't read property '{key}' of {value}"
        raise FilterArgumentError(message, token=None) from None


def _shown(expression: Expression, context: RenderContext) -> str:
    value = expression.evaluate(context)
    if isinstance(value, Printed | Undefined):
        return str(value)
    return cast("Printing", context.env).shown(value, expression, context)


class _OutputNode(OutputNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return buffer.write(_shown(self.expression, context))


class _EchoNode(EchoNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return buffer.write(_shown(self.expression, context))


class _CycleNode(CycleNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        # One round per place in the text, or per name where the round has one.
        group = str(self.group.evaluate(context)) if self.group else f"\0{id(self)}"
        place = context.cycle(group, len(self.args))
        return buffer.write(_shown(self.args[place], context)) if place < len(self.args) else 0


class _CaptureNode(CaptureNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        inner = context.get_buffer(buffer)
        self.block.render(context, inner)
        context.assign(self.name, Printed(inner.getvalue()))
        return 0


class _AssignNode(AssignNode):
    def render_to_output(self, context: RenderContext, _: TextIO) -> int:
        value = self.expression.evaluate(context)
        environment = cast("Printing", context.env)
        context.assign(self.name, environment.kept(value, self.expression, context))
        return 0


class _Output(Output):
    node_class = _OutputNode


class _Echo(EchoTag):
    node_class = _EchoNode


class _Capture(CaptureTag):
    node_class = _CaptureNode


class _Cycle(CycleTag):
    node_class = _CycleNode


class _Assign(AssignTag):
    node_class = _AssignNode
