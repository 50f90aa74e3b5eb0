"""Programs in their profiles: what is asked of the machine for one, and how it ended."""

import asyncio
import math
import os
import shutil
import stat
import sys
import zlib
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from amodal_rt.clock import Clock
from amodal_rt.definitions.profile import DEFINITIONS
from amodal_rt.domain.cause import Cause
from amodal_rt.domain.profile import Isolation, Profile
from amodal_rt.errors import InvalidError, UnavailableError
from amodal_rt.executors.sandbox import bubblewrap
from amodal_rt.executors.sandbox.cells import Cells
from amodal_rt.executors.sandbox.cgroups import Cell
from amodal_rt.executors.sandbox.process import Output, SandboxProcess
from amodal_rt.executors.sandbox.proxy import Proxy, Room
from amodal_rt.executors.sandbox.reports import Reports
from amodal_rt.guardrails.causes import VARIABLE, Causes
from amodal_rt.guardrails.egress import Egress
from amodal_rt.ids import Ids

FIRST_USER = 1_879_048_192
"""The first of the numbers that a daemon which is root gives its sandboxes, each another one."""
USERS = 65_536
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
OPEN_FILES = 4_096
CONNECTIONS = 1_024
"""Through the proxies of all sandboxes at once: each costs the daemon two of its descriptors."""


class Ended(Enum):
    """How a program ended: by itself, at its deadline, for printing or for using too much."""

    EXITED = "exited"
    OVERDUE = "overdue"
    FLOODED = "flooded"
    STARVED = "starved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A program to run. `environment` is added to the profile's own variables, `seconds` bounds
    it beside the profile. `secrets` are files that no mount may show."""

    profile: Profile
    argv: Sequence[str]
    stdin: bytes
    environment: Mapping[str, str]
    cause: Cause
    seconds: float | None = None
    secrets: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What became of a program. `code` is its exit code, 128 and more for a signal. `limits` says
    what bounded it: `cgroup-v2`, `cgroup-v1` or `rlimit`. The hosts are counted by `host:port`."""

    ended: Ended
    code: int | None
    stdout: bytes
    stderr: bytes
    limits: str
    reached: Mapping[str, int] = field(default_factory=dict[str, int])
    refused: Mapping[str, int] = field(default_factory=dict[str, int])


