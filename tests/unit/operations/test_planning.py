"""What an automation may do by its files, and what a change of files lets it do besides."""

import json
from pathlib import Path
from typing import Any

import pytest
from plan_files import (
    BUILD,
    COMMAND,
    CRM,
    GUARDED,
    HOOK,
    HOOKED,
    NOW,
    OPEN,
    READER,
    WRITER,
    compared,
    files,
    refunds,
    rows,
)

from amodal_rt.operations.planning import Plan, plan

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


def test_an_agent_that_is_or_becomes_a_program_is_a_power(tmp_path: Path) -> None:
    coder = tmp_path / "agents/coder.md"
    coder.parent.mkdir()
    coder.write_text("Code.")
    still: dict[str, Any] = {"profiles__build__1": {}, "a": READER | {"profile": "build"}}
    old = files(tmp_path, **still)
    coder.write_text("---\nloop: {program: [claude, -p]}\n---\nCode.")
    switched = files(tmp_path, **still | {"a": still["a"] | {"agent": "coder"}})
    coder.write_text("---\nloop: {program: [claude, --yolo]}\n---\nCode.")
    changed = files(tmp_path, **still | {"a": still["a"] | {"agent": "coder"}})

    [first] = rows(plan(old, switched, now=NOW))
    [second] = rows(plan(switched, changed, now=NOW))

    assert first["powers"] == {"command": [], "programs": ["agent coder: claude -p"]}
    assert second["powers"] == {"programs": ["agent coder: claude --yolo"]}
