"""One file of `knowledge/` → a page that agents may read."""

import re
from pathlib import PurePosixPath

from amodal_rt.definitions.source import SourceError, decode
from amodal_rt.domain.connection import Knowledge
from amodal_rt.domain.problem import Problem

_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.*?)[ \t]*#*[ \t]*")
_FENCES = ("```", "~~~")


def parse_knowledge(text: bytes, *, file: str) -> tuple[Knowledge | None, tuple[Problem, ...]]:
    """The page; its title is its first heading, else its name."""
    try:
        content = decode(text, file)
    except SourceError as error:
        return None, (error.problem,)
    name = PurePosixPath(file).stem
    return Knowledge(name=name, title=_title(content) or name, text=content), ()


def _title(content: str) -> str | None:
    """The first heading that is no line of a code block."""
    fenced = False
    for line in content.splitlines():
        if line.lstrip().startswith(_FENCES):
            fenced = not fenced
        match = None if fenced else _HEADING.fullmatch(line)
        if match and match[1]:
            return match[1]
    return None
