"""Set one key of a file and leave every other byte as it is."""

import json
import re
from typing import Any, cast

from ruamel.yaml.nodes import MappingNode, Node

from amodal_rt.definitions import frontmatter
from amodal_rt.definitions.positions import Offsets
from amodal_rt.definitions.source import SourceError, decode, read_json
from amodal_rt.definitions.words import spellings
from amodal_rt.errors import ConflictError, InvalidError

_BOM = "\ufeff"
_SPACE = re.compile(r"[ \t\r\n]*")
_LINE_END = re.compile(r"\r?\n")


def set_key(text: bytes, file: str, key: str, value: object) -> bytes:
    """The file with the top-level `key` set to `value` (a JSON scalar).

    A key that stands in the file, in any of its `spellings`, gets the value in its place; a new
    one becomes the first. Raises InvalidError when the file cannot be read, and
    ConflictError (`legacy_markdown`) for the legacy form, which has no keys.
    """
    written = json.dumps(value, ensure_ascii=False)
    try:
        content = decode(text, file)
        if file.endswith(".json"):
            read_json(text, file)
            changed = _json(content, key, written)
        else:
            changed = _markdown(content, file, key, written)
    except SourceError as error:
        problem = error.problem
        raise InvalidError(problem.sentence(), code=problem.code) from None
    bom = _BOM if text.startswith(_BOM.encode()) else ""
    return (bom + changed).encode()


def _json(text: str, key: str, written: str) -> str:
    offsets = Offsets(text)
    for spelling in spellings(key):
        found = offsets.values.get(f"/{spelling}")
        if found is not None:
            return text[: found[0]] + written + text[found[1] :]
    opening, end = offsets.values[""]
    opening += 1
    space = _space(text, opening)
    member = f"{json.dumps(key)}: {written}"
    if opening + len(space) == end - 1:
        return f"{text[:opening]}{space}{member}{space}{text[end - 1 :]}"
    return f"{text[:opening]}{space}{member},{space or ' '}{text[opening + len(space) :]}"


def _space(text: str, offset: int) -> str:
    match = _SPACE.match(text, offset)
    return match.group() if match else ""


def _markdown(text: str, file: str, key: str, written: str) -> str:
    if not frontmatter.has_front_matter(text):
        raise ConflictError(
            f"{file} is in the legacy form, which cannot say {key}",
            code="legacy_markdown",
            hint="convert it: amodal-rt convert FILE",
        )
    parts = frontmatter.split(text, file)
    frontmatter.read_yaml(parts.head, file, parts.first_line)
    node = frontmatter.compose(parts.head, file, parts.first_line)
    changed = _yaml(parts.head, node, key, written)
    if changed is None:
        changed = _first_line(parts.head, node, f"{key}: {written}", _line_end(text))
    return text[: parts.start] + changed + text[parts.start + len(parts.head) :]


def _yaml(head: str, node: Node | None, key: str, written: str) -> str | None:
    """The front matter with the value in its place; None where a line in front is needed."""
    if not isinstance(node, MappingNode):
        return None
    for key_node, value_node in frontmatter.members(node):
        if key_node.value not in spellings(key):
            continue
        start, end = value_node.start_mark.index, value_node.end_mark.index
        if start == end:
            # No value at all: its mark may stand lines below, the colon does not.
            colon = head.index(":", key_node.end_mark.index) + 1
            return f"{head[:colon]} {written}{head[colon:]}"
        kept = head[start:end].rstrip()
        return head[:start] + written + head[start + len(kept) :]
    if cast("Any", node).flow_style:
        opening = head.index("{", cast("Any", node).start_mark.index) + 1
        comma = ", " if frontmatter.members(node) else ""
        return f"{head[:opening]}{key}: {written}{comma}{head[opening:]}"
    return None


def _first_line(head: str, node: Node | None, line: str, ending: str) -> str:
    """The line above the first key, indented as that is."""
    if not isinstance(node, MappingNode) or not frontmatter.members(node):
        return f"{line}{ending}{head}"
    mark = frontmatter.members(node)[0][0].start_mark
    begin = mark.index - mark.column
    return f"{head[:begin]}{head[begin : mark.index]}{line}{ending}{head[begin:]}"


def _line_end(text: str) -> str:
    match = _LINE_END.search(text)
    return match.group() if match else "\n"
