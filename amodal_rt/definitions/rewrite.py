"""Set one key of a file and leave every other byte as it is."""

import json
import re

from amodal_rt.definitions import frontmatter
from amodal_rt.definitions.positions import json_places
from amodal_rt.definitions.source import SourceError, decode, read_json
from amodal_rt.errors import ConflictError, InvalidError

_BOM = "\ufeff"


def set_key(text: bytes, file: str, key: str, value: object) -> bytes:
    """The file with the top-level `key` set to `value` (a JSON scalar).

    Raises InvalidError when the file cannot be read, and ConflictError
    (`legacy_markdown`) for the legacy form, which has no keys.
    """
    try:
        if file.endswith(".json"):
            read_json(text, file)
            changed = _json(decode(text, file), key, json.dumps(value, ensure_ascii=False))
        else:
            changed = _markdown(
                decode(text, file), file, key, json.dumps(value, ensure_ascii=False)
            )
    except SourceError as error:
        problem = error.problem
        raise InvalidError(problem.sentence(), code=problem.code, hint=problem.hint) from None
    bom = _BOM if text.startswith(_BOM.encode()) else ""
    return (bom + changed).encode()


def _json(text: str, key: str, written: str) -> str:
    places = json_places(text)
    place = places.get(f"/{key}")
    if place is not None:
        start = _value_start(text, _offset(text, place))
        end = json.JSONDecoder().raw_decode(text, start)[1]
        return text[:start] + written + text[end:]
    opening = text.index("{") + 1
    first = re.match(r"\s*", text[opening:])
    space = first.group() if first else ""
    empty = text[opening + len(space)] == "}"
    member = f"{json.dumps(key)}: {written}"
    if empty:
        return f"{text[:opening]}{space or ' '}{member}{space or ' '}{text[opening + len(space) :]}"
    return f"{text[:opening]}{space}{member},{space or ' '}{text[opening + len(space) :]}"


def _value_start(text: str, key: int) -> int:
    end = json.JSONDecoder().raw_decode(text, key)[1]
    match = re.compile(r"\s*:\s*").match(text, end)
    return match.end() if match else end


def _offset(text: str, place: tuple[int, int]) -> int:
    line, column = place
    offset = 0
    for _ in range(line - 1):
        offset = text.index("\n", offset) + 1
    return offset + column - 1


def _markdown(text: str, file: str, key: str, written: str) -> str:
    if not frontmatter.has_front_matter(text):
        raise ConflictError(
            f"{file} is in the legacy form, which cannot say {key}",
            code="legacy_markdown",
            hint="convert it: amodal-rt convert FILE",
        )
    head, _, first = frontmatter.split(text, file)
    _, places = frontmatter.read_yaml(head, file, first)
    place = places.get(f"/{key}")
    start = text.index(head)
    if place is None:
        return f"{text[:start]}{key}: {written}\n{text[start:]}"
    begin = _offset(text, place)
    line_end = text.find("\n", begin)
    line_end = len(text) if line_end < 0 else line_end
    line = text[begin:line_end]
    comment = re.search(r"\s+#.*$", line)
    ending = "\r" if line.endswith("\r") and not comment else ""
    return f"{text[:begin]}{key}: {written}{comment.group() if comment else ''}{ending}{text[line_end:]}"