class Sandboxes:
    """Runs programs, each in a sandbox of its own. `private` is what no mount may show, whatever
    a profile says: the state folder and the secrets' file."""

    def __init__(
        self,
        *,
        egress: Egress,
        causes: Causes,
        clock: Clock,
        ids: Ids,
        workspace: Path,
        private: Sequence[Path],
    ) -> None:
        self._egress = egress
        self._causes = causes
        self._clock = clock
        self._ids = ids
        self.workspace = Path(os.path.realpath(workspace))
        """The folder of the workspace."""
        self._private = tuple(private)
        self._cells = Cells(clock, ids)
        self._room = Room(CONNECTIONS)
        self._ending: set[asyncio.Task[bool]] = set()

    async def run(self, job: Job) -> Ran:
        """Run it to its end; whoever cancels this ends the program first.

        Raises UnavailableError (`sandbox_unavailable`) where this machine cannot hold it as its
        profile says, InvalidError (`bad_mount`) for a mount that would show what is private.
        """
        profile = job.profile
        self._check_mounts(job)
        cell = self._cells.make(profile.bounds)
        process: SandboxProcess | None = None
        proxy = Proxy(profile, self._egress, self._clock, self._marks(job.cause), self._room)
        outputs = [Output(profile.bounds.output, bytearray()) for _ in range(2)]
        ended, starved = Ended.EXITED, False
        try:
            process = self._process(job, cell)
            await process.start()
            if process.listener is not None:
                await proxy.serve(process.listener)
            ended = await self._talk(process, job, outputs)
        finally:
            starved = await self._whole(self._end(process, proxy, cell))
        code = process.code if process is not None else None
        if ended is Ended.EXITED and any(each.flooded for each in outputs):
            ended = Ended.FLOODED
        if ended is Ended.EXITED and code != 0 and starved:
            ended = Ended.STARVED
        if ended is Ended.EXITED and code is None:
            raise _unavailable(_last_line(outputs[1]))
        return Ran(
            ended=ended,
            code=128 - code if code is not None and code < 0 else code,
            stdout=bytes(outputs[0].data),
            stderr=bytes(outputs[1].data),
            limits="rlimit" if cell is None else f"cgroup-v{cell.version}",
            reached=dict(proxy.reached),
            refused=dict(proxy.refused),
        )

    def tidy(self) -> None:
        """End what a daemon that was killed left running."""
        self._cells.tidy()

    async def _talk(self, process: SandboxProcess, job: Job, outputs: Sequence[Output]) -> Ended:
        seconds = job.profile.bounds.timeout.total_seconds()
        if job.seconds is not None:
            seconds = min(seconds, job.seconds)
        try:
            async with self._clock.deadline(seconds):
                await process.talk(job.stdin, outputs)
        except TimeoutError:
            return Ended.OVERDUE
        return Ended.EXITED

    async def _end(self, process: SandboxProcess | None, proxy: Proxy, cell: Cell | None) -> bool:
        """Leave nothing of it behind; whether it was short of memory."""
        try:
            if process is not None:
                await process.end()
            await proxy.close()
            return cell is not None and cell.starved()
        finally:
            await self._cells.leave(cell)
            if process is not None:
                process.close()

    async def _whole(self, ending: Coroutine[None, None, bool]) -> bool:
        """What `ending` gives; it goes on to its end even where nobody waits for it any more."""
        task = asyncio.ensure_future(ending)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return await asyncio.shield(task)

    def _process(self, job: Job, cell: Cell | None) -> SandboxProcess:
        try:
            reports = Reports()
        except OSError as error:
            raise _unavailable(f"no pipe can be had: {error.strerror}") from error
        try:
            spec = self._spec(job, cell, reports.passed)
        except BaseException:
            reports.close()
            raise
        return SandboxProcess(spec, cell, self._clock, reports)

    def _spec(self, job: Job, cell: Cell | None, status: int) -> dict[str, object]:
        profile = job.profile
        if sys.platform != "linux":
            raise _unavailable("it needs Linux")
        isolated = profile.isolation is Isolation.BUBBLEWRAP
        argv = list(job.argv)
        sources: list[str] = []
        if isolated:
            program = shutil.which(bubblewrap.PROGRAM)
            if program is None:
                raise _unavailable(
                    "bubblewrap is not installed", "on Debian: apt-get install bubblewrap"
                )
            sources = bubblewrap.sources(profile, self.workspace)
            argv = self._arguments(job, status)
            argv[0] = program
        elif cell is None and os.getuid() == 0:
            raise _unavailable(
                "nothing bounds a process of root where control groups cannot be had"
            )
        return {
            "argv": argv,
            "environment": self._environment(job),
            "isolated": isolated,
            "sources": sources,
            "files": dict(bubblewrap.FILES) if profile.base is None else {},
            "proxies": PROXIES if profile.network else (),
            "limits": _limits(profile, cell),
            "user": self._user(profile, sources) if isolated else None,
            "folder": "/" if isolated else str(self.workspace),
            "parent": os.getpid(),
        }

    def _arguments(self, job: Job, status: int) -> list[str]:
        try:
            return bubblewrap.arguments(
                job.profile,
                job.argv,
                workspace=self.workspace,
                status=status,
                hidden=[self.workspace, *self._real_private(), *_closed(job.secrets)],
            )
        except OSError as error:
            raise _unavailable(f"its base {job.profile.base}: {error.strerror}") from error

    def _environment(self, job: Job) -> dict[str, str]:
        found = {"LANG": "C.UTF-8", VARIABLE: self._causes.token(job.cause)}
        if job.profile.isolation is Isolation.BUBBLEWRAP:
            found |= {"PATH": bubblewrap.PATH, "HOME": bubblewrap.HOME, "TMPDIR": "/tmp"}  # noqa: S108
            found |= {"USER": "agent", "SHELL": "/bin/sh"}
        if job.profile.network:
            # Node asks no proxy unless it is told to.
            found |= {"NO_PROXY": "localhost,127.0.0.1", "NODE_USE_ENV_PROXY": "1"}
        return {**found, **job.environment}

    def _user(self, profile: Profile, sources: Sequence[str]) -> tuple[int, int] | None:
        """Whom a daemon that is root lets a program be: whoever owns what it may write, else
        nobody that there is; None to stay who we are."""
        if os.getuid() != 0:
            return None
        first = 0 if profile.base is None else 1
        owners: set[tuple[int, int]] = set()
        for source, mount in zip(sources[first:], profile.mounts, strict=True):
            if mount.writable:
                owners.add(_owner(source))
        if not owners:
            number = FIRST_USER + zlib.crc32(self._ids.token().encode()) % USERS
            return number, number
        if len(owners) > 1 or 0 in {number for number, _ in owners}:
            raise _unavailable(
                f"{profile.file}: what is mounted writable belongs to root, or to several users",
                "the daemon is root and no sandboxed program is: give the folder to one other user",
            )
        return owners.pop()

    def _check_mounts(self, job: Job) -> None:
        real = [*self._real_private(), *map(_real, job.secrets)]
        definitions = [_real(self.workspace / each) for each in DEFINITIONS]
        writable = {each.source for each in job.profile.mounts if each.writable}
        named = [each.source for each in job.profile.mounts]
        named += [job.profile.base] if job.profile.base is not None else []
        for source in named:
            path = Path(os.path.normpath(self.workspace / source))
            for each in real:
                if _overlap(path, each):
                    raise InvalidError(
                        f"{job.profile.file}: {source} would show {each}, which is private",
                        code="bad_mount",
                        hint="mount a folder that holds no secrets and no state of the runtime",
                    )
            if source in writable and any(_overlap(path, each) for each in definitions):
                raise InvalidError(
                    f"{job.profile.file}: {source} holds definitions of this workspace, which no "
                    "program writes",
                    code="bad_mount",
                    hint="mount a folder of data",
                )

    def _real_private(self) -> list[Path]:
        return [_real(each) for each in self._private]

    def _marks(self, cause: Cause) -> "_Marks":
        return _Marks(self._causes, cause)


