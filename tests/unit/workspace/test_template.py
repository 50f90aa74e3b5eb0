"""`init` copies a complete workspace, and nothing over anything."""

from pathlib import Path

import pytest

from amodal_rt.errors import ConflictError
from amodal_rt.workspace.template import TEMPLATE, copy_template


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("there", ["missing", "empty", "a fresh clone"])
def test_a_new_or_empty_folder_is_filled(tmp_path: Path, there: str) -> None:
    target = tmp_path / "deep/workspace"
    if there != "missing":
        target.mkdir(parents=True)
    if there == "a fresh clone":
        (target / ".git").mkdir()

    copy_template(target)

    assert _files(target) == _files(TEMPLATE)
    assert any(name.startswith("automations/") for name in _files(target))


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(ConflictError) as caught:
        copy_template(tmp_path)

    assert caught.value.code == "not_empty"
    assert _files(tmp_path) == {"notes.txt": b"mine"}
