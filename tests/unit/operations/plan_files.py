"""Workspaces of one automation and one connection, before and after a change."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from amodal_rt.domain.workspace import Snapshot
from amodal_rt.operations.planning import Plan, plan
from amodal_rt.workspace.check import read_at

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
READER: dict[str, object] = {
    "title": "A", "prompt": "Look.", "schedule": "0 9 * * *", "connections": ["crm"],
}  # fmt: skip
WRITER = READER | {
    "writeEnabled": True,
    "writes": [{"connection": "crm", "endpoint": "POST /deals", "perRun": 1}],
}
CRM: dict[str, object] = {
    "protocol": "rest",
    "baseUrl": "https://crm.example/api",
    "auth": {"type": "bearer", "token": "env:CRM_TOKEN"},
}
HOOKED: dict[str, object] = {"title": "A", "prompt": "Look.", "trigger": "webhook"}
COMMAND: dict[str, object] = {
    "title": "A", "trigger": "manual", "writeEnabled": True,
    "command": ["make"], "profile": "build",
}  # fmt: skip
BUILD: dict[str, object] = {"network": ["pypi.example"]}
OPEN = BUILD | {
    "network": ["pypi.example", "*.npm.example"],
    "mounts": [{"source": "cache", "target": "/cache", "writable": True}],
    "environment": {"TOKEN": "env:NPM_TOKEN"},
}
GUARDED = {"endpoints": {"DELETE /deals/{id}": {"confirm": "never"}}}
HOOK = {"type": "webhook", "url": "https://hooks.example/x/secret", "label": "chat"}


def refunds(amount: int, **more: int) -> dict[str, object]:
    """Rules that hold refunds above these numbers."""
    above = {f"data.{name}": limit for name, limit in {"amount": amount, **more}.items()}
    return {"endpoints": {"POST /refunds": {"confirm": "never", "above": above}}}


def files(
    folder: Path, a: object = None, *, crm: object = CRM, access: object = None, **more: object
) -> Snapshot:
    """A workspace of one automation and one connection; `more` are other files by path."""
    given = {
        "automations/a.json": READER if a is None else a,
        "connections/crm/spec.json": crm,
        "connections/crm/access.json": access,
        **{path.replace("__", "/") + ".json": each for path, each in more.items()},
    }
    for path, content in given.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            file.unlink(missing_ok=True)
        else:
            file.write_text(json.dumps(content), encoding="utf-8")
    return read_at(folder)


def compared(folder: Path, before: dict[str, Any], after: dict[str, Any]) -> Plan:
    old = files(folder, **before)
    return plan(old, files(folder, **after), now=NOW)


def rows(found: Plan) -> list[dict[str, Any]]:
    """What it says of each automation."""
    return cast("list[dict[str, Any]]", found.document["automations"])
