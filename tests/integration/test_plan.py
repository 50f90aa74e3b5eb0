"""`amodal-rt plan` compares the files with a revision of git, wherever in a repository they lie."""

import json
import subprocess
from pathlib import Path

import pytest

from amodal_rt.cli.commands.plan import plan

READER = {"title": "A", "prompt": "Look.", "schedule": "0 9 * * *", "connections": []}


def git(folder: Path, *words: str) -> None:
    named = ("-c", "user.name=a", "-c", "user.email=a@here.example")
    subprocess.run(["git", "-C", str(folder), *named, *words], check=True, capture_output=True)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Below the root of a repository, with one commit."""
    git(tmp_path, "init", "-q")
    folder = tmp_path / "deploy" / "agents"
    (folder / "automations").mkdir(parents=True)
    save(folder, READER)
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    return folder


def save(folder: Path, automation: object) -> None:
    (folder / "automations" / "a.json").write_text(json.dumps(automation), encoding="utf-8")


def test_powers_that_are_widened_fail_a_review_until_that_is_meant(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(workspace, against="HEAD") == 0
    assert "no automation differs from HEAD" in capsys.readouterr().out

    save(workspace, READER | {"writeEnabled": True})

    assert plan(workspace, against="HEAD") == 1
    said = capsys.readouterr()
    assert "a: changed\n  + writeEnabled\n" in said.out
    assert "--allow-widen" in said.err
    assert plan(workspace, against="HEAD", allow_widen=True) == 0
    git(workspace, "commit", "-qam", "two")
    assert plan(workspace, against="HEAD") == 0
    assert plan(workspace, against="HEAD~1", as_json=True) == 1
    (row,) = json.loads(capsys.readouterr().out.splitlines()[-1])["automations"]
    assert row["powers"] == {"writeEnabled": []}


def test_where_the_folder_did_not_exist_all_is_added(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(workspace, "mv", "automations", "../automations")
    git(workspace, "commit", "-qm", "away")
    (workspace / "automations").mkdir(parents=True)
    save(workspace, READER)

    assert plan(workspace, against="HEAD") == 0
    assert "a: added" in capsys.readouterr().out


def test_a_broken_file_is_no_good_plan(workspace: Path) -> None:
    save(workspace, {"title": "A", "promt": "x"})

    assert plan(workspace, against="HEAD") == 3


@pytest.mark.parametrize("revision", ["nope", "--output=x", "HEAD -x", ""])
def test_what_names_no_commit_is_refused(
    workspace: Path, revision: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(workspace, against=revision) == 3
    assert "names no commit" in capsys.readouterr().err
    assert not (workspace / "x").exists()


def test_outside_of_a_repository_there_is_nothing_to_compare_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "automations").mkdir()

    assert plan(tmp_path, against="HEAD") == 4
