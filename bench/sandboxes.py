"""Sandboxes: what a program costs that does nothing, against the same without one."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

from amodal_rt.clock import SystemClock
from amodal_rt.domain.cause import Cause
from amodal_rt.domain.profile import NetworkHost, Profile
from amodal_rt.executors.sandbox.sandbox import Job, Sandboxes
from amodal_rt.guardrails.causes import Causes
from amodal_rt.guardrails.egress import Egress
from amodal_rt.ids import SystemIds
from bench.report import Figure

TIMES = 30
_PROFILE = Profile(name="box", version=1, hash="", document="{}", file="profiles/box/1.json")
_OPEN = Profile(
    name="open",
    version=1,
    hash="",
    document="{}",
    file="profiles/open/1.json",
    network=(NetworkHost(host="api.example"),),
)


def measure() -> list[Figure]:
    """From the wish to the outcome of `/bin/true`; none where there is no bubblewrap."""
    return asyncio.run(_figures()) if shutil.which("bwrap") else []


async def _figures() -> list[Figure]:
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        async with Egress() as egress:
            sandboxes = Sandboxes(
                egress=egress,
                causes=Causes(b"key", lambda _: False),
                clock=clock,
                ids=SystemIds(clock),
                workspace=Path(folder),
                private=(),
            )

            async def sandboxed(profile: Profile) -> None:
                cause = Cause(depth=0, run_id=None)
                job = Job(
                    profile=profile, argv=["/bin/true"], stdin=b"", environment={}, cause=cause
                )
                ran = await sandboxes.run(job)
                assert ran.code == 0, ran

            # In turns: what else the machine does meanwhile meets all of them.
            names = ("bare", "closed", "open")
            took: dict[str, list[float]] = {name: [] for name in names}
            for _ in range(TIMES):
                took["bare"].append(await _seconds(_bare))
                took["closed"].append(await _seconds(lambda: sandboxed(_PROFILE)))
                took["open"].append(await _seconds(lambda: sandboxed(_OPEN)))
    found = {name: median(each) * 1_000 for name, each in took.items()}
    return [
        Figure(
            name=f"a sandboxed `true`, {words}",
            value=found[name],
            unit="ms",
            baseline=found["bare"],
            baseline_name="a bare `true`",
            aim="< 60 ms",
            at_most=60,
        )
        for name, words in (("closed", "no network"), ("open", "with the proxy"))
    ]


async def _seconds(act: Callable[[], Awaitable[None]]) -> float:
    begun = time.perf_counter()
    await act()
    return time.perf_counter() - begun


async def _bare() -> None:
    process = await asyncio.create_subprocess_exec("/bin/true")
    await process.wait()
