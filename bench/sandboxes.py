"""Sandboxes: what a program costs that does nothing, against the same without one."""

import asyncio
import os
import resource
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

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


@dataclass(frozen=True, slots=True)
class Took:
    """In seconds: by the clock, and of the processor."""

    seconds: float
    busy: float


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
            took: dict[str, list[Took]] = {name: [] for name in names}
            for _ in range(TIMES):
                begun = _now()
                _spawn()
                took["bare"].append(_since(begun))
                for name, profile in (("closed", _PROFILE), ("open", _OPEN)):
                    begun = _now()
                    await sandboxed(profile)
                    took[name].append(_since(begun))
    found = {name: median(each.seconds for each in every) * 1_000 for name, every in took.items()}
    used = {name: mean(each.busy for each in every) * 1_000 for name, every in took.items()}
    return [
        Figure(
            name="processor time of a sandboxed `true`",
            value=used["closed"],
            unit="ms",
            baseline=used["bare"],
            baseline_name="a spawned `true`",
        ),
        *(
            Figure(
                name=f"a sandboxed `true`, {words}",
                value=found[name],
                unit="ms",
                baseline=found["bare"],
                baseline_name="a spawned `true`",
                aim="< 60 ms",
                at_most=60,
            )
            for name, words in (("closed", "no network"), ("open", "with the proxy"))
        ),
    ]


def _now() -> Took:
    """The clock, and the processor's time of this process and those that it has waited for."""
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return Took(time.perf_counter(), sum(each.ru_utime + each.ru_stime for each in both))


def _since(begun: Took) -> Took:
    now = _now()
    return Took(now.seconds - begun.seconds, now.busy - begun.busy)


def _spawn() -> None:
    os.waitpid(os.posix_spawn("/bin/true", ["/bin/true"], {}), 0)
