"""YAML 1.2 front matter, without anything that YAML can do and JSON cannot."""

import math
import re
from collections.abc import Mapping
from io import StringIO
from typing import Any, NamedTuple, cast

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from amodal_rt.definitions.positions import Place, escape, place_of
from amodal_rt.definitions.source import MAX_DEPTH, SourceError, refusal
from amodal_rt.definitions.words import shown
from amodal_rt.domain.problem import Problem

MAX_HEAD = 64 * 1024
_MOST_OPEN = 1_000
"""Brackets that stand open at once, those in texts among them. The library looks at all of them
anew at every character: some ten thousand took seconds."""

_FENCE = re.compile(r"---[ \t]*\r?\n")
_END = re.compile(r"^(?:---|\.\.\.)[ \t]*\r?$", re.MULTILINE)
_BRACKET = re.compile(r"[\[\]{}]")
_PREFIX = "tag:yaml.org,2002:"
_MERGE = f"{_PREFIX}merge"
_INTEGER = re.compile(r"[-+]?(?:0x[0-9a-fA-F_]+|0o?[0-7_]+|0b[01_]+|[0-9][0-9_]*)")
_YAML_WORDS = (
    # What ruamel says; what a newcomer can act on; the hint.
    ("found character '\\t'", "a tab stands where spaces belong", "indent with spaces"),
    (
        "mapping values are not allowed here",
        "a second colon, or a wrong indent",
        "put a text that holds a colon in quotes",
    ),
    ("found undefined alias", "aliases are not read", "a text that begins with * needs quotes"),
    ("found character", "a text cannot begin with this character", "put the text in quotes"),
    ("'<document start>'", "a line that begins with % is not read", "put the text in quotes"),
    ("could not find expected ':'", "a key has no colon after it", "write key: value"),
    ("expected <block end>", "the indent does not fit the lines above", None),
)
_BEGUN = (
    # As above, where the place to show is the beginning of what went wrong.
    (
        "while scanning an alias",
        "a text that begins with * needs quotes",
        'as in schedule: "* * * * *"',
    ),
    ("expected ',' or ']'", "this list is not closed, or a comma is missing", None),
    ("expected ',' or '}'", "this object is not closed, or a comma is missing", None),
    ("found unexpected end of stream", "this quote is not closed", None),
)


class Parts(NamedTuple):
    """A file with front matter: its text, the line (from 1) and offset where it begins, and
    the offset of the body.
    """

    head: str
    first_line: int
    start: int
    body: int


def has_front_matter(text: str) -> bool:
    """Whether the file begins with `---` alone on its line."""
    return _FENCE.match(text) is not None


def split(text: str, file: str) -> Parts:
    """Front matter and body. Raises SourceError when the front matter has no end."""
    fence = _FENCE.match(text)
    end = _END.search(text, fence.end()) if fence else None
    if fence is None or end is None:
        hint = "end it with --- alone on a line"
        raise refusal(text, file, "bad_yaml", "the front matter is not closed", 0, hint)
    head = text[fence.end() : end.start()]
    if len(head) > MAX_HEAD:
        message = f"the front matter has {len(head):,} characters; at most {MAX_HEAD:,} are read"
        raise refusal(text, file, "too_large", message, 0, "long text belongs below it")
    return Parts(head, 2, fence.end(), min(end.end() + 1, len(text)))


def read_yaml(
    text: str, file: str, first_line: int
) -> tuple[dict[str, object], Mapping[str, Place]]:
    """A mapping with places by JSON pointer. Raises SourceError.

    Aliases, anchors, tags, merge keys and duplicate keys are refused; dates stay text.
    """
    reader = _Reader(file, first_line)
    node = compose(text, file, first_line)
    if node is None:
        return {}, {"": (first_line, 1)}
    if not isinstance(node, MappingNode):
        raise reader.refused(node, "wrong_type", "the front matter must be keys and values")
    return reader.mapping(node, ""), reader.places


def compose(text: str, file: str, first_line: int) -> Node | None:
    """The YAML nodes, with their marks. Raises SourceError."""
    _require_shallow(text, file, first_line)
    yaml = cast("Any", YAML(typ="safe", pure=True))
    # Anchors are refused later, with their place; a warning would only reach standard error.
    yaml.composer.warn_double_anchors = False
    try:
        return cast("Node | None", yaml.compose(StringIO(text)))
    except MarkedYAMLError as error:
        raise _bad_yaml(error, file, first_line) from None
    except RecursionError:
        message = f"nested deeper than {MAX_DEPTH} levels"
        raise _too_deep(file, message, (first_line, 1)) from None
    except ReaderError as error:
        position = int(cast("Any", error).position)
        line, column = place_of(text, position)
        message = "not YAML: a control character"
        raise SourceError(
            Problem(
                file=file,
                code="bad_yaml",
                message=message,
                line=line + first_line - 1,
                column=column,
                hint="take it away, or write the text in double quotes with an escape",
            )
        ) from None
    except (YAMLError, ValueError) as error:
        message = "not YAML: " + " ".join(str(error).split())[:120]
        raise SourceError(
            Problem(file=file, code="bad_yaml", message=message, line=first_line, column=1)
        ) from None


