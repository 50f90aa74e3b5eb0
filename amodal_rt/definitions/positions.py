"""Where each key and value of a JSON text stands."""

import json
import re
from collections.abc import Mapping

Place = tuple[int, int]
"""Line and column, both from 1."""

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SCALAR = re.compile(r"[^\s,\]}]+")


def json_places(text: str) -> Mapping[str, Place]:
    """JSON pointer → place: of the key for a member, of the value for an item and the whole.

    `text` is valid JSON. A key's escapes are resolved; `~` and `/` are written `~0` and `~1`.
    """
    return _Walk(text).places


def place_of(text: str, offset: int) -> Place:
    """Line and column of a character offset."""
    begin = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, offset - begin + 1


class _Walk:
    def __init__(self, text: str) -> None:
        self._text = text
        self.places: dict[str, Place] = {}
        start = self._space(0)
        self._mark("", start)
        self._value(start, "")

    def _mark(self, pointer: str, offset: int) -> None:
        self.places[pointer] = place_of(self._text, offset)

    def _space(self, offset: int) -> int:
        match = _SPACE.match(self._text, offset)
        return match.end() if match else offset

    def _value(self, offset: int, pointer: str) -> int:
        first = self._text[offset]
        if first == "{":
            return self._members(offset, pointer)
        if first == "[":
            return self._items(offset, pointer)
        match = (_STRING if first == '"' else _SCALAR).match(self._text, offset)
        return match.end() if match else len(self._text)

    def _members(self, offset: int, pointer: str) -> int:
        offset = self._space(offset + 1)
        while self._text[offset] != "}":
            match = _STRING.match(self._text, offset)
            if match is None:
                return len(self._text)
            key = escape(json.loads(match.group(), strict=False))
            self._mark(f"{pointer}/{key}", offset)
            colon = self._space(match.end())
            offset = self._value(self._space(colon + 1), f"{pointer}/{key}")
            offset = self._comma(offset)
        return offset + 1

    def _items(self, offset: int, pointer: str) -> int:
        offset, number = self._space(offset + 1), 0
        while self._text[offset] != "]":
            self._mark(f"{pointer}/{number}", offset)
            offset = self._comma(self._value(offset, f"{pointer}/{number}"))
            number += 1
        return offset + 1

    def _comma(self, offset: int) -> int:
        offset = self._space(offset)
        return self._space(offset + 1) if self._text[offset] == "," else offset


def escape(key: str) -> str:
    """A key as one part of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")
