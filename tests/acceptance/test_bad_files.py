"""The worst files, all at once, beside two good automations that go on working."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import shapes
from files import Workspace
from outside import Site, post_json
from stub_model import Model
from waiting import eventually

Make = Callable[[Path], object]


def _json(**keys: Any) -> Make:
    document = {"title": "Bad", "prompt": "Work.", **keys}
    return lambda path: path.write_text(json.dumps(document, indent=1))


def _text(text: str) -> Make:
    return lambda path: path.write_text(text)


def _bytes(content: bytes) -> Make:
    return lambda path: path.write_bytes(content)


BAD: dict[str, tuple[Make, str]] = {
    # name of the file: how it comes about, a word that its message or hint must hold
    "half.json": (_text('{"title": "Half", "prom'), ""),
    "empty.json": (_text(""), ""),
    "list.json": (_text("[1, 2]"), "object"),
    "latin.json": (_bytes('{"title": "Grüße", "prompt": "x"}'.encode("latin-1")), "UTF-8"),
    "zeros.json": (_bytes(b"\x00" * 64), ""),
    "twice.json": (_text('{"title": "A", "title": "B", "prompt": "x"}'), "title"),
    "deep.json": (_text("[" * 100_000 + "]" * 100_000), ""),
    "huge.json": (_json(prompt="x" * 20_000_000), ""),
    "typo.json": (_json(shedule="0 9 * * *"), "schedule"),
    "untitled.json": (_text('{"prompt": "x"}'), "title"),
    "idle.json": (_text('{"title": "No work"}'), "prompt"),
    "cron.json": (_json(schedule="0 9 * * MON#2"), "#"),
    "thirtieth.json": (_json(schedule="0 0 30 2 *"), ""),
    "zone.json": (_json(schedule="0 9 * * *", timezone="Europe/Berln"), "Europe/Berlin"),
    "trigger.json": (_json(trigger="webhok"), "webhook"),
    "address.json": (_json(delivery={"targets": [{"type": "webhook", "url": "ftp://x"}]}), "http"),
    "later.json": (_json(prefills={"participants": {}}), "not built yet"),
    "number.json": (_json(limits={"concurrency": "three"}), "concurrency"),
    "Upper Case.json": (_json(), "upper-case"),
    "anchors.md": (_text("---\ntitle: &a A\nmetadata: {x: *a}\n---\nWork.\n"), ""),
    "front.md": (_text("---\ntitle: [unclosed\n---\nWork.\n"), ""),
    "legacy.md": (_text("# Automation: No check\n\nSchedule: 0 9 * * *\n"), "Check"),
    "pipe.json": (os.mkfifo, ""),
    "outside.json": (lambda path: path.symlink_to("/etc/passwd"), ""),
    "dangling.json": (lambda path: path.symlink_to("nowhere.json"), ""),
    "folder.json": (lambda path: path.mkdir(), ""),
    "secret.json": (lambda path: (_json()(path), path.chmod(0)), ""),
}  # fmt: skip

UNREADABLE_BY_ROOT_TOO = {"secret.json"} if os.geteuid() != 0 else set[str]()
FILES = sorted(BAD.keys() - ({"secret.json"} - UNREADABLE_BY_ROOT_TOO))


@pytest.fixture(scope="module")
def crowd(shared_site: Site, shared_model: Model) -> Site:
    files = Workspace(shared_site.workspace)
    files.settings(shared_model.settings())
    files.secrets(MODEL_KEY="key")
    files.automation("good-json", trigger="webhook")
    files.write("automations/good-note.md", "---\ntitle: Good\nschedule: 0 9 * * *\n---\nWork.\n")
    for name in FILES:
        BAD[name][0](shared_site.workspace / "automations" / name)
    shared_site.up()
    return shared_site


@pytest.fixture(scope="module")
def checked(crowd: Site) -> dict[str, Any]:
    done = crowd.run("amodal-rt", "validate", "--json")
    assert done.code == 3, done.err
    return done.json()


@pytest.mark.parametrize("name", FILES)
def test_each_is_named_with_a_reason(checked: dict[str, Any], name: str) -> None:
    word = BAD[name][1]
    found = [
        each
        for each in checked["problems"]
        if each["file"] == f"automations/{name}" and each["severity"] == "error"
    ]

    assert found, f"{name} is not mentioned"
    for problem in found:
        assert problem.keys() == shapes.PROBLEM
        assert problem["code"]
        assert len(problem["message"]) < 1000
    said = " ".join(f"{each['message']} {each['hint']} {each['code']}" for each in found)
    assert word.lower() in said.lower()


def test_only_the_bad_ones_are_named(checked: dict[str, Any]) -> None:
    named = {each["file"] for each in checked["problems"]}

    assert checked["valid"] is False
    assert not {each for each in named if "good" in each}


@pytest.mark.parametrize(
    ("name", "line"), [("typo.json", 4), ("zone.json", 5), ("trigger.json", 4), ("number.json", 5)]
)
def test_the_line_is_named(checked: dict[str, Any], name: str, line: int) -> None:
    found = [each for each in checked["problems"] if each["file"] == f"automations/{name}"]

    assert [each["line"] for each in found] == [line]
    # Which events there are, other files say too: then the line alone is known.
    assert all(each["column"] for each in found if name != "trigger.json")


def test_the_good_ones_work(crowd: Site) -> None:
    answer = post_json(crowd.hook("good-json"), {"n": 1})
    run = crowd.finished(answer.json()["run_id"])
    other = crowd.ask("automations", "trigger", "good-note", "--wait")

    assert (answer.status, run["status"], other["status"]) == (202, "completed", "completed")
    assert crowd.automation("good-note")["next_run_at"]


def test_the_bad_ones_are_shown_as_invalid_and_cannot_run(crowd: Site) -> None:
    rows = {row["name"]: row for row in crowd.ask("automations", "list")}
    table = crowd.ops("automations", "list")

    assert rows["typo"]["status"] == "invalid"
    assert "shedule" in rows["typo"]["reason"]
    assert all(row["next_run_at"] is None for row in rows.values() if row["status"] == "invalid")
    assert {name for name, row in rows.items() if row["status"] != "invalid"} == {
        "good-json",
        "good-note",
    }
    assert table.code == 0
    assert crowd.ops("automations", "trigger", "typo").code == 3


def test_a_mended_file_comes_to_life(crowd: Site) -> None:
    Workspace(crowd.workspace).automation("typo", schedule="0 9 * * *")

    eventually(lambda: crowd.automation("typo")["status"] == "active", "it is active")


def test_a_bad_connection_and_bad_settings_are_named_too(site: Site) -> None:
    files = Workspace(site.workspace)
    files.automation("good")
    files.write("amodal.json", {"modle": "x:y"})
    files.write("connections/crm/spec.json", {"protocol": "rest"})
    files.write("agents/main.md", "---\ncolour: blue\n---\nWork.\n")
    files.write("stores/seen.json", {"schema": {"type": "nonsense"}})
    done = site.run("amodal-rt", "validate", "--json")

    assert done.code == 3
    assert {each["file"] for each in done.json()["problems"]} >= {
        "amodal.json",
        "connections/crm/spec.json",
        "agents/main.md",
        "stores/seen.json",
    }
    assert "model" in next(
        each["hint"] for each in done.json()["problems"] if each["file"] == "amodal.json"
    )


def test_unset_variables_are_warnings_unless_asked(site: Site) -> None:
    target = {"type": "webhook", "url": "env:SLACK_URL"}
    Workspace(site.workspace).automation("tells", delivery={"targets": [target]})
    plain = site.run("amodal-rt", "validate", "--json")
    strict = site.run("amodal-rt", "validate", "--strict", "--json")
    env = site.run("amodal-rt", "validate", "--env", "--json")
    given = site.run(
        "amodal-rt", "validate", "--env", "--json", SLACK_URL="https://hooks.example/x"
    )

    assert (plain.code, strict.code, env.code, given.code) == (0, 3, 3, 0)
    assert [(each["code"], each["severity"]) for each in plain.json()["problems"]] == [
        ("env_missing", "warning")
    ]
    assert env.json()["problems"][0]["severity"] == "error"
    assert "SLACK_URL" in env.json()["problems"][0]["message"]
