"""`Definition.document` alone brings a version back, whatever happened to the workspace since."""

import json
from dataclasses import replace
from typing import Any

import pytest

from amodal_rt.definitions.automation import parse_automation, reparse
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.delivery import Format, Target, TargetType
from amodal_rt.domain.secret import SecretRef
from amodal_rt.domain.workspace import WorkspaceSettings

FILE = "automations/digest.json"
REPORTS = Target(
    type=TargetType.WEBHOOK, label="#reports", url=SecretRef("REPORTS"), format=Format.SLACK
)
SETTINGS = WorkspaceSettings(
    targets={"reports": REPORTS},
    defaults={"timezone": "Europe/Berlin", "failureAlert": {"after": 2, "targets": ["reports"]}},
)


def _definition(
    settings: WorkspaceSettings = SETTINGS, prompt: str = "Look.", **keys: Any
) -> Definition:
    text = json.dumps(
        {"title": "Digest", "schedule": "0 9 * * *", "promptFile": "p.md", **keys}
    ).encode()
    parsed = parse_automation(text, file=FILE, settings=settings, read_prompt=lambda _: prompt)
    assert parsed.definition is not None, parsed.problems
    return parsed.definition


def _again(definition: Definition, settings: WorkspaceSettings) -> Definition:
    parsed = reparse(definition.document, file=FILE, settings=settings)
    assert parsed.definition is not None, parsed.problems
    return parsed.definition


def test_a_version_comes_back_as_it_was() -> None:
    known = _definition(delivery={"targets": ["reports"], "template": "{{ result }}"})

    back = _again(known, SETTINGS)

    assert back.automation == known.automation
    assert (back.hash, back.document) == (known.hash, known.document)
    assert back.secrets == known.secrets == ("REPORTS",)


def test_a_version_delivers_where_its_named_target_leads_now() -> None:
    known = _definition(delivery="reports")
    moved = replace(REPORTS, url=SecretRef("ELSEWHERE"))

    delivery = _again(known, replace(SETTINGS, targets={"reports": moved})).automation.delivery

    assert delivery is not None
    assert delivery.targets == (moved,)


def test_a_version_without_its_named_target_says_which() -> None:
    known = _definition(delivery="reports")

    parsed = reparse(known.document, file=FILE, settings=replace(SETTINGS, targets={}))

    assert parsed.definition is None
    assert "reports" in parsed.problems[0].message


def test_a_version_takes_no_default_that_came_later() -> None:
    known = _definition(replace(SETTINGS, defaults={}))

    back = _again(known, replace(SETTINGS, defaults={"retry": {"attempts": 3}}))

    assert back.automation == known.automation


def test_the_text_of_a_prompt_file_is_part_of_the_version() -> None:
    assert _definition(prompt="Look.").hash != _definition(prompt="Look closely.").hash
    assert "Look closely." in _definition(prompt="Look closely.").document


def test_a_document_names_variables_and_holds_no_place_of_the_file() -> None:
    url = "env:REPORTS"
    known = _definition(
        **{"$schema": "../schema.json", "delivery": {"targets": [{"type": "webhook", "url": url}]}}
    )

    assert url in known.document
    assert "$schema" not in known.document


@pytest.mark.parametrize("document", ["", "{", "[]", "null", '{"title": 1}'])
def test_a_document_that_cannot_be_read_is_a_problem(document: str) -> None:
    parsed = reparse(document, file=FILE, settings=SETTINGS)

    assert parsed.definition is None
    assert parsed.problems
