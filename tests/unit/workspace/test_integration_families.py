"""Events of an integration whose scheme many senders share are called after its file."""

import json
from pathlib import Path
from typing import Any

import pytest

from amodal_rt.workspace.check import check


@pytest.mark.parametrize("provider", ["standard-webhooks", "hmac-sha256", "custom"])
@pytest.mark.parametrize("event", ["resend.*", "resend.email.sent"])
def test_what_it_sends_is_known_by_its_name(tmp_path: Path, provider: str, event: str) -> None:
    assert _warned(tmp_path, event, provider=provider) == []


def test_the_schemes_name_is_nobodys_event(tmp_path: Path) -> None:
    found = _warned(tmp_path, "standard-webhooks.email.sent", provider="standard-webhooks")

    assert found == ["unknown_event"]


def _warned(root: Path, event: str, **keys: Any) -> list[str]:
    for folder in ("automations", "integrations"):
        (root / folder).mkdir()
    automation = {"title": "T", "prompt": "x", "trigger": event, "connections": []}
    (root / "automations/a.json").write_text(json.dumps(automation))
    if keys["provider"] == "custom":
        keys["header"] = "X-Sign"
    sender = {"secret": "env:SECRET", **keys}
    (root / "integrations/resend.json").write_text(json.dumps(sender))
    found = check(root, env=False)
    return [each.code for each in found if each.code != "env_missing"]
