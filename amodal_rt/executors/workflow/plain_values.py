"""Values that cross a border as JSON and come back the same."""

import json
import math
from typing import cast

DEEPEST = 100
"""Lists and objects within one another."""
LARGEST_INT = 2**64


class NotPlainError(ValueError):
    """The message goes on after "the value": `holds a set, which JSON does not know`."""


def plain_value(value: object, most: int) -> object:
    """A copy of plain lists, objects with texts as keys, texts, numbers, booleans and nulls, as
    JSON of at most `most` bytes. Tuples become lists.

    Raises NotPlainError. The cost is bounded by `most`, however often one part appears in it.
    """
    copy = _Copying(most).copied(value, 0)
    if len(json.dumps(copy, ensure_ascii=False, separators=(",", ":")).encode()) > most:
        raise _too_large(most)
    return copy


class _Copying:
    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most

    def copied(self, value: object, depth: int) -> object:
        # Every part is at least two bytes with its comma. A list that holds one list ten times,
        # nine times over, is small in memory and a billion parts as JSON.
        self._spend(2)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            self._spend(len(value))
            return value.encode("utf-8", "replace").decode()
        if isinstance(value, int):
            if abs(value) > LARGEST_INT:
                raise NotPlainError("holds a whole number of more than 64 bits")
            return int(value)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise NotPlainError(f"holds {value}, which JSON does not know")
            return value
        if isinstance(value, list | tuple | dict) and depth >= DEEPEST:
            raise NotPlainError(f"is nested deeper than {DEEPEST} times")
        if isinstance(value, list | tuple):
            return [self.copied(each, depth + 1) for each in cast("list[object]", value)]
        if isinstance(value, dict):
            fields = cast("dict[object, object]", value)
            return {self._key(key): self.copied(each, depth + 1) for key, each in fields.items()}
        raise NotPlainError(f"holds a {type(value).__name__}, which JSON does not know")

    def _key(self, key: object) -> str:
        if not isinstance(key, str):
            raise NotPlainError(f"has a key that is no text but a {type(key).__name__}")
        self._spend(len(key))
        return key.encode("utf-8", "replace").decode()

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise _too_large(self._most)


def _too_large(most: int) -> NotPlainError:
    return NotPlainError(f"is larger than {most // 1024} KiB")
