"""One sandboxed process: started, fed, read up to a bound, and ended with all that it started."""

import asyncio
import json
import marshal
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from amodal_rt.clock import Clock
from amodal_rt.errors import UnavailableError
from amodal_rt.executors.sandbox.cgroups import Cell
from amodal_rt.failpoints import hit

LAUNCHER = Path(__file__).with_name("launch.py")
GRACE_SECONDS = 1.5
"""How long a program that was asked to go may take; a cancelled run has three seconds in all."""
START_SECONDS = 20.0

_CHUNK = 65_536
_SETTLE_SECONDS = 0.02
_SETTLES = 100


@dataclass(slots=True)
class Output:
    """What one output said, up to a bound; `flooded` when more came."""

    limit: int
    data: bytearray
    flooded: bool = False

    async def read(self, stream: asyncio.StreamReader) -> None:
        """Until its end or its bound."""
        while chunk := await stream.read(_CHUNK):
            room = self.limit - len(self.data)
            self.data += chunk[:room]
            if len(chunk) > room:
                self.flooded = True
                return


class SandboxProcess:
    """`listener` is the socket of its network, once it has started, where it has one."""

    def __init__(self, spec: Mapping[str, object], cell: Cell | None, clock: Clock) -> None:
        self._spec = spec
        self._cell = cell
        self._clock = clock
        self._process: Process | None = None
        self._reports = -1
        self._reported = b""
        self.listener: socket.socket | None = None

    async def start(self, *, reports: int, passed: int) -> None:
        """Become the program. `passed` is the descriptor that it inherits to report by, `reports`
        where that is read; both are closed here. Raises UnavailableError
        (`sandbox_unavailable`)."""
        self._reports = reports
        ours, theirs = socket.socketpair()
        with ours:
            await self._begin(theirs, passed)
            await self._introduce(ours)

    async def _begin(self, theirs: socket.socket, passed: int) -> None:
        try:
            argv = [sys.executable, "-I", "-S", "-B", str(LAUNCHER), str(theirs.fileno())]
            hit("sandbox.before_start")
            self._process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env={},
                pass_fds=(theirs.fileno(), passed),
                start_new_session=True,
            )
            hit("sandbox.after_start")
        except OSError as error:
            raise _unavailable(f"no process can be started: {error.strerror}") from error
        finally:
            theirs.close()
            os.close(passed)

    async def _introduce(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            async with self._clock.deadline(START_SECONDS):
                await loop.sock_sendall(channel, marshal.dumps(dict(self._spec)))
                channel.shutdown(socket.SHUT_WR)
                await _readable(channel)
            said, descriptors, _, _ = socket.recv_fds(channel, _CHUNK, 1)
        except (OSError, TimeoutError) as error:
            raise _unavailable("its process does not start") from error
        if descriptors:
            self.listener = socket.socket(fileno=descriptors[0])
            self.listener.setblocking(False)
        if said != b"ready":
            told = said.removeprefix(b"failed ").decode("utf-8", "replace")
            raise _unavailable(told or "its process ended before the program began")

    async def talk(self, given: bytes, outputs: Sequence[Output]) -> None:
        """Feed it and read it until it ends, or until one output is flooded."""
        process = self._process
        assert process is not None
        assert process.stdout is not None
        assert process.stderr is not None
        feeding = asyncio.ensure_future(self._feed(process, given))
        reading = [
            asyncio.ensure_future(output.read(stream))
            for output, stream in zip(outputs, (process.stdout, process.stderr), strict=True)
        ]
        ended = asyncio.ensure_future(process.wait())
        waiting = {ended, *reading}
        try:
            while waiting and not any(each.flooded for each in outputs):
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if ended in done:
                    # What it left behind may hold the outputs open for ever.
                    await self._end_rest()
        finally:
            for task in (feeding, ended, *reading):
                task.cancel()
            await asyncio.gather(feeding, ended, *reading, return_exceptions=True)

    async def _feed(self, process: Process, given: bytes) -> None:
        assert process.stdin is not None
        # A program need not read what it is given.
        with suppress(OSError):
            process.stdin.write(given)
            await process.stdin.drain()
            process.stdin.close()

    async def end(self) -> None:
        """Ask the program to go, then end it and everything that it started."""
        process = self._process
        if process is None:
            return
        rest = asyncio.gather(_discard(process.stdout), _discard(process.stderr))
        if process.returncode is None:
            self._ask()
            with suppress(TimeoutError):
                async with self._clock.deadline(GRACE_SECONDS):
                    await process.wait()
        await self._end_rest()
        with suppress(TimeoutError):
            async with self._clock.deadline(GRACE_SECONDS):
                await rest
        # Whoever left its group without isolation holds the other ends: nobody waits for it.
        _drop_pipes(process)

    async def _end_rest(self) -> None:
        process = self._process
        assert process is not None
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        if not self._isolated:
            # Whoever has left the group is found by its control group, where there is one.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        for _ in range(_SETTLES):
            if self._cell is None or not self._cell.kill():
                break
            await self._clock.sleep(_SETTLE_SECONDS)

    def _ask(self) -> None:
        process = self._process
        assert process is not None
        with suppress(ProcessLookupError, PermissionError):
            if not self._isolated:
                os.killpg(process.pid, signal.SIGTERM)
                return
            inner = self._inner()
            if inner is None:
                process.kill()
            else:
                os.kill(inner, signal.SIGTERM)

    def _inner(self) -> int | None:
        """The program itself, as the machine numbers it: the first child of the first process of
        its namespace."""
        first = self._reported_fact("child-pid")
        if first is None:
            return None
        try:
            found = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        except OSError:
            return None
        return int(found[0]) if found else None

    @property
    def code(self) -> int | None:
        """The program's exit code, negative for a signal's number; None where it never began."""
        process = self._process
        if process is None or process.returncode is None:
            return None
        return self._reported_fact("exit-code") if self._isolated else process.returncode

    @property
    def _isolated(self) -> bool:
        return bool(self._spec["isolated"])

    def _reported_fact(self, name: str) -> int | None:
        with suppress(OSError):
            while self._reports >= 0 and (part := os.read(self._reports, _CHUNK)):
                self._reported += part
        for line in self._reported.splitlines():
            with suppress(ValueError):
                value = cast("dict[str, object]", json.loads(line)).get(name)
                if isinstance(value, int):
                    return value
        return None

    def close(self) -> None:
        """Let go of what it reports by and listens on."""
        if self._reports >= 0:
            os.close(self._reports)
            self._reports = -1
        if self.listener is not None:
            self.listener.close()


async def _discard(stream: asyncio.StreamReader | None) -> None:
    """Read to the end what nobody wants: a process whose output is full never hears that it
    should go, and its end is only seen with that of its pipes."""
    while stream is not None and await stream.read(_CHUNK):
        pass


def _drop_pipes(process: Process) -> None:
    transport: asyncio.BaseTransport | None = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()


async def _readable(channel: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    there = asyncio.Event()
    loop.add_reader(channel, there.set)
    try:
        await there.wait()
    finally:
        loop.remove_reader(channel)


def _unavailable(reason: str) -> UnavailableError:
    return UnavailableError(
        f"the sandbox cannot be had: {reason}",
        code="sandbox_unavailable",
        hint="`docs/how-to/run-a-command.md` says what it needs of the machine",
    )
