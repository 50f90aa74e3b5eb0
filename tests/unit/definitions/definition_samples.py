"""What the tests of this room share: a workspace's settings, and short ways to parse."""

import json
from collections.abc import Mapping
from typing import Any

from amodal_rt.definitions.automation import Parsed, parse_automation
from amodal_rt.definitions.settings import parse_settings
from amodal_rt.domain.automation import AgentWork, Automation, Definition
from amodal_rt.domain.delivery import Format, Target, TargetType
from amodal_rt.domain.secret import SecretRef
from amodal_rt.domain.workspace import WorkspaceSettings
from amodal_rt.errors import InvalidError

SETTINGS_TEXT = json.dumps(
    {
        "targets": {
            "reports": {"type": "webhook", "url": "env:REPORTS_URL", "format": "slack"},
            "oncall": {
                "type": "webhook",
                "url": "https://pager.example/in",
                "secret": "env:PAGER_SECRET",
                "label": "On call",
            },
        }
    }
)

PROMPTS: Mapping[str, str] = {
    "prompts/long.md": "Look at everything.\n",
    "prompts/empty.md": " \n",
    "prompts/secret.md": "env:API_KEY",
}


def settings(text: str = SETTINGS_TEXT) -> WorkspaceSettings:
    found, problems = parse_settings(text.encode(), "amodal.json")
    assert found is not None, problems
    return found


SETTINGS = settings()

WITH_DEFAULTS = settings(
    json.dumps(
        {
            **json.loads(SETTINGS_TEXT),
            "defaults": {
                "timezone": "Europe/Berlin",
                "failure_alert": {"after": 2, "targets": ["oncall"]},
                "delivery": "reports",
                "limits": {"maxTurns": 7, "concurrency": 1},
            },
        }
    )
)

REPORTS = Target(
    type=TargetType.WEBHOOK, label="reports", url=SecretRef("REPORTS_URL"), format=Format.SLACK
)


def read_prompt(path: str) -> str:
    """Stands for the workspace, which refuses with these codes."""
    if path.startswith(("/", "..")):
        raise InvalidError(f"promptFile {path!r} is not inside the workspace", code="outside")
    if path not in PROMPTS:
        raise InvalidError(
            f"promptFile {path!r} does not exist", code="no_such_file", hint="from the top"
        )
    return PROMPTS[path]


def parse(
    content: bytes | str,
    *,
    file: str = "automations/sample.json",
    using: WorkspaceSettings = SETTINGS,
) -> Parsed:
    raw = content.encode() if isinstance(content, str) else content
    return parse_automation(raw, file=file, settings=using, read_prompt=read_prompt)


def definition(
    content: bytes | str | None = None,
    *,
    file: str = "automations/sample.json",
    using: WorkspaceSettings = SETTINGS,
    **keys: Any,
) -> Definition:
    """The definition of a right file: its content, or the keys beside a title and a prompt."""
    text = json.dumps({"title": "Sample", "prompt": "Look.", **keys})
    parsed = parse(text if content is None else content, file=file, using=using)
    assert parsed.definition is not None, parsed.problems
    assert parsed.problems == ()
    return parsed.definition


def automation(**keys: Any) -> Automation:
    return definition(**keys).automation


def without_prompt(**keys: Any) -> Automation:
    """A file that says by other keys what runs."""
    return definition(json.dumps({"title": "Sample", **keys})).automation


def session_of(found: Automation) -> AgentWork:
    """Its work, which is an agent session."""
    assert isinstance(found.work, AgentWork)
    return found.work
