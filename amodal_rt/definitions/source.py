"""The bytes of a file → its text, or a JSON document."""

import json
import math
import re
from typing import cast

from amodal_rt.definitions.document import Document
from amodal_rt.definitions.positions import Offsets, json_places, place_of
from amodal_rt.definitions.words import shown, type_name
from amodal_rt.domain.problem import Problem

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32

_STRING = r'"(?:[^"\\]|\\.)*"'
_BRACKET = re.compile(_STRING + r"|[{}\[\]]", re.DOTALL)
_NUMBER = re.compile(_STRING + r"|(-?(?:[0-9][0-9.eE+-]*|NaN|Infinity))", re.DOTALL)
_SURROGATE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|\\[^u]|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})",
    re.DOTALL,
)
_ODD_QUOTES = "'\u2018\u2019\u201c\u201d\u201e"
_NUL = re.compile(r"\\[^u]|(\\u0000)", re.DOTALL)
_JSON_WORDS = (
    # How Python's reader begins its message; what a newcomer can act on; the hint.
    ("Expecting property name", "a key in double quotes is expected here", None),
    ("Illegal trailing comma", "a key or value is expected after the comma", None),
    ("Expecting value", "a value is expected here", None),
    ("Expecting ':'", "a colon is expected between a key and its value", None),
    ("Expecting ','", "a comma or a closing bracket is expected here", None),
    ("Extra data", "the file goes on after its end", "it holds one object and nothing after it"),
    ("Unterminated string", "a text has no closing quote", "was the file saved completely?"),
    (
        "Invalid control",
        "a line break or control character stands inside a text",
        r"write a line break as \n, a tab as \t",
    ),
    ("Invalid \\", "an escape that JSON does not have", r"write a backslash as \\"),
)