@dataclass(frozen=True, slots=True)
class _Marks:
    causes: Causes
    cause: Cause

    def __call__(self, url: str) -> Mapping[str, str]:
        return self.causes.headers(url, self.cause)


def _real(path: str | Path) -> Path:
    return Path(os.path.realpath(path))


def _overlap(one: Path, other: Path) -> bool:
    return one == other or one in other.parents or other in one.parents


def _closed(files: Sequence[str]) -> Iterator[Path]:
    """Those that not everybody on this machine may read: a list of certificates, which programs
    need, is no secret."""
    for each in map(_real, files):
        with suppress(OSError):
            if not each.stat().st_mode & stat.S_IROTH:
                yield each


def _owner(path: str) -> tuple[int, int]:
    try:
        found = os.lstat(path)
    except OSError as error:
        raise _unavailable(f"{path} cannot be mounted: {error.strerror}") from error
    return found.st_uid, found.st_gid


def _limits(profile: Profile, cell: Cell | None) -> dict[str, int]:
    """By name of the system's limits. Without control groups each process is bounded by itself,
    and their number."""
    always = {"CORE": 0, "NOFILE": OPEN_FILES}
    if cell is not None:
        return always
    bounds = profile.bounds
    seconds = math.ceil(bounds.timeout.total_seconds() * bounds.cpus)
    return always | {
        "DATA": bounds.memory,
        "FSIZE": bounds.memory,
        "NPROC": bounds.processes + 4,
        "CPU": max(seconds, 1),
    }


def _last_line(output: Output) -> str:
    lines = bytes(output.data).decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else "it ended before the program began"


def _unavailable(reason: str, hint: str | None = None) -> UnavailableError:
    return UnavailableError(
        f"the sandbox cannot be had: {reason}",
        code="sandbox_unavailable",
        hint=hint or "docs/how-to/run-a-command.md says what it needs of the machine",
    )
