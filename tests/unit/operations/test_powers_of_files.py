"""What an automation may do by its files, in full."""

from pathlib import Path

import pytest
from desk import ADA, Desk, definition, live
from plan_files import COMMAND, GUARDED, HOOK, OPEN, READER, WRITER, files

from amodal_rt.errors import NotFoundError
from amodal_rt.operations import planning


def test_powers_say_what_an_automation_may_do(tmp_path: Path) -> None:
    target = READER | WRITER | {"delivery": {"targets": [HOOK]}}
    snapshot = files(tmp_path, target, access=GUARDED)
    found = snapshot.automations["a"].definition
    assert found is not None

    said = planning.powers(found, snapshot)

    assert said | {"definition": "", "limits": {}} == {
        "name": "a",
        "title": "A",
        "file": "automations/a.json",
        "definition": "",
        "agent": "main",
        "run_as": None,
        "write_enabled": True,
        "writes": "may make the 1 kind of write that it lists, up to 20 a run and 60 an hour",
        "write_grants": ["POST /deals of crm, at most 1 a run"],
        "connections": [{"name": "crm", "protocol": "rest"}],
        "reads": [],
        "guards": ["crm DELETE /deals/{id} (never)"],
        "tools": None,
        "hosts": ["https://crm.example", "https://hooks.example"],
        "programs": [],
        "secrets": ["CRM_TOKEN"],
        "models": [],
        "delivers_to": ["chat"],
        "profile": None,
        "budgets": [
            {
                "of": "workspace",
                "measure": "cost_usd",
                "limit": 5.0,
                "rule": "limits.maxCostUsdPerDay, amodal.json",
            },
            {
                "of": "workspace",
                "measure": "unpriced_tokens",
                "limit": 10_000_000,
                "rule": "limits.maxUnpricedTokensPerDay, amodal.json",
            },
        ],
        "approvers": [],
        "limits": {},
    }


def test_powers_name_the_sandbox_of_programs_and_what_runs_in_it(tmp_path: Path) -> None:
    snapshot = files(tmp_path, COMMAND, profiles__build__1=OPEN | {"connections": []})
    found = snapshot.automations["a"].definition
    assert found is not None

    said = planning.powers(found, snapshot)

    assert said["profile"] == {
        "name": "build",
        "version": 1,
        "isolation": "bubblewrap",
        "network": [
            {"host": "pypi.example:443", "intent": "write"},
            {"host": "*.npm.example:443", "intent": "write"},
        ],
        "mounts": [{"source": "cache", "target": "/cache", "writable": True}],
        "tools": [],
    }
    assert (said["connections"], said["programs"]) == ([], ["command: make"])


async def test_powers_are_asked_by_name(desk: Desk) -> None:
    desk.files.add(live(definition("a")))

    assert (await desk.automations.powers(ADA, "a"))["writes"] == "read-only"
    with pytest.raises(NotFoundError):
        await desk.automations.powers(ADA, "nobody")
