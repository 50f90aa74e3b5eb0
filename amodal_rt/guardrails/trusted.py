"""What the files say: the words, addresses and paths that a tainted run may still aim at.

A text counts as configuration when a person wrote it into the workspace: the automation, its
agent, its connections, knowledge pages, workflows. What a template printed of an event does not.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import unquote

from amodal_rt.guardrails.links import hosts_in

_LIQUID = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_PATH = re.compile(r"(?:(?<=[\s\"'`(=\[>*])|^)(/[^\s\"'`,;()\[\]*]*)", re.MULTILINE)
_HOLE = re.compile(r"\{[^{}/]*\}|<[^<>/]*>|^:[A-Za-z_]\w*$")
# Inside a longer name, address or path the same characters name something else.
_BEFORE = re.compile(r"(?:(?<![\w.@%+~/$-])|(?<=://))")
_AFTER = re.compile(r"/?(?=[.,:;!?]*(?:[\s'\"`)\]}>*]|\Z)|[,;|'\"`)\]}>])")
_MOST_ANSWERS = 1_000


@dataclass(frozen=True, slots=True)
class PathShape:
    """A path of a file: its parts, None where a placeholder stands for one part."""

    parts: tuple[str | None, ...]

    def holes(self, parts: tuple[str, ...]) -> tuple[str, ...] | None:
        """What stands at the placeholders of a path of this shape; None for any other path."""
        if len(parts) != len(self.parts):
            return None
        found: list[str] = []
        for own, given in zip(self.parts, parts, strict=True):
            if own is None:
                found.append(given)
            elif own != given:
                return None
        return tuple(found)


class Trusted:
    """The words of the files. `rules` are texts that grant, as `access.json` and the automation
    itself do; `prose` describes. Both are trusted as words; only `rules` open paths to writes."""

    def __init__(self, *, rules: Iterable[str], prose: Iterable[str] = ()) -> None:
        granting = "\n".join(_LIQUID.sub("{}", each) for each in rules)
        describing = "\n".join(_LIQUID.sub("{}", each) for each in prose)
        self._text = _plain_case(f"{granting}\n{describing}")
        self._granted = _shapes(granting)
        self._answers: dict[str, bool] = {}

    def says(self, value: str) -> bool:
        """Whether a file says exactly this: as a whole word, address or phrase. Capitals of
        ASCII do not count."""
        wanted = _plain_case(value.strip()).rstrip("/")
        if not wanted:
            return False
        said = self._answers.get(wanted)
        if said is None:
            if len(self._answers) >= _MOST_ANSWERS:
                self._answers.clear()
            said = self._answers[wanted] = self._stands_alone(wanted)
        return said

    def _stands_alone(self, wanted: str) -> bool:
        # A pattern around the word would be tried at each character of all files.
        text, place = self._text, self._text.find(wanted)
        while place >= 0:
            if _BEFORE.match(text, place) and _AFTER.match(text, place + len(wanted)):
                return True
            place = text.find(wanted, place + 1)
        return False

    def hosts(self) -> frozenset[str]:
        """The hosts of the addresses that the files write down."""
        return hosts_in((self._text,))

    def shapes(self, parts: int) -> Iterator[PathShape]:
        """The paths of that many parts, of the texts that grant."""
        return (each for each in self._granted if len(each.parts) == parts)


def texts_in(document: str) -> list[str]:
    """Every text of a JSON document, keys included; the document itself where it is none."""
    try:
        value: object = json.loads(document)
    except (ValueError, RecursionError):
        return [document]
    return list(_texts(value))


def parts_of(path: str) -> tuple[str, ...]:
    """The parts of a path, decoded, empty ones left out."""
    return tuple(unquote(part) for part in path.split("/") if part)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, each in cast("Mapping[str, object]", value).items():
            yield key
            yield from _texts(each)
    elif isinstance(value, list):
        for each in cast("list[object]", value):
            yield from _texts(each)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def _shapes(text: str) -> frozenset[PathShape]:
    found: set[PathShape] = set()
    for match in _PATH.finditer(text):
        path = match[1].partition("?")[0].rstrip(".:!")
        parts = [part for part in path.split("/") if part]
        found.add(PathShape(tuple(None if _HOLE.search(part) else unquote(part) for part in parts)))
    return frozenset(found)


def _plain_case(text: str) -> str:
    # Only of ASCII: other letters have capitals that are spelt like somebody else's.
    return text.lower() if text.isascii() else _LATIN.sub(lambda found: found[0].lower(), text)


_LATIN = re.compile("[A-Z]+")
