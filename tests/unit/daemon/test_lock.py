"""One daemon for each state folder, and the folder is private."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from amodal_rt.daemon.lock import daemon_lock, prepare_state
from amodal_rt.errors import ConflictError, UnavailableError

HOLD = """
import sys, pathlib
from amodal_rt.daemon.lock import daemon_lock
with daemon_lock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""

RACE = """
import sys, pathlib
from amodal_rt.daemon.lock import daemon_lock
from amodal_rt.errors import ConflictError
try:
    with daemon_lock(pathlib.Path(sys.argv[1])):
        print("won", flush=True)
        sys.stdin.read()
except ConflictError:
    print("lost", flush=True)
"""


def child(script: str, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_the_state_folder_is_private_and_ignored_by_git(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "state"

    prepare_state(folder)

    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / ".gitignore").read_text() == "*\n"


def test_an_open_state_folder_is_closed_and_its_gitignore_kept(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    (folder / ".gitignore").write_text("mine\n")

    prepare_state(folder)

    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / ".gitignore").read_text() == "mine\n"


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(UnavailableError) as caught:
        prepare_state(tmp_path / "file" / "state")

    assert caught.value.code == "state_folder"
    assert str(tmp_path / "file" / "state") in caught.value.message


def test_a_state_folder_that_nothing_can_be_written_to_is_named(tmp_path: Path) -> None:
    # Stands for a disk that is read-only, which a test cannot have.
    (tmp_path / "daemon.lock").mkdir()

    with pytest.raises(UnavailableError) as caught, daemon_lock(tmp_path):
        pass

    assert caught.value.code == "state_folder"
    assert str(tmp_path) in caught.value.message


def test_a_second_process_is_refused_and_told_who_holds(tmp_path: Path) -> None:
    holder = child(HOLD, tmp_path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"

    with pytest.raises(ConflictError) as caught, daemon_lock(tmp_path):
        pass

    assert caught.value.code == "daemon_running"
    assert f"pid {holder.pid}" in caught.value.message
    holder.communicate("")


def test_a_killed_holder_leaves_the_lock_free(tmp_path: Path) -> None:
    holder = child(HOLD, tmp_path)
    assert holder.stdout is not None
    holder.stdout.readline()
    holder.send_signal(signal.SIGKILL)
    holder.communicate()

    with daemon_lock(tmp_path):
        assert (tmp_path / "daemon.lock").read_text() == f"{os.getpid()}\n"


def test_of_many_that_start_at_once_exactly_one_wins(tmp_path: Path) -> None:
    children = [child(RACE, tmp_path) for _ in range(8)]
    said = [each.stdout.readline() for each in children if each.stdout]
    for each in children:
        each.communicate("")

    assert sorted(said) == ["lost\n"] * 7 + ["won\n"]
