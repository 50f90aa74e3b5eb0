"""What `--payload` says."""

import json
import math
import re
import sys
from pathlib import Path

_FORM = re.compile(r"[A-Za-z0-9_.%+*\[\]-]+=[!-~]*\s*\Z")
"""A form begins with a name and an equals sign, and has no white space; no JSON does."""


def parse(text: str) -> object:
    """The JSON value: the text itself, `-` for standard input, `@FILE` for a file's content.

    Raises ValueError, also for NaN and what no program could read back.
    """
    return _parsed(_content(text))


def parse_body(text: str) -> dict[str, object]:
    """What a request's body in a file (`-`, `@FILE`) is: `{"event": …}` for JSON, `{"body": …}`
    for a form as it was sent. Raises ValueError as `parse`."""
    content = _content(text)
    if _FORM.match(content):
        return {"body": content.strip()}
    return {"event": _parsed(content)}


def _content(text: str) -> str:
    if text == "-":
        return sys.stdin.read()
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{text[1:]}: {error.strerror}") from None


def _parsed(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is no JSON value")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is too large a number")
    return number
