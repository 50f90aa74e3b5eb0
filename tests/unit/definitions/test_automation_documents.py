"""How an automation file may be written, and the document that is kept of it."""

import json
from typing import Any

import pytest
from definition_samples import WITH_DEFAULTS, definition, session_of

from amodal_rt.definitions.automation import reparse
from amodal_rt.domain.automation import ChatMessage, Lifecycle

EVERYTHING: dict[str, Any] = {
    "promptFile": "prompts/long.md",
    "triggers": [
        {"type": "cron", "schedule": {"at": "2026-03-02T09:00", "timezone": "Asia/Tokyo"}},
        {"type": "webhook", "webhookAuth": {"type": "github", "secret": "env:HOOK"}},
    ],
    "delivery": {"targets": ["reports"], "template": "ä {{ result }}"},
    "limits": {"max_turns": 3},
    "metadata": {"b": 1, "a": [1.5, None, "é"]},
}


def test_a_definition_is_rebuilt_from_its_document() -> None:
    text = json.dumps({"title": "T", **EVERYTHING})
    known = definition(text, using=WITH_DEFAULTS)

    back = reparse(known.document, file=known.file, settings=WITH_DEFAULTS).definition

    assert back
    assert back.automation == known.automation
    assert (back.document, back.hash, back.secrets) == (known.document, known.hash, known.secrets)


def test_the_hash_is_of_what_the_file_says_not_of_how_it_is_written() -> None:
    one = definition('{"title":"T","prompt":"é","limits":{"maxTurns":1,"concurrency":2}}')
    other = definition(
        '{\n "limits": {"concurrency": 2, "maxTurns": 1},\r\n "$schema": "x",\n'
        ' "prompt": "\\u00e9", "title": "T"\n}\n'
    )

    assert (one.hash, one.document) == (other.hash, other.document)
    assert len(one.hash) == 64


def test_another_value_default_or_prompt_file_is_another_hash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = definition(json.dumps({"title": "T", "promptFile": "prompts/long.md"}))
    monkeypatch.setattr("definition_samples.PROMPTS", {"prompts/long.md": "Other."})
    edited = definition(json.dumps({"title": "T", "promptFile": "prompts/long.md"}))

    hashes = {known.hash, edited.hash, definition().hash, definition(timezone="UTC").hash,
              definition(using=WITH_DEFAULTS).hash}  # fmt: skip

    assert len(hashes) == 5
    assert "promptFile" not in known.document


def test_lines_point_at_the_keys() -> None:
    text = '{\n "title": "T", "prompt": "x",\n "delivery": {\n  "targets": [\n   "reports"\n]}}'

    known = definition(text)

    assert known.lines["/delivery/targets/0"] == 5
    assert known.place("/delivery") == "automations/sample.json:3"
    assert known.place("/retry") == "automations/sample.json"
    assert set(known.lines) >= {"", "/title", "/delivery/targets"}


FRONT = """---
title: Weekly Review   # a comment
schedule: "0 16 * * 5"
timezone: Europe/Berlin
connections: [crm]
metadata: {when: 2026-01-05, octal: 0o17, plain: 017, on: yes, n: 1_000, x: 0x1F, f: 1e3}
limits:
  maxTurns: 12
---

# Not a title

Look — closely.\r
---
Still the prompt.
"""


def test_front_matter_holds_the_keys_and_the_body_is_the_prompt() -> None:
    known = definition(FRONT, file="automations/weekly.md")

    found = known.automation
    assert (found.name, found.title, found.connections) == ("weekly", "Weekly Review", ("crm",))
    assert found.limits.max_turns == 12
    assert session_of(found).messages[0].content == (
        "# Not a title\n\nLook — closely.\n---\nStill the prompt."
    )
    assert found.metadata == {
        "when": "2026-01-05", "octal": 15, "plain": 17, "on": "yes", "n": 1000, "x": 31, "f": 1000.0
    }  # fmt: skip
    assert (known.lines["/limits/maxTurns"], known.lines["/prompt"]) == (8, 11)


@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_and_a_bom_change_nothing(bom: str, end: str) -> None:
    text = f"{bom}---\ntitle: T\nstatus: draft\n---\nOne.\n\nTwo.\n".replace("\n", end)
    legacy = f"{bom}# Automation: T\n\nSchedule: @daily\n\n## Check\n\nA\n".replace("\n", end)

    found = definition(text, file="automations/a.md").automation
    old = definition(legacy, file="automations/b.md").automation

    assert session_of(found).messages[0].content == "One.\n\nTwo."
    assert found.status is Lifecycle.DRAFT
    assert (old.title, session_of(old).messages[0].content) == ("T", "A")
    assert definition(bom + '{"title": "T", "prompt": "x"}').automation.title == "T"


def test_front_matter_alone_may_hold_the_prompt() -> None:
    found = definition("---\ntitle: T\nprompt: x\n---\n", file="automations/a.md").automation

    assert session_of(found).messages == (ChatMessage("user", "x"),)
