"""One file of `agents/` → an agent."""

import hashlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import Field

from amodal_rt.definitions import frontmatter
from amodal_rt.definitions.document import Document
from amodal_rt.definitions.judging import judge
from amodal_rt.definitions.loop_file import LoopShape, read_loop
from amodal_rt.definitions.positions import Place
from amodal_rt.definitions.shapes import FileShape, Filled, Models, Temperature, described
from amodal_rt.definitions.source import SourceError, decode
from amodal_rt.domain.connection import Agent
from amodal_rt.domain.problem import Problem

_OF_THE_LOOP = ("model", "temperature", "tools", "connections", "max_turns")


class AgentShape(FileShape):
    """The front matter of an agent."""

    description: Annotated[str | None, described("What it is good at, for people.")] = None
    model: Annotated[
        Models | None, described("Models to try in order, where the automation has none.")
    ] = None
    temperature: Annotated[
        Temperature | None, described("How freely the model chooses words; default 0.5.")
    ] = None
    tools: Annotated[list[Filled] | None, described("Which tools it may use; default all.")] = None
    connections: Annotated[
        list[Filled] | None, described("Which connections it may use; default all.")
    ] = None
    max_turns: Annotated[
        Annotated[int, Field(ge=1, le=1_000)] | None,
        described("How many exchanges with the model."),
    ] = None
    loop: Annotated[
        LoopShape | None,
        described(
            "A program that does the work in the automation's profile, as the command lines of "
            "coding agents can; default the runtime's own loop."
        ),
    ] = None


def parse_agent(text: bytes, *, file: str) -> tuple[Agent | None, tuple[Problem, ...]]:
    """The agent, or None with at least one error. Without front matter all is instructions."""
    name = PurePosixPath(file).stem
    try:
        content = decode(text, file)
        if frontmatter.has_front_matter(content):
            parts = frontmatter.split(content, file)
            value, places = frontmatter.read_yaml(parts.head, file, parts.first_line)
            body = content[parts.body :]
        else:
            value, places, body = dict[str, object](), dict[str, Place](), content
    except SourceError as error:
        return None, (error.problem,)
    document = Document(file, value, lambda: places)
    shape, problems = judge(document, AgentShape)
    if shape is None:
        return None, problems
    if shape.loop is not None and (wrong := tuple(_conflicts(document, shape))):
        return None, wrong
    return Agent(
        name=name,
        hash=hashlib.sha256(text).hexdigest(),
        instructions=body.replace("\r\n", "\n").strip(),
        models=tuple(shape.model or ()),
        temperature=shape.temperature,
        tools=None if shape.tools is None else tuple(shape.tools),
        connections=None if shape.connections is None else tuple(shape.connections),
        max_turns=shape.max_turns,
        program=read_loop(shape.loop) if shape.loop is not None else None,
    ), ()


def _conflicts(document: Document, shape: AgentShape) -> Iterator[Problem]:
    """A program brings models and tools of its own, which this runtime neither knows nor holds."""
    for key in _OF_THE_LOOP:
        if key in shape.model_fields_set:
            name = document.name((key,))
            message = f"{name} belongs to the runtime's own loop, and loop names a program"
            hint = "its arguments say such things to a program; its profile bounds it"
            yield document.problem("conflict", message, (key,), hint=hint)
