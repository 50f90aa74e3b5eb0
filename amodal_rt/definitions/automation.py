"""One automation file → one definition, or what is wrong with it."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from amodal_rt.definitions import markdown
from amodal_rt.definitions.automation_file import AutomationShape
from amodal_rt.definitions.building import Builder
from amodal_rt.definitions.document import Document, Lines, in_file_order
from amodal_rt.definitions.judging import judge
from amodal_rt.definitions.naming_workflows import (
    KEYS,
    Workflows,
    find_workflow,
    kept,
    key_of,
    take_kept,
    with_others,
)
from amodal_rt.definitions.source import SourceError, read_json
from amodal_rt.definitions.words import shown, snake
from amodal_rt.domain.automation import STEM, Automation, Definition, WorkflowRun
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.workspace import WorkspaceSettings
from amodal_rt.errors import InvalidError

ReadPrompt = Callable[[str], str]

_WORK = ("prompt", "messages", "inputTemplate", "input_template", "command", *KEYS)
_NO_WORKFLOWS = Workflows()
_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Parsed:
    """A definition, or None with at least one error among `problems`.

    `linked` tells that what the file says depends on `workflows/` and `scripts/` too.
    """

    definition: Definition | None
    problems: tuple[Problem, ...] = ()
    linked: bool = False


def parse_automation(
    text: bytes,
    *,
    file: str,
    settings: WorkspaceSettings,
    read_prompt: ReadPrompt,
    workflows: Workflows = _NO_WORKFLOWS,
) -> Parsed:
    """Read one `.json` or `.md` file. Never raises for what the file holds.

    `file` is relative to the workspace; its stem is the automation's name. `read_prompt`
    gives the text of a `promptFile` and raises InvalidError when there is none.
    """
    stem, ending = _parts(file)
    if not STEM.fullmatch(stem):
        return Parsed(None, (_bad_stem(stem, ending, file),))
    try:
        document = markdown.read(text, file) if ending == "md" else read_json(text, file)
    except SourceError as error:
        return Parsed(None, (error.problem,))
    document, problem = _with_prompt(document, read_prompt)
    key = key_of(document)
    workflow, wrong = find_workflow(document, key, workflows) if key else (None, ())
    run = with_others(workflow, workflows.named) if workflow else None
    parsed = _build(_with_defaults(document, settings), stem, settings, run)
    wrong = (*wrong, problem) if problem else wrong
    if not wrong:
        return replace(parsed, linked=key is not None)
    problems = in_file_order((*wrong, *parsed.problems))
    return Parsed(None, problems, linked=key is not None)


def reparse(document: str, *, file: str, settings: WorkspaceSettings) -> Parsed:
    """The definition that `Definition.document` once came from, for the last good version.

    Its defaults are those of its time; only named targets are looked up in `settings`.
    """
    try:
        value = cast("object", json.loads(document))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        message = "the last good version that was kept cannot be read"
        return Parsed(None, (Problem(file=file, code="bad_version", message=message),))
    rest, run = take_kept(cast("dict[str, object]", value))
    if run is None and any(rest.get(key) is not None for key in KEYS):
        message = "the workflow of the last good version cannot be read"
        return Parsed(None, (Problem(file=file, code="bad_version", message=message),))
    whole = Document(file, rest, dict[str, tuple[int, int]])
    return _build(whole, _parts(file)[0], settings, run)


def fit_stem(text: str) -> str:
    """The nearest allowed name: `Daily Digest` → `daily-digest`."""
    kept = "".join(
        each if each.isascii() and (each.isalnum() or each == "_") else "-" for each in text.lower()
    )
    words = "-".join(part for part in kept.split("-") if part)
    return words.lstrip("-_")[:64].rstrip("-") or "automation"


def _parts(file: str) -> tuple[str, str]:
    """`daily`, `json` for `automations/daily.json`."""
    # Ten thousand files ask: a path object would take a tenth of their time.
    stem, _, ending = file.rpartition("/")[2].rpartition(".")
    return stem, ending


def _build(
    document: Document, stem: str, settings: WorkspaceSettings, run: WorkflowRun | None
) -> Parsed:
    shape, problems = judge(document, AutomationShape)
    if shape is None:
        return Parsed(None, problems)
    builder = Builder(document, settings, run)
    automation = builder.automation(stem, shape)
    if automation is None:
        return Parsed(None, builder.sorted_problems())
    return Parsed(_definition(document, automation, builder, run), builder.sorted_problems())


def _definition(
    document: Document, automation: Automation, builder: Builder, run: WorkflowRun | None
) -> Definition:
    value = document.value
    if "$schema" in value:
        value = {key: each for key, each in value.items() if key != "$schema"}
    if run is not None:
        value = kept(value, run)
    canonical = _ENCODER.encode(value)
    return Definition(
        automation=automation,
        hash=hashlib.sha256(canonical.encode()).hexdigest(),
        document=canonical,
        file=document.file,
        secrets=tuple(sorted(builder.secrets)),
        lines=Lines(document),
    )


def _with_prompt(document: Document, read_prompt: ReadPrompt) -> tuple[Document, Problem | None]:
    """`promptFile` replaced by its text: a version must not change behind its hash."""
    key = document.name(("promptFile",))
    path = document.value.get(key)
    said = any(document.value.get(each) is not None for each in _WORK)
    if not isinstance(path, str) or not path.strip() or said:
        return document, None
    problem = None
    try:
        text = read_prompt(path)
    except InvalidError as error:
        text, problem = "-", document.problem(error.code, error.message, (key,), hint=error.hint)
    if not text.strip():
        message = f"{key}: {shown(path)} is empty"
        text, problem = "-", document.problem("empty", message, (key,), hint="it is the prompt")
    value = {each: item for each, item in document.value.items() if each != key}

    def places() -> Mapping[str, tuple[int, int]]:
        found = document.places
        return {**found, "/prompt": found[f"/{key}"]} if f"/{key}" in found else found

    return Document(document.file, {**value, "prompt": text}, places), problem


def _with_defaults(document: Document, settings: WorkspaceSettings) -> Document:
    if not settings.defaults:
        return document
    value = document.value
    missing = {
        key: default
        for key, default in settings.defaults.items()
        if key not in value and snake(key) not in value
    }
    return Document(
        document.file, {**value, **missing}, lambda: document.places, frozenset(missing)
    )


def _bad_stem(stem: str, ending: str, file: str) -> Problem:
    return Problem(
        file=file,
        code="bad_name",
        message=f"{shown(stem)} cannot name an automation",
        hint=f"rename it, for example to {fit_stem(stem)}.{ending}: "
        "lower-case letters, digits, - and _; 64 characters at most",
    )
