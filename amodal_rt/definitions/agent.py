"""One file of `agents/` → an agent."""

import hashlib
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import Field

from amodal_rt.definitions import frontmatter
from amodal_rt.definitions.judging import judge
from amodal_rt.definitions.shapes import FileShape, Filled, Listed
from amodal_rt.definitions.source import Document, SourceError, decode
from amodal_rt.domain.connection import Agent
from amodal_rt.domain.problem import Problem


class AgentShape(FileShape):
    """The front matter of an agent."""

    description: str | None = None
    model: Annotated[list[Filled] | None, Listed, Field(min_length=1)] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    tools: list[Filled] | None = None
    connections: list[Filled] | None = None
    max_turns: Annotated[int | None, Field(ge=1, le=1_000)] = None


def parse_agent(text: bytes, *, file: str) -> tuple[Agent | None, tuple[Problem, ...]]:
    """The agent, or None with at least one error. Without front matter all is instructions."""
    name = PurePosixPath(file).stem
    try:
        content = decode(text, file)
        if frontmatter.has_front_matter(content):
            head, body, first = frontmatter.split(content, file)
            value, places = frontmatter.read_yaml(head, file, first)
        else:
            value, places, body = {}, {}, content
    except SourceError as error:
        return None, (error.problem,)
    shape, problems = judge(Document(file, value, lambda: places), AgentShape)
    if shape is None:
        return None, problems
    return Agent(
        name=name,
        hash=hashlib.sha256(text).hexdigest(),
        instructions=body.strip(),
        models=tuple(shape.model or ()),
        temperature=shape.temperature,
        tools=None if shape.tools is None else tuple(shape.tools),
        connections=None if shape.connections is None else tuple(shape.connections),
        max_turns=shape.max_turns,
    ), ()
