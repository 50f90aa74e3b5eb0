"""Programs in real sandboxes, as an attacker would write them."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from amodal_rt.clock import SystemClock
from amodal_rt.domain.cause import Cause
from amodal_rt.domain.profile import Bounds, Profile
from amodal_rt.executors.sandbox.sandbox import Job, Ran, Sandboxes
from amodal_rt.guardrails.causes import Causes
from amodal_rt.guardrails.egress import Egress
from amodal_rt.ids import SystemIds

NEEDED = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="there is no bubblewrap: apt-get install bubblewrap"
)
MIB = 1024 * 1024
BOX = Profile(
    name="box",
    version=1,
    hash="h",
    document="{}",
    file="profiles/box/1.json",
    bounds=Bounds(memory=64 * MIB, processes=20, timeout=timedelta(seconds=20), output=65_536),
)


@dataclass
class Scene:
    """A workspace with secrets, and what runs programs in it."""

    root: Path
    sandboxes: Sandboxes
    egress: Egress

    async def run(
        self,
        *argv: str,
        profile: Profile = BOX,
        stdin: bytes = b"",
        environment: dict[str, str] | None = None,
        seconds: float | None = None,
        secrets: Sequence[Path] = (),
        **changes: Any,
    ) -> Ran:
        bounds = {key: changes.pop(key) for key in list(changes) if hasattr(profile.bounds, key)}
        chosen = replace(profile, bounds=replace(profile.bounds, **bounds), **changes)
        job = Job(
            profile=chosen,
            argv=argv,
            stdin=stdin,
            environment=environment or {},
            cause=Cause(depth=1, run_id=None),
            seconds=seconds,
            secrets=[*map(str, secrets)],
        )
        return await self.sandboxes.run(job)

    async def sh(self, line: str, **more: Any) -> str:
        """What a shell printed, its complaints too."""
        ran = await self.run("/bin/sh", "-c", f"exec 2>&1; {line}", **more)
        return ran.stdout.decode()

    async def python(self, text: str, **more: Any) -> Ran:
        return await self.run("/usr/bin/python3", "-c", text, **more)


@asynccontextmanager
async def scene_in(folder: Path) -> AsyncIterator[Scene]:
    root = folder / "workspace"
    for each in ("data", "automations", ".amodal-rt"):
        (root / each).mkdir(parents=True)
    (root / ".env").write_text("TOKEN=canary-env\n")
    (root / ".amodal-rt" / "ledger.db").write_text("canary-ledger")
    (root / "data" / "page").write_text("a page")
    clock = SystemClock()
    async with Egress(["127.0.0.0/8"]) as egress:
        sandboxes = Sandboxes(
            egress=egress,
            causes=Causes(b"key", lambda url: url.startswith("http://127.0.0.1")),
            clock=clock,
            ids=SystemIds(clock),
            workspace=root,
            private=(root / ".env", root / ".amodal-rt"),
        )
        yield Scene(root, sandboxes, egress)


def started(*argv: str) -> subprocess.Popen[bytes]:
    """A process of this machine that has nothing to do with the sandbox."""
    environment = {**os.environ, "BYSTANDER": "canary-process"}
    return subprocess.Popen(argv, env=environment, start_new_session=True)


def alive(mark: str) -> list[int]:
    """Processes of this machine whose arguments hold `mark`."""
    found: list[int] = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in each.read_bytes():
                found.append(int(each.parent.name))
        except OSError:
            continue
    return found


def without_groups(scene: Scene) -> None:
    """As on a machine that delegates none."""
    scene.sandboxes._cells._looked = True
    scene.sandboxes._cells._groups = None
