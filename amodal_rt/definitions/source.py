"""One file's bytes as a document: its value, and where everything in it stands."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

from amodal_rt.definitions.positions import Place, escape, json_places, place_of
from amodal_rt.domain.problem import Problem

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)

Loc = Sequence[str | int]


class SourceError(Exception):
    """The bytes are no document at all; carries the one problem that says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Document:
    """A parsed file. `place` is computed on first need: most files have no problem."""

    def __init__(
        self, file: str, value: dict[str, object], places: Callable[[], Mapping[str, Place]]
    ) -> None:
        self.file = file
        self.value = value
        self._find_places = places

    @cached_property
    def places(self) -> Mapping[str, Place]:
        """JSON pointer → line and column."""
        return self._find_places()

    def place(self, loc: Loc) -> Place | tuple[None, None]:
        """Where `loc` stands, or the nearest of its ancestors that stands in the file."""
        parts = [escape(str(part)) for part in loc]
        for length in range(len(parts), -1, -1):
            found = self._spelt(parts[:length])
            if found is not None:
                return found
        return None, None

    def _spelt(self, parts: Sequence[str]) -> Place | None:
        pointer = "".join(f"/{part}" for part in parts)
        found = self.places.get(pointer)
        if found is None and parts:
            other = "".join(f"/{part}" for part in (*parts[:-1], snake(parts[-1])))
            found = self.places.get(other)
        return found

    def problem(
        self, code: str, message: str, loc: Loc = (), *, hint: str | None = None
    ) -> Problem:
        """An error at `loc`."""
        line, column = self.place(loc)
        return Problem(
            file=self.file, code=code, message=message, line=line, column=column, hint=hint
        )


class Lines(Mapping[str, int]):
    """JSON pointer → line, found when first asked for."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def __getitem__(self, pointer: str) -> int:
        return self._document.places[pointer][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._document.places)

    def __len__(self) -> int:
        return len(self._document.places)


def snake(key: str) -> str:
    """`writeEnabled` → `write_enabled`."""
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in key)


def decode(raw: bytes, file: str) -> str:
    """The text of a file. Raises SourceError for what no text file may be."""
    if len(raw) > MAX_BYTES:
        size = f"{len(raw):,} bytes; at most {MAX_BYTES:,} are read"
        raise SourceError(Problem(file=file, code="too_large", message=f"the file has {size}"))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = place_of(raw[: error.start].decode("utf-8", errors="replace"), error.start)
        raise SourceError(
            Problem(
                file=file,
                code="not_utf8",
                message=f"the byte at offset {error.start} is not UTF-8",
                line=line,
                column=column,
                hint="save the file as UTF-8",
            )
        ) from None
    text = text.removeprefix("\ufeff")
    if "\0" in text:
        line, column = place_of(text, text.index("\0"))
        raise SourceError(
            Problem(file=file, code="not_text", message="a NUL byte", line=line, column=column)
        )
    if not text.strip():
        raise SourceError(Problem(file=file, code="empty_file", message="the file is empty"))
    return text


def read_json(raw: bytes, file: str) -> Document:
    """A JSON object. Raises SourceError for anything else, duplicate keys included."""
    text = decode(raw, file)

    def refuse(code: str, message: str, offset: int, hint: str | None = None) -> SourceError:
        line, column = place_of(text, offset)
        return SourceError(
            Problem(file=file, code=code, message=message, line=line, column=column, hint=hint)
        )

    deep = _too_deep(text)
    if deep is not None:
        raise refuse("too_deep", f"nested deeper than {MAX_DEPTH} levels", deep)
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise refuse(
            "bad_json", f"not JSON: {error.msg}", error.pos, _json_hint(text, error.pos)
        ) from None
    except _DuplicateKeyError as error:
        offset = _second(text, error.key)
        raise refuse("duplicate_key", f'the key "{error.key}" stands twice', offset) from None
    except _ConstantError as error:
        message = f"{error.name} is not a JSON number"
        raise refuse("bad_json", message, max(text.find(error.name), 0)) from None
    except (ValueError, RecursionError):
        raise refuse("bad_json", "a number in the file is too long", 0) from None
    if not isinstance(value, dict):
        kind = type_name(value)
        message = f"the file holds {kind}, not an object"
        raise refuse("wrong_type", message, 0, 'begin with {"title": …')
    if any("\ud800" <= each <= "\udfff" for each in _strings(value)):
        raise refuse("bad_json", "an escape names half of a character (a lone surrogate)", 0)
    return Document(file, value, lambda: json_places(text))


class _DuplicateKeyError(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class _ConstantError(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateKeyError(key)
            seen.add(key)
    return found


def _no_constant(name: str) -> object:
    raise _ConstantError(name)


def _too_deep(text: str) -> int | None:
    """The offset at which nesting passes the limit; None for nearly every file, at a glance."""
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return None
    depth = 0
    for token in _TOKEN.finditer(text):
        first = token.group()[0]
        depth += (first in "{[") - (first in "}]")
        if depth > MAX_DEPTH:
            return token.start()
    return None


def _second(text: str, key: str) -> int:
    quoted = json.dumps(key, ensure_ascii=False)
    first = text.find(quoted)
    second = text.find(quoted, first + 1)
    return max(second, first, 0)


def _json_hint(text: str, offset: int) -> str | None:
    before = text[:offset].rstrip()
    if before.endswith(",") and text[offset : offset + 1] in "}]":
        return "take away the comma before it"
    if text[offset : offset + 1] == "'":
        return "JSON has double quotes only"
    if text[offset : offset + 2] in ("//", "/*") or text[offset : offset + 1] == "#":
        return "JSON has no comments"
    return None


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield from () if value.isascii() else value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(key)
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def type_name(value: object) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    names = {bool: "true or false", str: "a text", dict: "an object", list: "a list"}
    return names.get(type(value), "a number")
