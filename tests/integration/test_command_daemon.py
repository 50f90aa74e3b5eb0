"""Commands in a real daemon, killed and started again."""

from pathlib import Path
from typing import Any

import pytest
from daemon_child import daemon, eventually, write
from sandbox_scene import NEEDED

from amodal_rt.cli.entry import main

pytestmark = NEEDED


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    write(folder, "profiles/quiet/1.json", {})
    write(folder, "profiles/loud/1.json", {"network": ["x.example"]})
    run = {"title": "Run", "command": ["/bin/sh", "-c", "cat"], "trigger": "manual"}
    write(folder, "automations/reads.json", {**run, "profile": "quiet"})
    write(folder, "automations/writes.json", {**run, "profile": "loud", "writeEnabled": True})
    loop = "---\nloop: {program: [/bin/sh, -c, cat]}\n---\n"
    write(folder, "agents/program.md", loop)
    asks = {"title": "Ask", "prompt": "x", "agent": "program", "trigger": "manual"}
    write(folder, "automations/asks.json", {**asks, "profile": "quiet"})
    write(folder, "automations/acts.json", {**asks, "profile": "loud", "writeEnabled": True})
    return folder


@pytest.mark.parametrize("place", ["sandbox.before_start", "sandbox.after_start"])
@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("reads", "completed", None),
        ("writes", "failed", "interrupted"),
        ("asks", "completed", None),
        ("acts", "failed", "interrupted"),
    ],
)
def test_a_command_that_was_cut_off_by_a_kill(
    root: Path, place: str, name: str, status: str, reason: str | None
) -> None:
    """It runs again where it could change nothing, and else fails as interrupted."""
    with daemon(root, AMODAL_RT_FAILPOINTS=f"{place}=kill") as first:
        first.client.post(f"/v1/automations/{name}/trigger", {"payload": {"n": 1}})
        eventually(lambda: not first.process.alive)
    with daemon(root) as second:

        def ended() -> dict[str, Any] | None:
            [run] = second.client.get("/v1/runs", {"automation": name})
            return None if run["status"] in ("pending", "running") else run

        run = eventually(ended)

    assert (run["status"], run["reason"]) == (status, reason)
    assert (run["profile"], run["isolation"]) == (
        "quiet@1" if status == "completed" else "loud@1",
        "bubblewrap",
    )


def test_what_runs_without_isolation_says_so_wherever_the_run_is_shown(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(root, "profiles/bare/1.json", {"isolation": "none"})
    run = {"title": "Bare", "command": ["/bin/true"], "profile": "bare", "trigger": "manual"}
    write(root, "automations/bare.json", {**run, "writeEnabled": True})
    with daemon(root) as child:
        run_id = child.client.post("/v1/automations/bare/trigger", {})["run_id"]
        eventually(lambda: child.client.get(f"/v1/runs/{run_id}")["finished_at"])

        code = main(["ops", "runs", "show", run_id, "--workspace", str(root)], program="ops")

    assert code == 0
    assert "profile     bare@1, no isolation" in capsys.readouterr().out


def test_no_profile_shows_the_sockets_of_the_runtime_folder(root: Path) -> None:
    """`XDG_RUNTIME_DIR` of these daemons is the folder above the workspace."""
    write(root, "profiles/peek/1.json", {"mounts": [{"source": str(root.parent / "amodal-rt"),
          "target": "/x"}]})  # fmt: skip
    run = {"title": "Peek", "command": ["/bin/ls", "/x"], "profile": "peek", "trigger": "manual"}
    write(root, "automations/peek.json", run)
    with daemon(root) as child:
        child.client.post("/v1/automations/peek/trigger", {})

        def ended() -> dict[str, Any] | None:
            [found] = child.client.get("/v1/runs", {"automation": "peek"})
            return None if found["status"] in ("pending", "running") else found

        found = eventually(ended)

    assert found["status"] == "failed"
    assert "which is private" in found["error"]