def _require_shallow(text: str, file: str, first_line: int) -> None:
    depth = 0
    for found in _BRACKET.finditer(text):
        depth = depth + 1 if found[0] in "[{" else max(0, depth - 1)
        if depth > _MOST_OPEN:
            line, column = place_of(text, found.start())
            message = f"more than {_MOST_OPEN:,} brackets stand open"
            raise _too_deep(file, message, (line + first_line - 1, column))


def _too_deep(file: str, message: str, place: Place) -> SourceError:
    line, column = place
    return SourceError(
        Problem(file=file, code="too_deep", message=message, line=line, column=column)
    )


def members(node: MappingNode) -> list[tuple[Any, Any]]:
    """The nodes of keys and values; `start_mark` and `end_mark` say where each stands."""
    return cast("Any", node).value


def _bad_yaml(error: MarkedYAMLError, file: str, first_line: int) -> SourceError:
    told = cast("Any", error)
    mark = told.problem_mark or told.context_mark
    said = " ".join(str(part) for part in (told.context, told.problem) if part)
    message, hint = " ".join(said.split())[:120], None
    for start, words, better in (*_BEGUN, *_YAML_WORDS):
        if start in said:
            message, hint = words, better
            mark = told.context_mark or mark if (start, words, better) in _BEGUN else mark
            break
    return SourceError(
        Problem(
            file=file,
            code="bad_yaml",
            message=f"not YAML: {message}",
            line=mark.line + first_line if mark else first_line,
            column=mark.column + 1 if mark else 1,
            hint=hint,
        )
    )


class _Reader:
    """Nodes → values of JSON, with the place of each."""

    def __init__(self, file: str, first_line: int) -> None:
        self._file = file
        self._first_line = first_line
        self.places: dict[str, Place] = {"": (first_line, 1)}

    def refused(self, node: Node, code: str, message: str, hint: str | None = None) -> SourceError:
        line, column = self._place(node)
        return SourceError(
            Problem(
                file=self._file, code=code, message=message, line=line, column=column, hint=hint
            )
        )

    def mapping(self, node: MappingNode, pointer: str) -> dict[str, object]:
        found: dict[str, object] = {}
        for key_node, value_node in members(node):
            key = self._value(key_node, pointer)
            if not isinstance(key, str):
                message = f"a key must be a text, not {shown(key)}"
                raise self.refused(key_node, "bad_yaml", message, "put it in quotes")
            if key == "<<" and str(key_node.tag) == _MERGE:
                raise self.refused(
                    key_node, "bad_yaml", "merge keys are not read", "write the keys out"
                )
            if key in found:
                message = f"the key {shown(key)} stands twice"
                raise self.refused(key_node, "duplicate_key", message, "keep one of them")
            inner = f"{pointer}/{escape(key)}"
            self.places[inner] = self._place(key_node)
            found[key] = self._value(value_node, inner)
        return found

    def _value(self, node: Node, pointer: str) -> object:
        # An alias is its anchor's own node again, so refusing anchors refuses both.
        if cast("Any", node).anchor is not None:
            hint = "write the value out where it is needed"
            raise self.refused(node, "bad_yaml", "anchors and aliases are not read", hint)
        if pointer.count("/") > MAX_DEPTH:
            raise self.refused(node, "too_deep", f"nested deeper than {MAX_DEPTH} levels")
        tag = str(cast("Any", node).tag)
        if isinstance(node, MappingNode) and tag == f"{_PREFIX}map":
            return self.mapping(node, pointer)
        if isinstance(node, SequenceNode) and tag == f"{_PREFIX}seq":
            items: list[object] = []
            for place, each in enumerate(cast("list[Node]", cast("Any", node).value)):
                inner = f"{pointer}/{place}"
                self.places[inner] = self._place(each)
                items.append(self._value(each, inner))
            return items
        if isinstance(node, ScalarNode) and tag.startswith(_PREFIX):
            return self._scalar(node, tag.removeprefix(_PREFIX))
        raise self.refused(node, "bad_yaml", "tags are not read", "take the word with ! away")

    def _scalar(self, node: ScalarNode, tag: str) -> object:
        text = str(cast("Any", node).value)
        if tag in ("str", "timestamp", "merge"):
            if any("\ud800" <= each <= "\udfff" for each in text):
                message = "half of a character (a lone surrogate)"
                raise self.refused(node, "bad_yaml", message, "write the character itself")
            if "\0" in text:
                message = "an escape for the character NUL"
                raise self.refused(node, "bad_yaml", message, "take it away")
            return text
        if tag == "null":
            return None
        if tag == "bool" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        number = _integer(text) if tag == "int" else _float(text) if tag == "float" else None
        if number is None:
            hint = f"put it in quotes: {shown(text)}"
            raise self.refused(node, "bad_yaml", f"{shown(text)} is no value of JSON", hint)
        return number

    def _place(self, node: Node) -> Place:
        mark: Any = cast("Any", node).start_mark
        return mark.line + self._first_line, mark.column + 1


def _integer(text: str) -> int | None:
    """As YAML 1.2 reads it: 0o17 is octal, and 017 is seventeen."""
    digits = text.replace("_", "")
    if len(digits) > 300 or not _INTEGER.fullmatch(text):
        return None
    based = digits.lstrip("+-")[:2] in ("0x", "0o", "0b")
    try:
        return int(digits, 0) if based else int(digits)
    except ValueError:
        return None


def _float(text: str) -> float | None:
    try:
        number = float(text.replace("_", ""))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
