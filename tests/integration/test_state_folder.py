"""Commands mean the state folder that is named, and leave it to whom it belongs."""

import json
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import daemon_child
import pytest

from amodal_rt.daemon.lock import LOCK_FILE

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def command(root: Path, state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`amodal-rt`, or `ops` where the first word says so, told of a state folder."""
    first, *rest = words
    module = ["-c", "from amodal_rt.cli.entry import ops; ops()"] if first == "ops" else []
    return subprocess.run(
        [sys.executable, *(module or ["-m", "amodal_rt", first]), *rest, "--workspace", str(root)],
        env={
            **os.environ,
            "XDG_RUNTIME_DIR": str(root.parent),
            "AMODAL_RT_STATE_DIR": str(state),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def test_a_restore_is_tried_in_a_folder_of_its_own_while_the_daemon_works(tmp_path: Path) -> None:
    root, drill, file = tmp_path / "w", tmp_path / "drill", tmp_path / "b.db"
    daemon_child.automation(root, "hook", trigger="webhook")
    with daemon_child.daemon(root) as child:
        url = child.client.get("/v1/automations/hook")["webhook_url"]
        child.post(url)
        assert command(root, child.state, "backup", str(file)).returncode == 0
        child.post(url, b'{"later": 1}')

        back = command(root, drill, "restore", str(file), "--json")
        copied = command(root, drill, "backup", str(tmp_path / "again.db"), "--json")
        asked = command(root, drill, "ops", "automations", "pause", "hook", "--json")

        assert json.loads(back.stdout)["events"] == 1
        assert json.loads(copied.stdout)["events"] == 1
        assert json.loads(asked.stdout)["error"]["code"] == "daemon_unreachable"
        assert len(child.client.get("/v1/events")) == 2


@as_root
def test_what_root_restores_belongs_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    root, state, file = tmp_path / "w", tmp_path / "state", tmp_path / "b.db"
    daemon_child.automation(root, "hook", trigger="webhook")
    with daemon_child.daemon(root):
        assert command(root, root / ".amodal-rt", "backup", str(file)).returncode == 0
    state.mkdir(0o700)
    shutil.chown(state, "nobody")

    done = command(root, state, "restore", str(file))

    assert done.returncode == 0, done.stderr
    owner = pwd.getpwnam("nobody").pw_uid
    assert {"ledger.sqlite", LOCK_FILE} <= {each.name for each in state.iterdir()}
    assert {each.name for each in state.iterdir() if each.stat().st_uid != owner} <= {".gitignore"}
