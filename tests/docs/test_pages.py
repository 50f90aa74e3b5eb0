"""What pages show is what the program takes."""

import json
import re
import shlex
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from functools import cache
from pathlib import Path
from typing import Any

import doc_pages
import pytest
import typer
from doc_pages import Block
from jsonschema import Draft202012Validator

from amodal_rt.cli.app import build
from amodal_rt.definitions.agent import parse_agent
from amodal_rt.definitions.automation import parse_automation
from amodal_rt.definitions.connection import parse_connection
from amodal_rt.definitions.event_type import parse_event_type
from amodal_rt.definitions.graph import parse_workflow
from amodal_rt.definitions.identities import parse_identities
from amodal_rt.definitions.integration import parse_integration
from amodal_rt.definitions.naming_workflows import Workflows
from amodal_rt.definitions.profile import ProfileShape, parse_profile
from amodal_rt.definitions.schema import automation_schema
from amodal_rt.definitions.settings import SettingsShape, parse_settings
from amodal_rt.definitions.shapes import FileShape
from amodal_rt.domain.delivery import Target, TargetType
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.workflow import Script
from amodal_rt.domain.workspace import WorkspaceSettings

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_INLINE = re.compile(r"`((?:ops|amodal-rt) [^`]+)`")
_TARGET = Target(type=TargetType.WEBHOOK, label="x", url="https://x.example/in")
_SETTINGS = WorkspaceSettings(targets={"reports": _TARGET, "oncall": _TARGET})
_WORK = {"prompt", "promptFile", "messages", "inputTemplate", "workflow", "command"}
_SCRIPTS = {"greeting": Script(name="greeting", source="1", file="scripts/greeting.py")}
_GRAPH = b'{"kind": "WorkflowGraph", "nodes": [{"kind": "trigger", "id": "start"}]}'
_WELCOME, _ = parse_workflow(_GRAPH, file="workflows/welcome.json", scripts={})
assert _WELCOME is not None
_WORKFLOWS = Workflows(named={"welcome": _WELCOME})
_SCHEMA = Draft202012Validator(automation_schema())
_REST = b'{"protocol": "rest", "baseUrl": "https://api.example.com"}'


def _targets(page: Path) -> list[tuple[Path, str]]:
    """Where a page's own links lead: the file, and the place in it."""
    found = [each.partition("#") for each in _LINK.findall(doc_pages.prose(page))]
    return [
        ((page.parent / path).resolve() if path else page, anchor)
        for path, _, anchor in found
        if not re.match(r"[a-z+]+:", path)
    ]


@pytest.mark.parametrize("page", doc_pages.pages(), ids=doc_pages.name)
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(page: Path) -> None:
    broken = [
        f"{path.name}#{anchor}"
        for path, anchor in _targets(page)
        if not path.exists() or (anchor and anchor not in set(doc_pages.anchors(path)))
    ]

    assert broken == []


def test_every_page_can_be_reached_from_the_index() -> None:
    index = doc_pages.DOCS / "index.md"
    listed = doc_pages.DOCS / "decisions" / "README.md"
    reached = {path for start in (index, listed) for path, _ in _targets(start)} | {index}

    assert [
        doc_pages.name(page) for page in doc_pages.DOCS.rglob("*.md") if page not in reached
    ] == []


@pytest.mark.parametrize("block", doc_pages.blocks("json"), ids=str)
def test_every_json_block_is_what_the_program_takes_or_sends(block: Block) -> None:
    document = json.loads(block.text)

    assert _problems(document, block.text.encode()) == ()


Judges = Callable[[AbstractSet[str]], bool]
Reads = Callable[[bytes], tuple[Problem, ...]]
_READERS: tuple[tuple[Judges, Reads], ...] = (
    (
        lambda keys: "protocol" in keys,
        lambda text: parse_connection("shown", {"spec.json": text})[1],
    ),
    (
        lambda keys: "provider" in keys,
        lambda text: parse_integration(text, file="integrations/shown.json")[1],
    ),
    (lambda keys: "members" in keys, lambda text: parse_identities(text, "identities.json")[1]),
    (
        lambda keys: {"description", "sample"} <= keys,
        lambda text: parse_event_type(text, file="events/shown.json")[1],
    ),
    (
        lambda keys: keys <= _known(ProfileShape) and not keys <= {"description", "network"},
        lambda text: parse_profile(text, file="profiles/shown/1.json")[1],
    ),
    # A file of the program that starts the server, or reaches it.
    (lambda keys: keys == {"mcpServers"}, lambda text: ()),
    (
        lambda keys: keys <= {"endpoints", "tools"},
        lambda text: parse_connection("shown", {"spec.json": _REST, "access.json": text})[1],
    ),
    (
        lambda keys: keys <= _known(SettingsShape),
        lambda text: parse_settings(text, "amodal.json")[1],
    ),
)
"""By its keys, which file a block is, and who reads it."""
_SENT = (
    {"automation", "run_id", "text"},
    {"automation", "condition", "text"},
    {"sequence", "type", "data"},
)
"""Keys of the messages that the program sends."""


