"""What an automation may do by its files, and what a change of files lets it do besides."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from desk import ADA, Desk, definition, live

from amodal_rt.domain.workspace import Snapshot
from amodal_rt.errors import NotFoundError
from amodal_rt.operations import planning
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


WIDER: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, list[str]]]] = {
    "writes": ({}, {"a": READER | {"writeEnabled": True}}, {"writeEnabled": []}),
    "no list of writes": (
        {"a": WRITER},
        {"a": READER | {"writeEnabled": True}},
        {"writes": []},
    ),
    "another host of its connection": (
        {},
        {"crm": CRM | {"baseUrl": "https://other.example"}},
        {"hosts": ["https://other.example"]},
    ),
    "another receiver": (
        {},
        {"a": READER | {"delivery": {"targets": [HOOK]}}},
        {"hosts": ["https://hooks.example"]},
    ),
    "another secret": (
        {},
        {"crm": CRM | {"headers": {"X-Key": "env:CRM_KEY"}}},
        {"secrets": ["CRM_KEY"]},
    ),
    "a write that is called a read": (
        {},
        {"access": {"endpoints": {"POST /search": {"intent": "read"}}}},
        {"access": ["crm POST /search is a read"]},
    ),
    "a guard less": (
        {"access": GUARDED},
        {"access": None},
        {"access": ["crm DELETE /deals/{id} (never) is held no longer"]},
    ),
    "where a tainted run may aim": (
        {},
        {"access": {"endpoints": {"POST /x": {"reach": ["*.here.example"]}}}},
        {"access": ["crm POST /x may reach *.here.example in a tainted run"]},
    ),
    "a source that is believed": (
        {},
        {"crm": CRM | {"external": False}},
        {"access": ["crm is not external"]},
    ),
    "a higher number": (
        {"access": refunds(100, times=3)},
        {"access": refunds(200, times=3)},
        {
            "access": [
                "crm POST /refunds (never), above data.amount 100, data.times 3 is held no longer"
            ]
        },
    ),
    "a number less": (
        {"access": refunds(100, times=3)},
        {"access": refunds(100)},
        {
            "access": [
                "crm POST /refunds (never), above data.amount 100, data.times 3 is held no longer"
            ]
        },
    ),
    "a number where all was held": (
        {"access": {"endpoints": {"POST /refunds": {"confirm": "never"}}}},
        {"access": refunds(100)},
        {"access": ["crm POST /refunds (never) is held no longer"]},
    ),
    "all connections": (
        {"connections__mail__spec": {"protocol": "mcp", "command": "mailer", "args": ["--all"]}},
        {"a": {key: each for key, each in READER.items() if key != "connections"}},
        {"connections": ["mail"], "programs": ["mail: mailer --all"]},
    ),
    "all tools": ({"a": READER | {"tools": ["query_store"]}}, {}, {"tools": ["all"]}),
    "another provider": ({}, {"a": READER | {"model": "openai:o"}}, {"models": ["openai"]}),
    "the same provider elsewhere": (
        {"a": READER | {"model": "openai:o"}},
        {
            "a": READER | {"model": "ours:o"},
            "amodal": {"providers": {"ours": {"type": "openai", "baseUrl": "https://ai.example"}}},
        },
        {"models": ["openai at https://ai.example"]},
    ),
    "a webhook without proof": (
        {"a": HOOKED | {"webhookAuth": {"type": "hmac-sha256", "secret": "env:T"}}},
        {"a": HOOKED},
        {"webhook": ["whoever knows its URL may start it"]},
    ),
    "more money": (
        {"a": READER | {"limits": {"maxCostUsd": 0.5}}},
        {"a": READER | {"limits": {"maxCostUsd": 0.6}}},
        {"limits.maxCostUsd": []},
    ),
    "money without end": (
        {"a": READER | {"limits": {"maxCostUsdPerDay": 2}}},
        {"a": READER},
        {"limits.maxCostUsdPerDay": []},
    ),
    "a later version of its profile": (
        {"a": COMMAND, "profiles__build__1": BUILD},
        {"a": COMMAND, "profiles__build__1": BUILD, "profiles__build__2": OPEN},
        {
            "sandbox": [
                "build may reach *.npm.example:443",
                "build may write /cache",
                "build sees cache at /cache",
            ],
            "secrets": ["NPM_TOKEN"],
        },
    ),
    "a profile without isolation": (
        {"a": COMMAND, "profiles__build__1": {}},
        {"a": COMMAND, "profiles__build__1": {"isolation": "none"}},
        {"sandbox": ["build runs without isolation"]},
    ),
    "a higher limit": (
        {"a": WRITER},
        {"a": WRITER | {"limits": {"writes": {"perRun": 21}}}},
        {"limits.writes": []},
    ),
}


@pytest.mark.parametrize("name", WIDER)
def test_a_power_that_is_gained_is_named(tmp_path: Path, name: str) -> None:
    before, after, gained = WIDER[name]

    found = compared(tmp_path, before, after)

    (row,) = rows(found)
    assert row["change"] == "changed"
    assert {word: row["powers"].get(word) for word in gained} == gained
    assert found.widened
    assert found.document["widened"] is True


ANOTHER = {
    "another host of its connection",
    "the same provider elsewhere",
    # The proof needs its secret.
    "a webhook without proof",
}
"""What is gained either way."""


@pytest.mark.parametrize("name", sorted(WIDER.keys() - ANOTHER))
def test_a_power_that_is_given_up_widens_nothing(tmp_path: Path, name: str) -> None:
    before, after, _ = WIDER[name]
    whole: dict[str, Any] = {"a": READER, "access": None, "crm": CRM}

    found = compared(tmp_path, whole | after, whole | before)

    assert not found.widened
    assert [row["powers"] for row in rows(found)] in ([{}], [])


def test_no_secret_of_an_address_is_shown(tmp_path: Path) -> None:
    found = compared(tmp_path, {}, {"a": READER | {"delivery": {"targets": [HOOK]}}})

    assert "secret" not in json.dumps(found.document["automations"])


def test_what_stays_as_it_is_is_left_out(tmp_path: Path) -> None:
    found = compared(tmp_path, {}, {})

    assert found == Plan(
        {
            "widened": False,
            "workspace": {},
            "automations": [],
            "new_hosts": [],
            "new_secrets": [],
        },
        False,
        (),
    )


def test_another_schedule_changes_when_it_fires_and_widens_nothing(tmp_path: Path) -> None:
    found = compared(tmp_path, {}, {"a": READER | {"schedule": "30 8 * * *"}})

    (row,) = rows(found)
    assert (row["change"], row["powers"]) == ("changed", {})
    assert row["next"]["before"][0] == "2026-03-02T09:00:00Z"
    assert row["next"]["after"][0] == "2026-03-02T08:30:00Z"


def test_files_that_come_go_and_break_are_told_apart(tmp_path: Path) -> None:
    new: dict[str, Any] = {"automations__b": READER, "automations__c": {"title": "C"}}
    found = compared(tmp_path, {}, new)
    gone = compared(tmp_path, {}, {"automations__b": None, "automations__c": None})

    by_name = {row["name"]: row for row in rows(found)}
    assert {name: row["change"] for name, row in by_name.items()} == {"b": "added", "c": "invalid"}
    assert by_name["b"]["powers"] == {
        "connections": ["crm"],
        "hosts": ["https://crm.example"],
        "secrets": ["CRM_TOKEN"],
    }
    assert found.invalid == ("c",)
    # Another automation goes there already.
    assert (found.document["new_hosts"], found.document["new_secrets"]) == ([], [])
    assert [row["change"] for row in rows(gone)] == ["removed", "removed"]
    assert not gone.widened


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


EVERYWHERE: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, list[str]]]] = {
    "programs may give powers": (
        {},
        {"api": {"mayGrantPowers": True}},
        {"api.mayGrantPowers": []},
    ),
    "a private network": (
        {"egress": {"allowPrivate": ["10.0.0.0/24"]}},
        {"egress": {"allowPrivate": ["10.0.0.0/24", "10.1.0.0/16"]}},
        {"egress.allowPrivate": ["10.1.0.0/16"]},
    ),
    "other machines": (
        {"listen": "127.0.0.1:1"},
        {"listen": "0.0.0.0:1"},
        {"listen": ["0.0.0.0:1"]},
    ),
    "no door of its own for managing": (
        {"adminListen": "127.0.0.1:2", "listen": "127.0.0.1:1"},
        {"listen": "127.0.0.1:1"},
        {"adminListen": ["all doors are at 127.0.0.1:1"]},
    ),
    "more money a day": (
        {},
        {"limits": {"maxCostUsdPerDay": 50}},
        {"limits.maxCostUsdPerDay": []},
    ),
    "another who hears of failures": (
        {},
        {"alerts": {"targets": [HOOK], "heartbeatUrl": "env:BEAT"}},
        {"alerts": ["env:BEAT", "https://hooks.example"]},
    ),
}


@pytest.mark.parametrize("name", EVERYWHERE)
def test_a_power_of_the_whole_workspace_is_named(tmp_path: Path, name: str) -> None:
    before, after, gained = EVERYWHERE[name]

    wider = compared(tmp_path, {"amodal": before}, {"amodal": after})
    narrower = compared(tmp_path, {"amodal": after}, {"amodal": before})

    assert wider.document["workspace"] == gained
    assert wider.widened
    assert narrower.document["workspace"] == {}
    assert not narrower.widened


@pytest.mark.parametrize("path", ["amodal", "connections__mail__spec", "profiles__p__1"])
def test_a_file_beside_the_automations_that_is_wrong_is_no_good_plan(
    tmp_path: Path, path: str
) -> None:
    found = compared(tmp_path, {}, {path: {"nonsense": 1}})

    assert found.invalid == (path.replace("__", "/") + ".json",)
    assert compared(tmp_path, {path: {"nonsense": 1}}, {path: {"nonsense": 1}}).invalid == ()


async def test_powers_are_asked_by_name(desk: Desk) -> None:
    desk.files.add(live(definition("a")))

    assert (await desk.automations.powers(ADA, "a"))["writes"] == "read-only"
    with pytest.raises(NotFoundError):
        await desk.automations.powers(ADA, "nobody")
