"""A definition is written whole or not at all."""

import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from amodal_rt.domain.automation import Lifecycle
from amodal_rt.errors import ConflictError, DeniedError, InvalidError, NotFoundError
from amodal_rt.workspace.reading import find
from amodal_rt.workspace.rewrite import edit_file, set_status, write_file

TEXT = (
    '{\n  "title":  "Daily",\n  "trigger": "manual",\n  "prompt": "look",\n  "status": "draft"\n}\n'
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "automations/daily.json"
    path.parent.mkdir()
    path.write_text(TEXT)
    return path


def _status(path: Path) -> str:
    return json.loads(path.read_text())["status"]


def test_the_status_is_written_and_all_else_stays(path: Path) -> None:
    path.chmod(0o640)

    set_status(path.parents[1], "daily", Lifecycle.ACTIVE)

    assert path.read_text() == TEXT.replace('"draft"', '"active"')
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in path.parent.iterdir()] == ["daily.json"]


def test_a_link_is_kept_and_what_it_leads_to_is_written(path: Path, tmp_path: Path) -> None:
    path.rename(tmp_path / "shared.json")
    path.symlink_to("../shared.json")

    set_status(tmp_path, "daily", Lifecycle.ACTIVE)

    assert path.is_symlink()
    assert _status(tmp_path / "shared.json") == "active"


def test_a_link_that_leads_out_is_not_written(path: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    root = tmp_path / "inner"
    (root / "automations").mkdir(parents=True)
    path.rename(outside)
    (root / "automations/daily.json").symlink_to(outside)

    with pytest.raises(InvalidError) as caught:
        set_status(root, "daily", Lifecycle.ACTIVE)

    assert caught.value.code == "outside"
    assert outside.read_text() == TEXT


def test_an_unknown_name_is_not_found(path: Path) -> None:
    with pytest.raises(NotFoundError):
        set_status(path.parents[1], "weekly", Lifecycle.ACTIVE)


def test_two_files_of_one_name_are_a_conflict(path: Path) -> None:
    path.with_suffix(".md").write_text("---\ntitle: x\n---\nlook")

    with pytest.raises(ConflictError) as caught:
        set_status(path.parents[1], "daily", Lifecycle.ACTIVE)

    assert caught.value.code == "duplicate_stem"


def test_a_change_by_somebody_else_meanwhile_is_not_overwritten(path: Path) -> None:
    found = find(os.path.realpath(path.parents[1]), "automations/daily.json")
    assert found
    path.write_text("theirs")

    with pytest.raises(ConflictError) as caught:
        write_file(found, b"ours")

    assert caught.value.code == "changed"
    assert path.read_text() == "theirs"
    assert [each.name for each in path.parent.iterdir()] == ["daily.json"]


WRITE = """
import sys
from pathlib import Path
from amodal_rt.domain.automation import Lifecycle
from amodal_rt.errors import AmodalError
from amodal_rt.workspace.rewrite import set_status
try:
    set_status(Path(sys.argv[1]), "daily", Lifecycle.ACTIVE)
except AmodalError as error:
    print(error.kind, error.code)
"""


def _write_elsewhere(path: Path, *, failpoint: str) -> subprocess.CompletedProcess[str]:
    """`set_status` in another process."""
    return subprocess.run(
        [sys.executable, "-c", WRITE, str(path.parents[1])],
        env={**os.environ, "AMODAL_RT_FAILPOINTS": failpoint},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("failpoint", "status"), [("file.before_rename", "draft"), ("file.after_rename", "active")]
)
def test_a_kill_leaves_the_old_file_or_the_new_one(path: Path, failpoint: str, status: str) -> None:
    done = _write_elsewhere(path, failpoint=f"{failpoint}=kill")

    assert done.returncode == -9
    assert _status(path) == status
    visible = [each.name for each in path.parent.iterdir() if not each.name.startswith(".")]
    assert visible == ["daily.json"]


def test_a_failure_before_the_rename_leaves_no_temporary_file(path: Path) -> None:
    done = _write_elsewhere(path, failpoint="file.before_rename=raise")

    assert done.stdout == "internal failpoint\n"
    assert path.read_text() == TEXT
    assert [each.name for each in path.parent.iterdir()] == ["daily.json"]


@pytest.fixture
def locked() -> Iterator[Path]:
    """A workspace that this test may read and not write, even where root runs it."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "automations").mkdir()
        (root / "automations/daily.json").write_text(TEXT)
        (root / "automations").chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        yield root
        os.seteuid(user)
        (root / "automations").chmod(0o755)


def test_a_folder_that_cannot_be_written_is_read_only(locked: Path) -> None:
    with pytest.raises(DeniedError) as caught:
        set_status(locked, "daily", Lifecycle.ACTIVE)

    assert caught.value.code == "read_only"
    assert (locked / "automations/daily.json").read_text() == TEXT


@pytest.mark.parametrize("text", [None, b'{"members": []}'])
def test_neither_a_new_file_nor_an_old_one_is_written_where_nothing_may_be(
    locked: Path, text: bytes | None
) -> None:
    seen: list[bytes | None] = []

    def edit(found: bytes | None) -> bytes:
        seen.append(found)
        return b"{}"

    file = "automations/daily.json" if text else "automations/other.json"
    with pytest.raises(DeniedError) as caught:
        edit_file(locked, file, edit)

    assert caught.value.code == "read_only"
    assert seen == [TEXT.encode() if text else None]


def test_a_file_that_an_edit_leaves_as_it_is_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "identities.json"
    path.write_text(TEXT)
    before = path.stat()

    edit_file(tmp_path, "identities.json", lambda text: text or b"")

    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_new_file_is_whole_and_for_those_who_may_enter_the_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)

    edit_file(tmp_path, "identities.json", lambda text: b"{}" if text is None else text)

    path = tmp_path / "identities.json"
    assert path.read_bytes() == b"{}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["identities.json"]


def test_a_file_that_somebody_makes_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "identities.json"

    def edit(text: bytes | None) -> bytes:
        path.write_text("theirs")
        return b"ours"

    with pytest.raises(ConflictError) as caught:
        edit_file(tmp_path, "identities.json", edit)

    assert caught.value.code == "changed"
    assert path.read_text() == "theirs"
