"""Set and take away several keys of an automation's file, and leave every other byte as it is."""

import json
from collections.abc import Mapping
from typing import Any, cast

from ruamel.yaml.nodes import MappingNode

from amodal_rt.definitions import frontmatter
from amodal_rt.definitions.editing import add, remove
from amodal_rt.definitions.positions import Offsets
from amodal_rt.definitions.rewrite import set_key
from amodal_rt.definitions.source import SourceError, decode, read_json
from amodal_rt.definitions.words import spellings
from amodal_rt.errors import InvalidError

_BOM = "\ufeff"
_PROMPT = "prompt"


def new_file(keys: Mapping[str, object]) -> bytes:
    """The JSON file of a new automation; keys without a value are left out."""
    kept = {key: value for key, value in keys.items() if value is not None}
    return (json.dumps(kept, indent=2, ensure_ascii=False) + "\n").encode()


def change(text: bytes, file: str, keys: Mapping[str, object]) -> bytes:
    """The file with each of `keys` (camelCase) set to its value; None takes the key away.

    The `prompt` of a Markdown file is its body. Raises InvalidError when the file cannot be
    read, ConflictError (`legacy_markdown`) for the legacy form.
    """
    for key, value in keys.items():
        try:
            text = _changed(text, file, key, value)
        except SourceError as error:
            problem = error.problem
            raise InvalidError(problem.sentence(), code=problem.code) from None
    return text


def _changed(text: bytes, file: str, key: str, value: object) -> bytes:
    content = decode(text, file)
    bom = _BOM.encode() if text.startswith(_BOM.encode()) else b""
    if file.endswith(".json"):
        read_json(text, file)
        spelling = _spelling(content, key)
        if value is None:
            return bom + remove(content, f"/{spelling}").encode() if spelling else text
        if spelling is None:
            return bom + add(content, "", value, key=key).encode()
        return set_key(text, file, key, value)
    if not frontmatter.has_front_matter(content):
        return set_key(text, file, key, value)
    parts = frontmatter.split(content, file)
    if key == _PROMPT:
        return bom + f"{content[: parts.body]}\n{value or ''}\n".encode()
    if value is not None:
        return set_key(text, file, key, value)
    head = _without(parts.head, file, parts.first_line, key)
    return (
        bom + f"{content[: parts.start]}{head}{content[parts.start + len(parts.head) :]}".encode()
    )


def _spelling(content: str, key: str) -> str | None:
    values = Offsets(content).values
    return next((each for each in spellings(key) if f"/{each}" in values), None)


def _without(head: str, file: str, first_line: int, key: str) -> str:
    """The front matter without the lines of a key."""
    frontmatter.read_yaml(head, file, first_line)
    node = frontmatter.compose(head, file, first_line)
    if not isinstance(node, MappingNode):
        return head
    found = frontmatter.members(node)
    names = [each[0].value for each in found]
    place = next((names.index(each) for each in spellings(key) if each in names), None)
    if place is None:
        return head
    if cast("Any", node).flow_style:
        raise InvalidError(
            f"{file} has its front matter on one line, from which no key is taken",
            code="flow_front_matter",
            hint="write each key on a line of its own",
        )
    begin = found[place][0].start_mark
    end = found[place + 1][0].start_mark.index if place + 1 < len(found) else len(head)
    return head[: begin.index] + head[end:]