def _problems(document: dict[str, Any], text: bytes) -> tuple[Problem, ...]:
    """By its keys, a block is one of the files, or a message that the program sends."""
    keys = document.keys()
    if keys & {"title", "name"} and keys & {*_WORK, "nodes"}:
        return _working(document, text)
    read = next((read for is_it, read in _READERS if is_it(keys)), None)
    if read is not None:
        return read(text)
    assert any(keys >= each for each in _SENT), f"what is this? {sorted(keys)}"
    return ()


def _working(document: dict[str, Any], text: bytes) -> tuple[Problem, ...]:
    """An automation, or a graph."""
    if document.get("kind") == "WorkflowGraph":
        return parse_workflow(text, file="workflows/shown.json", scripts=_SCRIPTS)[1]
    _SCHEMA.validate(document)
    return _automation(text, "shown.json")


def _automation(text: bytes, file: str) -> tuple[Problem, ...]:
    parsed = parse_automation(
        text,
        file=f"automations/{file}",
        settings=_SETTINGS,
        read_prompt=lambda path: path,
        workflows=_WORKFLOWS,
    )
    return parsed.problems


def _known(shape: type[FileShape]) -> set[str]:
    return set(shape.model_json_schema(by_alias=True)["properties"])


@pytest.mark.parametrize("block", doc_pages.blocks("markdown"), ids=str)
def test_every_markdown_block_is_an_automation_or_an_agent(block: Block) -> None:
    agent = block.text.startswith("---\n") and "\ntitle:" not in block.text
    text = block.text.encode()

    problems = parse_agent(text, file="agents/a.md")[1] if agent else _automation(text, "shown.md")

    assert problems == ()


@pytest.mark.parametrize("block", doc_pages.blocks("python"), ids=str)
def test_every_python_block_compiles(block: Block) -> None:
    compile(block.text, doc_pages.name(block.page), "exec")


@pytest.mark.parametrize("block", doc_pages.blocks("console"), ids=str)
def test_every_command_in_a_terminal_session_exists(block: Block) -> None:
    shown = doc_pages.commands(block)

    assert shown
    for command in shown:
        _check(command, whole=True)


@pytest.mark.parametrize("page", doc_pages.pages(), ids=doc_pages.name)
def test_every_command_in_the_text_exists(page: Path) -> None:
    for command in _INLINE.findall(doc_pages.prose(page)):
        _check(command, whole=False)


def _check(command: str, *, whole: bool) -> None:
    """That a command of ours, or a target of make, is one; other programs are not ours to know."""
    words = shlex.split(command, comments=True)
    if words[0] == "make":
        assert all(each in _make_targets() or "=" in each for each in words[1:]), command
    if words[0] == "ops":
        words.insert(0, "amodal-rt")
    if words[0] == "amodal-rt":
        _parse(_root(), _before_the_shell(words[1:]), command, whole=whole)


def _before_the_shell(words: list[str]) -> list[str]:
    ends = [place for place, word in enumerate(words) if word in {"|", ">", "&&", ";"}]
    return words[: min(ends, default=len(words))]


def _parse(command: Any, words: list[str], said: str, *, whole: bool) -> None:
    """Walk down the tree, then let the last command read its arguments."""
    groups = getattr(command, "commands", None)
    if groups and words and words[0] in groups:
        _parse(groups[words[0]], words[1:], said, whole=whole)
    elif groups and (not words or words[0] == "…"):
        pass
    elif whole:
        command.make_context(said, words)
    else:
        assert not groups or words[0].startswith("-"), f"no such command: {said}"
        # `ops` as a program of its own has the root's options too.
        parameters = [*command.params, *(_root().params if groups else ())]
        known = {name for each in parameters for name in (*each.opts, *each.secondary_opts)}
        options = {each.partition("=")[0] for each in words if each.startswith("-")}
        assert options <= known | {"--help"}, said


@cache
def _root() -> Any:
    return typer.main.get_command(build())


@cache
def _make_targets() -> frozenset[str]:
    makefile = (doc_pages.ROOT / "Makefile").read_text(encoding="utf-8")
    return frozenset(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))


def test_the_page_on_the_example_workspace_explains_every_file_of_it() -> None:
    example = doc_pages.ROOT / "automations.example"
    page = doc_pages.read(doc_pages.DOCS / "tutorial" / "example-workspace.md")
    files = [path for path in example.rglob("*") if path.is_file() and path.name != "README.md"]

    unexplained = [
        path.relative_to(example).as_posix()
        for path in files
        if path.relative_to(example).as_posix() not in page and path.name not in page
    ]

    assert len(files) >= 10
    assert unexplained == []
