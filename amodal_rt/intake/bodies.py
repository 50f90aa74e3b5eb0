"""From the bytes of a verified body to the data of its event. Total: every body is kept.

What comes out can always be written as JSON and as UTF-8: at most 64 levels deep, no NaN
or infinity, no integer past 64 bits, no lone surrogate.
"""

import base64
import json
import math
import re
from codecs import BOM_UTF8
from typing import Any, cast
from urllib.parse import parse_qsl

DEEPEST = 64
_LARGEST = 1 << 63
_MOST_FIELDS = 1000
_UTF_8 = "utf-8-sig"
_CHARSETS = {
    "utf-8": _UTF_8,
    "utf8": _UTF_8,
    "us-ascii": "ascii",
    "iso-8859-1": "latin-1",
    "latin-1": "latin-1",
    "windows-1252": "cp1252",
    "utf-16": "utf-16",
}
_CHARSET = re.compile(r"charset\s*=\s*\"?([a-z0-9_-]+)", re.IGNORECASE)
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse_body(body: bytes, content_type: str | None) -> object:
    """JSON or a form as what it says; other text as text; other bytes as
    `{"encoding": "base64", "content_type", "content"}`; nothing as None.

    An object or a list is read as JSON whatever the content type says, for many senders say
    it wrongly; JSON that is malformed or out of bounds is kept as its text.
    """
    if not body:
        return None
    declared = (content_type or "").partition(";")[0].strip().lower()
    text = _decode(body, content_type)
    if text is None:
        return {
            "encoding": "base64",
            "content_type": declared or None,
            "content": base64.b64encode(body).decode("ascii"),
        }
    is_json = declared == "application/json" or declared.endswith("+json")
    if is_json or text.lstrip()[:1] in ("{", "["):
        try:
            return _load(text)
        except (ValueError, RecursionError):
            return text
    if declared == "application/x-www-form-urlencoded":
        return _form(text)
    return text


def load_json(body: bytes) -> object:
    """The JSON value that a body is, within the bounds of what can be kept. Raises ValueError."""
    try:
        return _load(body.removeprefix(BOM_UTF8).decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _decode(body: bytes, content_type: str | None) -> str | None:
    found = _CHARSET.search(content_type) if content_type else None
    charset = _CHARSETS.get(found[1].lower()) if found else _UTF_8
    if charset is None:
        return None
    try:
        # The codec that skips a byte order mark is written in Python: ten times as slow.
        plain = charset == _UTF_8
        text = body.removeprefix(BOM_UTF8).decode() if plain else body.decode(charset)
    except UnicodeDecodeError:
        return None
    # A byte zero in text would end it early in some database or terminal.
    return None if "\0" in text else text


def _load(text: str) -> object:
    data: object = _DECODER.decode(text)
    # Counting is far cheaper than walking, and settles nearly every body.
    if text.count("[") + text.count("{") > DEEPEST:
        _check_depth(data)
    return _scrub(data) if "\\u" in text else data


def _integer(text: str) -> int | str:
    # 5,000 digits are refused by int(), and most readers of JSON lose digits past 64 bits.
    value = int(text) if len(text) < 21 else _LARGEST
    return value if -_LARGEST <= value < _LARGEST else text


def _fraction(text: str) -> float | str:
    value = float(text)
    return value if math.isfinite(value) else text


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_fraction, parse_constant=_refuse)


def _check_depth(data: object) -> None:
    layer = [data]
    for _ in range(DEEPEST):
        layer = [inner for outer in layer for inner in _children(outer)]
        if not layer:
            return
    raise ValueError("nested too deeply")


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        inner = cast("dict[str, object]", value).values()
    elif isinstance(value, list):
        inner = cast("list[object]", value)
    else:
        return []
    return [each for each in inner if isinstance(each, dict | list)]


def _scrub(value: Any) -> Any:
    """The same value with lone surrogates replaced; nested at most `DEEPEST` deep."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_scrub(each) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {_scrub(key): _scrub(each) for key, each in cast("dict[str, Any]", value).items()}
    return value


def _form(text: str) -> object:
    """Each field once as its text, repeated ones as a list, in order; not a form: the text."""
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=True, max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        return text
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}
