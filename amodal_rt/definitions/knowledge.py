"""One file of `knowledge/` → a page that agents may read."""

from pathlib import PurePosixPath

from amodal_rt.definitions.source import SourceError, decode
from amodal_rt.domain.connection import Knowledge
from amodal_rt.domain.problem import Problem


def parse_knowledge(text: bytes, *, file: str) -> tuple[Knowledge | None, tuple[Problem, ...]]:
    """The page; its title is its first heading, else its name."""
    try:
        content = decode(text, file)
    except SourceError as error:
        return None, (error.problem,)
    name = PurePosixPath(file).stem
    headings = (line.lstrip("#").strip() for line in content.splitlines() if line.startswith("#"))
    return Knowledge(name=name, title=next(headings, name) or name, text=content), ()
