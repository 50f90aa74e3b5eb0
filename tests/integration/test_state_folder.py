"""Commands mean the state folder that is named, and leave it to whom it belongs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import daemon_child


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
