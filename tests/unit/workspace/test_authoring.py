"""An automation's file is taken away whole, or it stays."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from amodal_rt.errors import ConflictError, NotFoundError
from amodal_rt.workspace import authoring

TEXT = '{"title": "Daily", "trigger": "manual", "prompt": "look"}\n'

DELETE = """
import sys
from pathlib import Path
from amodal_rt.workspace.authoring import delete
delete(Path(sys.argv[1]), "daily")
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "automations/daily.json"
    path.parent.mkdir()
    path.write_text(TEXT)
    return path


def test_the_file_is_gone_and_told(path: Path) -> None:
    (path.parent / "other.json").write_text(TEXT)

    assert authoring.delete(path.parents[1], "daily") == "automations/daily.json"

    assert [each.name for each in path.parent.iterdir()] == ["other.json"]
    with pytest.raises(NotFoundError):
        authoring.delete(path.parents[1], "daily")


def test_a_link_is_taken_away_and_what_it_leads_to_stays(path: Path) -> None:
    shared = path.rename(path.parents[1] / "shared.json")
    path.symlink_to("../shared.json")

    authoring.delete(path.parents[1], "daily")

    assert not path.is_symlink()
    assert shared.read_text() == TEXT


def test_of_two_files_of_one_name_none_is_taken_away(path: Path) -> None:
    path.with_suffix(".md").write_text("---\ntitle: Daily\n---\n\nlook\n")

    with pytest.raises(ConflictError):
        authoring.delete(path.parents[1], "daily")

    assert path.read_text() == TEXT


@pytest.mark.parametrize(
    ("failpoint", "left"), [("file.before_delete", [TEXT]), ("file.after_delete", [])]
)
def test_a_kill_leaves_the_whole_file_or_none(path: Path, failpoint: str, left: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DELETE, str(path.parents[1])],
        env={**os.environ, "AMODAL_RT_FAILPOINTS": f"{failpoint}=kill"},
        check=False,
    )

    assert done.returncode == -9
    assert [each.read_text() for each in path.parent.iterdir()] == left
