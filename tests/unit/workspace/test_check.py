"""`validate` without daemon and ledger."""

import json
from pathlib import Path

import pytest

from amodal_rt.workspace.check import check, read_once
from amodal_rt.workspace.template import copy_template


def _write(root: Path, file: str, keys: dict[str, object] | str) -> None:
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(keys if isinstance(keys, str) else json.dumps(keys))


def _automation(**keys: object) -> dict[str, object]:
    return {"title": "X", "trigger": "manual", "prompt": "look", **keys}


def test_a_sound_workspace_has_no_problems(tmp_path: Path) -> None:
    _write(tmp_path, "automations/a.json", _automation())

    assert check(tmp_path, env=True) == []


def test_the_example_workspace_lacks_secrets_and_nothing_else(tmp_path: Path) -> None:
    copy_template(tmp_path)

    assert {each.code for each in check(tmp_path, env=True)} == {"env_missing"}
    assert {each.severity for each in check(tmp_path, env=False)} == {"warning"}


@pytest.mark.parametrize(("env", "severity"), [(False, "warning"), (True, "error")])
def test_unset_variables_are_warnings_unless_the_environment_counts(
    tmp_path: Path, env: bool, severity: str
) -> None:
    auth = {"type": "hmac-sha256", "secret": "env:SURELY_UNSET_SECRET"}
    _write(tmp_path, "automations/a.json", _automation(trigger="webhook", webhookAuth=auth))

    (problem,) = check(tmp_path, env=env)

    assert (problem.code, problem.severity) == ("env_missing", severity)
    assert "SURELY_UNSET_SECRET" in problem.message


def test_an_unset_variable_is_told_with_the_line_that_names_it(tmp_path: Path) -> None:
    text = """{"title": "X", "trigger": "webhook", "prompt": "look",
      "webhookAuth": {"type": "github",
        "secret": ["env:SURELY_UNSET_A",
          "env:SURELY_UNSET_B"]},
      "delivery": {"targets": [
        {"type": "webhook", "url": "env:SURELY_UNSET_C"}]}}"""
    _write(tmp_path, "automations/a.json", text)

    problems = check(tmp_path, env=True)

    assert [(each.line, each.message[25:39]) for each in problems] == [
        (3, "SURELY_UNSET_A"),
        (4, "SURELY_UNSET_B"),
        (6, "SURELY_UNSET_C"),
    ]


def test_every_wrong_file_is_told_and_none_hides_another(tmp_path: Path) -> None:
    _write(tmp_path, "automations/a.json", "{")
    _write(tmp_path, "automations/b.json", _automation(agent="nobody"))
    _write(tmp_path, "automations/c.json", _automation(connections=["nothing"]))
    _write(tmp_path, "automations/d.json", _automation())
    _write(tmp_path, "automations/d.md", "---\ntitle: D\ntrigger: manual\n---\nlook")
    _write(tmp_path, "connections/e/spec.json", "[")
    _write(tmp_path, "amodal.json", "{,}")
    _write(tmp_path, ".env", "A=1")
    (tmp_path / ".env").chmod(0o644)

    problems = check(tmp_path, env=False)

    found = {(each.file, each.severity) for each in problems}
    assert {file for file, severity in found if severity == "error"} == {
        "amodal.json",
        "automations/a.json",
        "automations/b.json",
        "automations/c.json",
        "automations/d.json",
        "automations/d.md",
        "connections/e/spec.json",
    }
    assert (".env", "warning") in found
    assert problems == sorted(problems, key=lambda each: (each.file, each.line or 0))


async def test_one_reading_gives_the_snapshot(tmp_path: Path) -> None:
    _write(tmp_path, "automations/a.json", _automation())

    assert list((await read_once(tmp_path)).automations) == ["a"]


@pytest.mark.parametrize(("env", "severity"), [(False, "warning"), (True, "error")])
def test_a_workspace_that_could_not_raise_an_alarm_says_so(
    tmp_path: Path, env: bool, severity: str
) -> None:
    target = {"type": "webhook", "url": "env:SURELY_UNSET_URL", "label": "ops"}
    alerts = {"targets": [target], "heartbeatUrl": "env:SURELY_UNSET_BEAT"}
    _write(tmp_path, "amodal.json", {"alerts": alerts})

    problems = check(tmp_path, env=env)

    assert {(each.file, each.code, each.severity) for each in problems} == {
        ("amodal.json", "env_missing", severity)
    }
    assert {each.message.split()[4] for each in problems} == {
        "SURELY_UNSET_URL",
        "SURELY_UNSET_BEAT",
    }
