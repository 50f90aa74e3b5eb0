"""The pages about delivery say what the code does."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from delivery_samples import (
    NOW,
    CountingIds,
    alerting,
    completed,
    definition,
    failure,
    run,
    webhook,
)

from amodal_rt.definitions.automation import parse_automation
from amodal_rt.definitions.settings import parse_settings
from amodal_rt.delivery.planner import DeliveryPlanner
from amodal_rt.delivery.request import build_request
from amodal_rt.domain.delivery import FailureState
from amodal_rt.domain.workspace import WorkspaceSettings

DOCS = Path(__file__).parents[3] / "docs" / "how-to"
PLANNER = DeliveryPlanner(CountingIds())


def _blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def _shown(page: str, number: int) -> dict[str, Any]:
    return json.loads(_blocks(page, "json")[number])


@pytest.mark.parametrize("page", ["deliver-results.md", "alert-on-failure.md"])
def test_every_json_block_is_json(page: str) -> None:
    for block in _blocks(page, "json"):
        json.loads(block)


@pytest.mark.parametrize("page", ["deliver-results.md", "alert-on-failure.md"])
def test_every_automation_shown_is_valid(page: str) -> None:
    settings = WorkspaceSettings(targets={"reports": webhook()})
    shown = [block for block in _blocks(page, "json") if "prompt" in json.loads(block)]

    parsed = [
        parse_automation(
            block.encode(), file="automations/shown.json", settings=settings, read_prompt=str
        )
        for block in shown
    ]

    assert parsed
    assert [each.problems for each in parsed] == [()] * len(parsed)
    assert all(each.definition is not None for each in parsed)


@pytest.mark.parametrize(
    ("page", "blocks"), [("deliver-results.md", 2), ("alert-on-failure.md", 1)]
)
def test_every_settings_file_shown_is_valid(page: str, blocks: int) -> None:
    shown = [
        block
        for block in _blocks(page, "json")
        if json.loads(block).keys() <= {"targets", "defaults", "egress"}
    ]

    assert [parse_settings(block.encode(), "amodal.json")[1] for block in shown] == [()] * blocks


def test_the_shown_result_is_what_the_shown_automation_sends() -> None:
    automation, shown = (_shown("deliver-results.md", number) for number in (0, 1))
    known = definition(webhook(), template=automation["delivery"]["template"])

    plan = PLANNER.plan(run(), completed(shown["result"]), known, FailureState(), NOW)

    (message,) = plan.messages
    own = {"automation", "timestamp", "run_id"}
    assert list(message.body) == list(shown)
    assert {key: value for key, value in message.body.items() if key not in own} == {
        key: value for key, value in shown.items() if key not in own
    }


def test_the_shown_alert_is_what_two_failures_send() -> None:
    shown = _shown("alert-on-failure.md", 2)
    known = definition(alert=alerting(webhook(), after=2))

    plan = PLANNER.plan(
        run(), failure(shown["reason"], shown["error"]), known, FailureState(consecutive=2), NOW
    )

    (message,) = plan.messages
    said = str(message.body["text"]).replace("Daily Digest", "Revenue Digest")
    assert list(message.body) == list(shown)
    assert said.rpartition(" ")[0] == shown["text"].rpartition(" ")[0]


def test_the_shown_verification_accepts_our_signature_and_no_other() -> None:
    (code,) = _blocks("deliver-results.md", "python")
    names: dict[str, Any] = {}
    exec(code, names)
    is_genuine = names["is_genuine"]
    plan = PLANNER.plan(run(), completed("Größe"), definition(webhook()), FailureState(), NOW)
    key = b"0123456789abcdef"
    secret = "whsec_" + base64.b64encode(key).decode()

    request = build_request(plan.messages[0], url="https://x.example", secret=secret, timestamp=7)

    headers = dict(request.headers)
    assert is_genuine(key, headers, request.body)
    assert not is_genuine(key, headers, request.body + b" ")
    assert not is_genuine(b"another", headers, request.body)
    assert not is_genuine(key, {**headers, "webhook-timestamp": "8"}, request.body)
