"""YAML 1.2 front matter, without anything that YAML can do and JSON cannot."""

import re
from collections.abc import Mapping
from io import StringIO

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from amodal_rt.definitions.positions import Place, escape
from amodal_rt.definitions.source import MAX_DEPTH, SourceError
from amodal_rt.domain.problem import Problem

_FENCE = re.compile(r"---[ \t]*\r?\n")
_END = re.compile(r"^(?:---|\.\.\.)[ \t]*\r?$", re.MULTILINE)
_PREFIX = "tag:yaml.org,2002:"


def has_front_matter(text: str) -> bool:
    """Whether the file begins with `---` alone on its line."""
    return _FENCE.match(text) is not None


def split(text: str, file: str) -> tuple[str, str, int]:
    """Front matter, body, and the line (from 1) on which the front matter begins."""
    fence = _FENCE.match(text)
    end = _END.search(text, fence.end()) if fence else None
    if fence is None or end is None:
        raise SourceError(
            Problem(
                file=file,
                code="bad_yaml",
                message="the front matter is not closed",
                line=1,
                column=1,
                hint="end it with --- alone on a line",
            )
        )
    return text[fence.end() : end.start()], text[end.end() :].lstrip("\r\n"), 2


def read_yaml(
    text: str, file: str, first_line: int
) -> tuple[dict[str, object], Mapping[str, Place]]:
    """A mapping with places by JSON pointer. Raises SourceError.

    Aliases, anchors, tags, merge keys and duplicate keys are refused; dates stay text.
    """
    reader = _Reader(file, first_line)
    try:
        node = YAML(typ="safe", pure=True).compose(StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + first_line if mark else first_line
        message = " ".join(str(error.problem or error.context or "not YAML").split())
        raise SourceError(
            Problem(
                file=file,
                code="bad_yaml",
                message=f"not YAML: {message}",
                line=line,
                column=mark.column + 1 if mark else None,
            )
        ) from None
    except (YAMLError, RecursionError) as error:
        message = "not YAML: " + " ".join(str(error).split())[:120]
        raise SourceError(
            Problem(file=file, code="bad_yaml", message=message, line=first_line)
        ) from None
    if node is None:
        return {}, {}
    if not isinstance(node, MappingNode):
        raise reader.refused(node, "wrong_type", "the front matter must be keys and values")
    return reader.mapping(node, ""), reader.places


class _Reader:
    def __init__(self, file: str, first_line: int) -> None:
        self._file = file
        self._first_line = first_line
        self._seen: set[int] = set()
        self.places: dict[str, Place] = {"": (first_line, 1)}

    def refused(self, node: Node, code: str, message: str) -> SourceError:
        line, column = self._place(node)
        return SourceError(
            Problem(file=self._file, code=code, message=message, line=line, column=column)
        )

    def mapping(self, node: MappingNode, pointer: str) -> dict[str, object]:
        found: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = self._value(key_node, pointer)
            if not isinstance(key, str):
                raise self.refused(key_node, "bad_yaml", f"the key {key!r} is not a text")
            if key == "<<":
                raise self.refused(key_node, "bad_yaml", "merge keys are not read")
            if key in found:
                raise self.refused(key_node, "duplicate_key", f'the key "{key}" stands twice')
            inner = f"{pointer}/{escape(key)}"
            found[key] = self._value(value_node, inner)
            self.places[inner] = self._place(key_node)
        return found

    def _value(self, node: Node, pointer: str) -> object:
        if node.anchor is not None or id(node) in self._seen:
            raise self.refused(node, "bad_yaml", "anchors and aliases are not read")
        self._seen.add(id(node))
        if pointer.count("/") > MAX_DEPTH:
            raise self.refused(node, "too_deep", f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(node, MappingNode):
            return self.mapping(node, pointer)
        if isinstance(node, SequenceNode):
            items: list[object] = []
            for place, each in enumerate(node.value):
                inner = f"{pointer}/{place}"
                self.places[inner] = self._place(each)
                items.append(self._value(each, inner))
            return items
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        raise self.refused(node, "bad_yaml", "this form of YAML is not read")

    def _scalar(self, node: ScalarNode) -> object:
        tag = str(node.tag).removeprefix(_PREFIX)
        text = str(node.value)
        if tag in ("str", "timestamp"):
            return text
        if tag == "null":
            return None
        if tag == "bool":
            return text.lower() == "true"
        if tag == "int":
            # YAML 1.2 writes octal 0o17; 017 is seventeen, which Python would refuse.
            digits = text.replace("_", "")
            return int(digits, 0) if digits.lstrip("+-")[:2] in ("0x", "0o") else int(digits)
        if tag == "float" and not text.lower().lstrip("+-.").startswith(("inf", "nan")):
            return float(text.replace("_", ""))
        raise self.refused(node, "bad_yaml", f"{text!r} is no value of JSON")

    def _place(self, node: Node) -> Place:
        mark = node.start_mark
        return mark.line + self._first_line, mark.column + 1
