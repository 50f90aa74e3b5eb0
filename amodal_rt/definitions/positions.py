"""Where each key and value of a JSON text stands."""

import json
import re
from bisect import bisect_right
from collections.abc import Mapping

Place = tuple[int, int]
"""Line and column, both from 1."""

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_LINE_END = re.compile(r"\n")
_SCALAR = re.compile(r"[^\s,\]}]+")


def json_places(text: str) -> Mapping[str, Place]:
    """JSON pointer → place: of the key for a member, of the value for an item and the whole.

    `text` is valid JSON. A key's escapes are resolved; `~` and `/` are written `~0` and `~1`.
    """
    # Counted once: looking from the top for each key takes seconds for a long list.
    begins = [0, *(match.end() for match in _LINE_END.finditer(text))]
    found: dict[str, Place] = {}
    for pointer, offset in Offsets(text).keys.items():
        line = bisect_right(begins, offset)
        found[pointer] = (line, offset - begins[line - 1] + 1)
    return found


def place_of(text: str, offset: int) -> Place:
    """Line and column of a character offset."""
    begin = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, offset - begin + 1


def escape(key: str) -> str:
    """A key as one part of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


class Offsets:
    """One walk through a valid JSON text, by character offset.

    `keys` has where each key begins (each item, for lists), `values` begin and end of each
    value, both by JSON pointer; `repeated` every key that its object has already, in order.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self.keys: dict[str, int] = {}
        self.values: dict[str, tuple[int, int]] = {}
        self.repeated: list[tuple[str, int]] = []
        start = self._space(0)
        self.keys[""] = start
        self._value(start, "")

    def _space(self, offset: int) -> int:
        match = _SPACE.match(self._text, offset)
        return match.end() if match else offset

    def _value(self, offset: int, pointer: str) -> int:
        first = self._text[offset]
        if first == "{":
            end = self._members(offset, pointer)
        elif first == "[":
            end = self._items(offset, pointer)
        else:
            match = (_STRING if first == '"' else _SCALAR).match(self._text, offset)
            end = match.end() if match else len(self._text)
        self.values[pointer] = (offset, end)
        return end

    def _members(self, offset: int, pointer: str) -> int:
        offset = self._space(offset + 1)
        while self._text[offset] != "}":
            match = _STRING.match(self._text, offset)
            if match is None:
                return len(self._text)
            key: str = json.loads(match.group(), strict=False)
            inner = f"{pointer}/{escape(key)}"
            if inner in self.keys:
                self.repeated.append((key, offset))
            self.keys[inner] = offset
            colon = self._space(match.end())
            offset = self._comma(self._value(self._space(colon + 1), inner))
        return offset + 1

    def _items(self, offset: int, pointer: str) -> int:
        offset, number = self._space(offset + 1), 0
        while self._text[offset] != "]":
            self.keys[f"{pointer}/{number}"] = offset
            offset = self._comma(self._value(offset, f"{pointer}/{number}"))
            number += 1
        return offset + 1

    def _comma(self, offset: int) -> int:
        offset = self._space(offset)
        return self._space(offset + 1) if self._text[offset] == "," else offset