class SourceError(Exception):
    """The bytes are no document at all; carries the one problem that says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def refusal(
    text: str, file: str, code: str, message: str, offset: int, hint: str | None = None
) -> SourceError:
    """The error at a character offset of the text."""
    line, column = place_of(text, offset)
    return SourceError(
        Problem(file=file, code=code, message=message, line=line, column=column, hint=hint)
    )


def decode(raw: bytes, file: str) -> str:
    """The text of a file, without a BOM. Raises SourceError for what no text file may be."""
    if len(raw) > MAX_BYTES:
        size = f"{len(raw):,} bytes; at most {MAX_BYTES:,} are read"
        raise SourceError(Problem(file=file, code="too_large", message=f"the file has {size}"))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8").removeprefix("\ufeff")
        message = f"the byte 0x{raw[error.start]:02x} here is not UTF-8"
        hint = "save the file as UTF-8"
        raise refusal(before, file, "not_utf8", message, len(before), hint) from None
    text = text.removeprefix("\ufeff")
    if "\0" in text:
        message = "a NUL character: this is not a text file"
        raise refusal(text, file, "not_text", message, text.index("\0"), "save it as UTF-8 text")
    if not text.strip():
        raise SourceError(Problem(file=file, code="empty_file", message="the file is empty"))
    return text


def read_json(raw: bytes, file: str) -> Document:
    """A JSON object. Raises SourceError for anything else, duplicate keys included."""
    text = decode(raw, file)
    deep = _too_deep(text)
    if deep is not None:
        raise refusal(text, file, "too_deep", f"nested deeper than {MAX_DEPTH} levels", deep)
    try:
        value = cast("object", _DECODER.decode(text))
    except json.JSONDecodeError as error:
        raise _bad_json(text, file, error) from None
    except _RepeatedKeyError as error:
        raise _repeated(text, file, error.key) from None
    except (ValueError, RecursionError):
        raise _bad_number(text, file) from None
    if not isinstance(value, dict):
        message = f"the file holds {type_name(value)}, not an object"
        offset = len(text) - len(text.lstrip())
        raise refusal(text, file, "wrong_type", message, offset, 'begin with {"title": …')
    half = _lone_surrogate(text)
    if half is not None:
        message = "this escape is half of a character (a lone surrogate)"
        raise refusal(text, file, "bad_json", message, half, "write the character itself")
    nul = _escaped_nul(text)
    if nul is not None:
        message = "an escape for the character NUL, at which other programs end a text"
        raise refusal(text, file, "bad_json", message, nul, "take it away")
    return Document(file, cast("dict[str, object]", value), lambda: json_places(text))


class _RepeatedKeyError(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _RepeatedKeyError(key)
            seen.add(key)
    return found


def _constant(name: str) -> object:
    raise ValueError(name)


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(digits)
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant, parse_float=_float)


def _too_deep(text: str) -> int | None:
    """The offset at which nesting passes the limit; None for nearly every file, at a glance."""
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return None
    depth = 0
    for token in _BRACKET.finditer(text):
        first = token.group()[0]
        depth += (first in "{[") - (first in "}]")
        if depth > MAX_DEPTH:
            return token.start()
    return None


def _repeated(text: str, file: str, key: str) -> SourceError:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        # The rest of the text is worse: without it, no walk can find the second key.
        return _bad_json(text, file, error)
    except ValueError:
        return _bad_number(text, file)
    again = Offsets(text).repeated
    key, offset = again[0] if again else (key, 0)
    message = f"the key {shown(key)} stands twice in one object"
    return refusal(text, file, "duplicate_key", message, offset, "keep one of them")


def _bad_number(text: str, file: str) -> SourceError:
    for match in _NUMBER.finditer(text):
        number = match[1]
        if not number:
            continue
        if number.lstrip("-") in ("NaN", "Infinity"):
            message = f"{number} is not a JSON number"
            return refusal(text, file, "bad_json", message, match.start(), "use null, or a text")
        if len(number) > 300 or not math.isfinite(_float_or_inf(number)):
            message = f"the number {number[:12]}… is too large"
            return refusal(text, file, "bad_json", message, match.start())
    return refusal(text, file, "bad_json", "a number in the file cannot be read", 0)


def _float_or_inf(digits: str) -> float:
    try:
        return float(digits)
    except ValueError:
        return 0.0


def _lone_surrogate(text: str) -> int | None:
    if "\\ud" not in text and "\\uD" not in text:
        return None
    return next((match.start(1) for match in _SURROGATE.finditer(text) if match[1]), None)


def _escaped_nul(text: str) -> int | None:
    if "\\u0000" not in text:
        return None
    return next((match.start(1) for match in _NUL.finditer(text) if match[1]), None)


def _bad_json(text: str, file: str, error: json.JSONDecodeError) -> SourceError:
    offset, end = error.pos, len(text.rstrip())
    before = text[:offset].rstrip()
    if offset >= end and not error.msg.startswith("Unterminated"):
        message, hint = "the file ends in the middle", "was it saved completely?"
        return refusal(text, file, "bad_json", f"not JSON: {message}", end, hint)
    message, hint = next(
        ((words, hint) for start, words, hint in _JSON_WORDS if error.msg.startswith(start)),
        (error.msg.lower(), None),
    )
    here = text[offset : offset + 1]
    # Where Python's versions differ (at the comma, or after it), the comma is what to mend.
    comma = offset if here == "," and text[offset + 1 :].lstrip()[:1] in ("}", "]") else None
    if before.endswith(",") and here in ("}", "]"):
        comma = len(before) - 1
    if comma is not None:
        message, hint, offset = "a comma stands before a closing bracket", "take it away", comma
    elif text[offset : offset + 2] in ("//", "/*") or here == "#":
        hint = "JSON has no comments; use a description"
    elif here and here in _ODD_QUOTES:
        hint = 'JSON has straight double quotes only: "'
    elif error.msg.startswith("Expecting ','") and here == '"':
        hint = "is a comma missing at the end of the line before, or a \\ before a quote?"
    elif text[offset : offset + 4] in ("True", "None") or text[offset : offset + 5] == "False":
        hint = "JSON writes true, false and null"
    elif here.isalpha() and error.msg.startswith("Expecting value"):
        hint = "a text stands in double quotes"
    return refusal(text, file, "bad_json", f"not JSON: {message}", offset, hint)
