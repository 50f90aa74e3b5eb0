"""The last message of an agent, parsed where it is JSON."""

import json
import re
from typing import NoReturn, cast

_FENCED = re.compile(r"\A[^`]*```(?:json|JSON)?[ \t]*\n(.*?)\n[ \t]*```[^`]*\Z", re.DOTALL)


def parse_payload(text: str) -> object:
    """An object or list, when the text is one or holds exactly one fenced block that is one;
    otherwise None."""
    whole = _parsed(text.strip())
    if whole is not None:
        return whole
    fenced = _FENCED.match(text)
    return _parsed(fenced[1]) if fenced else None


def count_of(document: object) -> int | None:
    """How many entries a JSON list has; None for anything else."""
    return len(cast("list[object]", document)) if isinstance(document, list) else None


def _parsed(text: str) -> object:
    if not text.startswith(("{", "[")):
        return None
    try:
        value: object = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return value


def _no_constant(name: str) -> NoReturn:
    # NaN and Infinity are no JSON: whoever receives the payload could not read it.
    raise ValueError(name)
