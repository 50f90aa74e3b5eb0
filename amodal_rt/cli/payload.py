"""What `--payload` says."""

import json
import math
import sys
from pathlib import Path


def parse(text: str) -> object:
    """The JSON value: the text itself, `-` for standard input, `@FILE` for a file's content.

    Raises ValueError, also for NaN and what no program could read back.
    """
    try:
        return json.loads(_content(text), parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _content(text: str) -> str:
    if text == "-":
        return sys.stdin.read()
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{text[1:]}: {error.strerror}") from None


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is no JSON value")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is too large a number")
    return number
