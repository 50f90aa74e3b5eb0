"""The reference is made from the program and leaves nothing out."""

import ast
import importlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import doc_pages
import pytest

import amodal_rt
from amodal_rt.definitions.automation import parse_automation
from amodal_rt.definitions.schema import automation_schema, settings_schema
from amodal_rt.definitions.settings import parse_settings
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.workspace import WorkspaceSettings

REFERENCE = doc_pages.DOCS / "reference"
PACKAGE = Path(amodal_rt.__file__).parent
# docs/generate.py is a script beside its pages, no part of the package.
PAGES: Mapping[str, Callable[[], str]] = importlib.import_module("generate").PAGES


@pytest.mark.parametrize("page", PAGES)
def test_a_generated_page_is_what_the_program_says_today(page: str) -> None:
    assert PAGES[page]() == doc_pages.read(REFERENCE / page), "run: make docs"


def test_every_code_in_the_program_stands_on_the_page_of_errors() -> None:
    listed = set(_first_cells("errors.md"))
    used = {
        keyword.value.value
        for path in PACKAGE.rglob("*.py")
        if path.name != "failpoints.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "code" and isinstance(keyword.value, ast.Constant)
    }

    assert len(used) > 50
    assert used - listed == set()


def test_the_journal_page_has_each_type_once_and_no_other() -> None:
    rows = [each for each in _first_cells("journal.md") if "." in each]

    assert sorted(rows) == sorted(each.value for each in EntryType)


def _first_cells(page: str) -> list[str]:
    text = doc_pages.read(REFERENCE / page)
    return re.findall(r"^\| `([a-z0-9_.]+)` \|", text, re.MULTILINE)


def _later(schema: dict[str, object]) -> list[str]:
    properties = schema["properties"]
    assert isinstance(properties, dict)
    return [key for key, field in properties.items() if field.get("x-not-yet")]


@pytest.mark.parametrize("key", _later(automation_schema()))
def test_a_key_that_is_listed_as_not_built_is_refused_as_such(key: str) -> None:
    assert _codes({"title": "x", "prompt": "x", key: "x"}) == {"not_yet"}


@pytest.mark.parametrize("key", _later(settings_schema()))
def test_a_setting_that_is_listed_as_not_built_is_refused_as_such(key: str) -> None:
    _, problems = parse_settings(json.dumps({key: "x"}).encode(), "amodal.json")

    assert {each.code for each in problems} == {"not_yet"}


def test_each_row_of_what_is_not_built_in_an_automation_is_refused_as_such() -> None:
    later = doc_pages.read(REFERENCE / "automation-file.md").partition("## Not built yet")[2]
    rows = re.findall(r"^\| (?:(\w+): )?`(.+?)` \|", later, re.MULTILINE)

    refused = {row: _codes({"title": "x", "prompt": "x", **_written(*row)}) for row in rows}

    assert ("prefills", "participants") in refused
    assert {row: found for row, found in refused.items() if found != {"not_yet"}} == {}


def _written(place: str, named: str) -> dict[str, object]:
    """What a file says that uses a row: a value as it stands there, else any of a key."""
    if named.startswith('"'):
        return json.loads(f"{{{named}}}")
    return {place: {named: {}}} if place else {named: "x"}


def _codes(document: dict[str, object]) -> set[str]:
    parsed = parse_automation(
        json.dumps(document).encode(),
        file="automations/shown.json",
        settings=WorkspaceSettings(),
        read_prompt=str,
    )
    return {each.code for each in parsed.problems}
