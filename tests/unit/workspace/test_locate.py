"""Which folder is found to be the workspace."""

from pathlib import Path

import pytest

from amodal_rt.errors import NotFoundError
from amodal_rt.settings import load_process_settings
from amodal_rt.workspace.locate import find_workspace

NONE = load_process_settings()._replace(workspace=None)


@pytest.mark.parametrize("mark", ["automations/", "amodal.json"])
def test_the_nearest_parent_with_a_mark_is_found(tmp_path: Path, mark: str) -> None:
    for folder in (tmp_path, tmp_path / "a"):
        folder.mkdir(exist_ok=True)
        (folder / mark).mkdir() if mark.endswith("/") else (folder / mark).touch()
    deep = tmp_path / "a/b/c"
    deep.mkdir(parents=True)

    assert find_workspace(None, NONE, deep) == tmp_path / "a"


def test_the_flag_wins_over_the_variable_and_both_over_the_folder(tmp_path: Path) -> None:
    for name in ("flag", "variable", "here"):
        (tmp_path / name / "automations").mkdir(parents=True)
    variable = NONE._replace(workspace=tmp_path / "variable")
    here = tmp_path / "here"

    assert find_workspace(tmp_path / "flag", variable, here) == tmp_path / "flag"
    assert find_workspace(None, variable, here) == tmp_path / "variable"
    assert find_workspace(Path("../flag"), NONE, here).samefile(tmp_path / "flag")


def test_a_named_folder_needs_no_mark_but_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    assert find_workspace(tmp_path / "empty", NONE, tmp_path) == tmp_path / "empty"
    with pytest.raises(NotFoundError) as caught:
        find_workspace(tmp_path / "missing", NONE, tmp_path)
    assert "--workspace" in caught.value.message


def test_where_nothing_is_found_it_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        find_workspace(None, NONE, tmp_path)

    assert str(tmp_path) in caught.value.message
    assert caught.value.code == "no_workspace"
