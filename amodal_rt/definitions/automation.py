"""One automation file → one definition, or what is wrong with it."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import cast

from amodal_rt.definitions import markdown
from amodal_rt.definitions.automation_file import AutomationShape
from amodal_rt.definitions.building import Builder
from amodal_rt.definitions.judging import judge
from amodal_rt.definitions.shapes import suggestion
from amodal_rt.definitions.source import Document, Lines, SourceError, read_json, snake
from amodal_rt.domain.automation import STEM, Automation, Definition
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.workspace import WorkspaceSettings
from amodal_rt.errors import InvalidError

ReadPrompt = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Parsed:
    """A definition, or None with at least one error among `problems`."""

    definition: Definition | None
    problems: tuple[Problem, ...] = ()


def parse_automation(
    text: bytes, *, file: str, settings: WorkspaceSettings, read_prompt: ReadPrompt
) -> Parsed:
    """Read one `.json` or `.md` file. Never raises for what the file holds.

    `file` is relative to the workspace; its stem is the automation's name. `read_prompt`
    gives the text of a `promptFile` and raises InvalidError when there is none.
    """
    stem = PurePosixPath(file).stem
    if not STEM.fullmatch(stem):
        return Parsed(None, (_bad_stem(stem, file),))
    try:
        document = markdown.read(text, file) if file.endswith(".md") else read_json(text, file)
    except SourceError as error:
        return Parsed(None, (error.problem,))
    document, problems = _with_prompt(document, read_prompt)
    if problems:
        return Parsed(None, problems)
    return _build(_with_defaults(document, settings), stem, settings)


def reparse(document: str, *, file: str, settings: WorkspaceSettings) -> Parsed:
    """The definition that `Definition.document` once came from, for the last good version."""
    value = cast("dict[str, object]", json.loads(document))
    return _build(Document(file, value, dict), PurePosixPath(file).stem, settings)


def _build(document: Document, stem: str, settings: WorkspaceSettings) -> Parsed:
    shape, problems = judge(document, AutomationShape)
    if shape is None:
        return Parsed(None, problems)
    builder = Builder(document, settings)
    automation = builder.automation(stem, shape)
    if automation is None:
        return Parsed(None, builder.sorted_problems())
    return Parsed(_definition(document, automation, builder), builder.sorted_problems())


def _definition(document: Document, automation: Automation, builder: Builder) -> Definition:
    value = {key: each for key, each in document.value.items() if key != "$schema"}
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return Definition(
        automation=automation,
        hash=hashlib.sha256(canonical.encode()).hexdigest(),
        document=canonical,
        file=document.file,
        secrets=tuple(sorted(builder.secrets)),
        lines=Lines(document),
    )


def _with_prompt(
    document: Document, read_prompt: ReadPrompt
) -> tuple[Document, tuple[Problem, ...]]:
    """`promptFile` replaced by its text: a version must not change behind its hash."""
    key = next((each for each in ("promptFile", "prompt_file") if each in document.value), None)
    path = document.value.get(key) if key else None
    if key is None or not isinstance(path, str) or "prompt" in document.value:
        return document, ()
    try:
        text = read_prompt(path)
    except InvalidError as error:
        return document, (document.problem(error.code, error.message, (key,), hint=error.hint),)
    value = {each: item for each, item in document.value.items() if each != key}
    return Document(document.file, {**value, "prompt": text}, lambda: document.places), ()


def _with_defaults(document: Document, settings: WorkspaceSettings) -> Document:
    missing = {
        key: value for key, value in settings.defaults.items() if not _has(document.value, key)
    }
    if not missing:
        return document
    return Document(document.file, {**document.value, **missing}, lambda: document.places)


def _has(value: Mapping[str, object], key: str) -> bool:
    return key in value or snake(key) in value


def _bad_stem(stem: str, file: str) -> Problem:
    near = suggestion(stem, [fit_stem(stem)])
    return Problem(
        file=file,
        code="bad_name",
        message=f"{stem!r} cannot name an automation",
        hint=near or "lower-case letters, digits, - and _; 64 characters at most",
    )


def fit_stem(text: str) -> str:
    """The nearest allowed name: `Daily Digest` → `daily-digest`."""
    kept = "".join(each if each.isascii() and each.isalnum() else "-" for each in text.lower())
    return "-".join(part for part in kept.split("-") if part)[:64] or "automation"
