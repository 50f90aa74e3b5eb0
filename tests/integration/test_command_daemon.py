"""Commands in a real daemon, killed and started again."""

from pathlib import Path
from typing import Any

import pytest
from daemon_child import daemon, eventually, write
from sandbox_scene import NEEDED

pytestmark = NEEDED


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    write(folder, "profiles/quiet/1.json", {})
    write(folder, "profiles/loud/1.json", {"network": ["x.example"]})
    run = {"title": "Run", "command": ["/bin/sh", "-c", "cat"], "trigger": "manual"}
    write(folder, "automations/reads.json", {**run, "profile": "quiet"})
    write(folder, "automations/writes.json", {**run, "profile": "loud", "writeEnabled": True})
    return folder


@pytest.mark.parametrize("place", ["sandbox.before_start", "sandbox.after_start"])
@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [("reads", "completed", None), ("writes", "failed", "interrupted")],
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
        "quiet@1" if name == "reads" else "loud@1",
        "bubblewrap",
    )
