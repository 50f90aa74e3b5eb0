"""Templates within JSON values: what the nodes of a workflow are told.

They see `payload`, `trigger`, `inputs` (what each node before gave, by its id) and `env`. `$` at
the beginning of a path is `payload`. A text that is one `{{ path }}` stands for the value there, of
whatever type; any other text is printed by strict Liquid, where lists and objects are JSON.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import cast

from amodal_rt.errors import InvalidError

ROOTS = ("payload", "trigger", "inputs", "env")
"""The names that a path may begin with."""

_PATH = re.compile(r"\s*\{\{-?\s*((?:\$|[A-Za-z_][\w-]*)(?:\.[\w-]+|\[\d+\])*)\s*-?\}\}\s*")
_STEP = re.compile(r"\.([\w-]+)|\[(\d+)\]")
_DOLLAR = re.compile(r"(\{\{-?\s*|\{%-?[^%]*?[\s(,:])\$(?=[.\s\[}-])")
_WORDS = r"(?:[^{]|\{(?![{%]))*"
_NAME = rf"\{{\{{\s*(?:\$|{'|'.join(ROOTS)})(?:\.[A-Za-z_]\w*|\[\d+\])*\s*\}}\}}"
_PLAIN = re.compile(rf"{_WORDS}(?:{_NAME}{_WORDS})*")
"""Words and paths from the names that there are, and nothing else: most texts."""
_FAILED = "template_render_failed"

_Names = tuple[str | int, ...]


def template_fault(value: object) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What cannot be printed, whatever the scope: where in the value, and why."""
    if isinstance(value, str):
        fault = _fault(value) if "{" in value else None
        if fault:
            yield (), fault
    elif isinstance(value, dict):
        for key, each in cast("dict[str, object]", value).items():
            yield from (((key, *where), fault) for where, fault in template_fault(each))
    elif isinstance(value, list):
        for place, each in enumerate(cast("list[object]", value)):
            yield from (((place, *where), fault) for where, fault in template_fault(each))


def printed_value(value: object, scope: Mapping[str, object]) -> object:
    """The value with every template in it printed. Raises InvalidError
    (`template_render_failed`)."""
    if isinstance(value, str):
        return _printed(value, scope) if "{" in value else value
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        return {key: printed_value(each, scope) for key, each in fields.items()}
    if isinstance(value, list):
        return [printed_value(each, scope) for each in cast("list[object]", value)]
    return value


def printed_task(template: str, scope: Mapping[str, object]) -> str:
    """The template as words for a model: values that came from outside are JSON literals in it.
    Raises InvalidError (`template_render_failed`)."""
    from amodal_rt.definitions.strict_printing import printed_prompt  # noqa: PLC0415

    return printed_prompt(_with_payload(template), scope)


def _printed(text: str, scope: Mapping[str, object]) -> object:
    names = _path_of(text)
    if names is not None:
        return _found(names, scope, text)
    from amodal_rt.definitions.strict_printing import printed_key  # noqa: PLC0415

    return printed_key(_with_payload(text), scope)


@lru_cache(maxsize=4_096)
def _fault(text: str) -> str | None:
    names = _path_of(text)
    if names is not None:
        strange = names[0] not in ROOTS
        return f"there is no name {names[0]}" if strange else None
    # A graph of a thousand nodes has as many texts, and Liquid takes 0.2 ms to look at one.
    if _PLAIN.fullmatch(text):
        return None
    from amodal_rt.definitions.strict_printing import trouble  # noqa: PLC0415

    return trouble(_with_payload(text), ROOTS)


@lru_cache(maxsize=4_096)
def _path_of(text: str) -> _Names | None:
    """The path that the whole text is, or None."""
    match = _PATH.fullmatch(text)
    if match is None:
        return None
    root, *_ = re.split(r"[.\[]", match[1], maxsplit=1)
    steps = _STEP.findall(match[1][len(root) :])
    rest = (name or int(place) for name, place in steps)
    return ("payload" if root == "$" else root, *rest)


def _with_payload(text: str) -> str:
    return _DOLLAR.sub(r"\1payload", text)


def _found(names: _Names, scope: Mapping[str, object], text: str) -> object:
    value: object = scope
    for number, name in enumerate(names):
        if isinstance(value, Mapping) and name in value:
            value = cast("Mapping[object, object]", value)[name]
        elif isinstance(value, list) and _is_place(name, cast("list[object]", value)):
            value = cast("list[object]", value)[int(name)]
        else:
            said = ".".join(map(str, names[: number + 1]))
            message = f"{_FAILED}: {text.strip()}: there is no {said}"
            raise InvalidError(message, code=_FAILED)
    return value


def _is_place(name: str | int, value: list[object]) -> bool:
    return str(name).isdigit() and int(name) < len(value)
