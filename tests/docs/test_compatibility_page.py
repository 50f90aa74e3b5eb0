"""Every other spelling on the page about compatibility means what the page says."""

import json
from dataclasses import replace
from typing import Any

import doc_pages
import pytest

from amodal_rt.definitions.automation import parse_automation
from amodal_rt.domain.automation import Automation
from amodal_rt.domain.delivery import Target, TargetType
from amodal_rt.domain.workspace import WorkspaceSettings

PAGE = doc_pages.DOCS / "reference" / "compatibility.md"
SETTINGS = WorkspaceSettings(
    targets={"reports": Target(type=TargetType.WEBHOOK, label="x", url="https://x.example/in")}
)
OURS: dict[str, Any] = {"title": "Digest", "schedule": {"cron": "0 9 * * *"}, "prompt": "Report."}


def _automation(document: dict[str, Any] | str, file: str = "digest.json") -> Automation:
    text = document if isinstance(document, str) else json.dumps(document)
    parsed = parse_automation(
        text.encode(), file=f"automations/{file}", settings=SETTINGS, read_prompt=str
    )
    assert parsed.definition is not None, parsed.problems
    return parsed.definition.automation


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"title": "Digest"}, {"name": "Digest"}),
        ({"writeEnabled": True}, {"write_enabled": True}),
        ({"limits": {"maxTurns": 3}}, {"limits": {"max_turns": 3}}),
        ({"schedule": {"cron": "0 9 * * *"}}, {"schedule": "0 9 * * *"}),
        ({"prompt": "Report."}, {"messages": "Report."}),
        ({"prompt": "Report."}, {"messages": [{"role": "user", "content": "Report."}]}),
        ({"delivery": {"targets": ["reports"]}}, {"delivery": {"targets": "reports"}}),
        ({"delivery": {"targets": ["reports"]}}, {"delivery": "reports"}),
        ({"failureAlert": {"targets": ["reports"]}}, {"failureAlert": "reports"}),
    ],
    ids=str,
)
def test_both_spellings_are_one_automation(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    rest = {key: value for key, value in OURS.items() if key not in ours}

    assert _automation({**rest, **theirs}) == _automation({**rest, **ours})


def test_the_legacy_form_says_what_the_page_says() -> None:
    (legacy,) = [each.text for each in doc_pages.blocks("markdown") if each.page == PAGE]
    in_json = {
        "title": "Morning Brief",
        "schedule": "0 7 * * *",
        "prompt": "Read the runs since yesterday morning.",
    }

    found = _automation(legacy, "digest.md")

    assert replace(found, name="digest") == _automation(in_json)


def test_both_spellings_at_once_are_refused() -> None:
    parsed = parse_automation(
        json.dumps({**OURS, "writeEnabled": True, "write_enabled": True}).encode(),
        file="automations/digest.json",
        settings=SETTINGS,
        read_prompt=str,
    )

    assert parsed.definition is None
