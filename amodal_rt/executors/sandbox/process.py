"""One sandboxed process: started, fed, read up to a bound, and ended with all that it started."""

import asyncio
import marshal
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from amodal_rt.clock import Clock
from amodal_rt.errors import UnavailableError
from amodal_rt.executors.sandbox.cgroups import Cell
from amodal_rt.executors.sandbox.reports import Reports
from amodal_rt.failpoints import hit

LAUNCHER = Path(__file__).with_name("launch.py")
PYTHON = os.path.realpath(sys.executable)
"""Through the link of a virtual environment it looks for that first, which takes milliseconds."""
GRACE_SECONDS = 1.5
"""How long a program that was asked to go may take; a cancelled run has three seconds in all."""
LAST_WORDS_SECONDS = 0.5
"""How long its outputs are read after its end, where somebody else still holds them."""
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

    async def read(self, pipe: int) -> None:
        """Until its end or its bound."""
        while chunk := await _chunk(pipe):
            room = self.limit - len(self.data)
            self.data += chunk[:room]
            if len(chunk) > room:
                self.flooded = True
                return


class SandboxProcess:
    """`listener` is the socket of its network, once it has started, where it has one."""

    def __init__(
        self, spec: Mapping[str, object], cell: Cell | None, clock: Clock, reports: Reports
    ) -> None:
        """`spec` is the launcher's document. `reports` is closed with this."""
        self._spec = spec
        self._cell = cell
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._open: set[int] = set()
        self._input = self._exit = -1
        self._outputs: tuple[int, ...] = ()
        self._reports = reports
        self.listener: socket.socket | None = None

    async def start(self) -> None:
        """Become the program. Raises UnavailableError (`sandbox_unavailable`)."""
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise _unavailable(f"no socket can be had: {error.strerror}") from error
        with ours:
            with theirs:
                self._begin(theirs.fileno())
            await self._introduce(ours)

    def _begin(self, channel: int) -> None:
        argv = [PYTHON, "-I", "-S", "-B", str(LAUNCHER), str(channel)]
        theirs: list[int] = []
        try:
            for _ in range(3):
                theirs += self._pipe()
            given, self._input, said, told, complained, complaints = theirs
            theirs = [given, told, complaints]
            self._outputs = (said, complained)
            hit("sandbox.before_start")
            self._process = subprocess.Popen(
                argv,
                stdin=given,
                stdout=told,
                stderr=complaints,
                env={},
                pass_fds=(channel, self._reports.passed) if self._isolated else (channel,),
                start_new_session=True,
            )
            self._watch(self._process)
            hit("sandbox.after_start")
        except OSError as error:
            raise _unavailable(f"no process can be started: {error.strerror}") from error
        finally:
            for each in theirs:
                self._shut(each)
            self._reports.let_go()
        for each in (self._input, *self._outputs):
            os.set_blocking(each, False)

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        try:
            self._exit = os.pidfd_open(process.pid)
        except OSError:
            # It knows nothing of its program yet, and nobody could tell when it ends.
            process.kill()
            process.wait()
            raise
        self._open.add(self._exit)

    def _pipe(self) -> tuple[int, int]:
        ends = os.pipe2(os.O_CLOEXEC)
        self._open.update(ends)
        return ends

    def _shut(self, descriptor: int) -> None:
        if descriptor in self._open:
            self._open.discard(descriptor)
            os.close(descriptor)

    async def _introduce(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            async with self._clock.deadline(START_SECONDS):
                await loop.sock_sendall(channel, marshal.dumps(dict(self._spec)))
                channel.shutdown(socket.SHUT_WR)
                await _readable(channel.fileno())
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
        feeding = asyncio.ensure_future(self._feed(given))
        reading = [
            asyncio.ensure_future(output.read(pipe))
            for output, pipe in zip(outputs, self._outputs, strict=True)
        ]
        ended = asyncio.ensure_future(self._wait())
        waiting = {ended, *reading}
        try:
            while not ended.done() and not any(each.flooded for each in outputs):
                _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                await self._end_rest()
                with suppress(TimeoutError):
                    async with self._clock.deadline(LAST_WORDS_SECONDS):
                        await asyncio.wait(reading)
        finally:
            for task in (feeding, ended, *reading):
                task.cancel()
            await asyncio.gather(feeding, ended, *reading, return_exceptions=True)

    async def _feed(self, given: bytes) -> None:
        rest = memoryview(given)
        # A program need not read what it is given.
        with suppress(BrokenPipeError):
            while rest:
                await _writable(self._input)
                rest = rest[os.write(self._input, rest[:_CHUNK]) :]
        self._shut(self._input)

    async def _wait(self) -> None:
        """Until the process has ended. Who holds its outputs is no matter: what it left behind
        may do so for ever."""
        process = self._process
        if process is not None and process.returncode is None:
            await _readable(self._exit)

    async def end(self) -> None:
        """Ask the program to go, then end it and everything that it started."""
        process = self._process
        if process is None:
            return
        rest = asyncio.gather(*map(_discard, self._outputs))
        if process.returncode is None:
            self._ask()
            with suppress(TimeoutError):
                async with self._clock.deadline(GRACE_SECONDS):
                    await self._wait()
        await self._end_rest()
        with suppress(TimeoutError):
            async with self._clock.deadline(GRACE_SECONDS):
                # Whoever left its group without isolation may hold the other ends.
                await rest

    async def _end_rest(self) -> None:
        process = self._process
        assert process is not None
        if process.returncode is None:
            # Before its end is taken note of: until then no other process can have its number.
            with suppress(ProcessLookupError, PermissionError):
                if self._isolated:
                    os.kill(process.pid, signal.SIGKILL)
                else:
                    # Whoever has left the group is found by its control group, where there is one.
                    os.killpg(process.pid, signal.SIGKILL)
            with suppress(TimeoutError):
                async with self._clock.deadline(GRACE_SECONDS):
                    await self._wait()
            process.poll()
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
                os.kill(process.pid, signal.SIGKILL)
            else:
                os.kill(inner, signal.SIGTERM)

    def _inner(self) -> int | None:
        """The program itself, as the machine numbers it: the first child of the first process of
        its namespace."""
        first = self._reports.find("child-pid")
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
        if not self._isolated:
            return process.returncode
        reported = self._reports.find("exit-code")
        # Who was killed from outside says nothing any more, and may have run for long.
        return process.returncode if reported is None and process.returncode < 0 else reported

    @property
    def _isolated(self) -> bool:
        return bool(self._spec["isolated"])

    def close(self) -> None:
        """Let go of all that it reads, writes and listens on."""
        self._reports.close()
        for each in tuple(self._open):
            self._shut(each)
        if self.listener is not None:
            self.listener.close()


async def _chunk(pipe: int) -> bytes:
    """What came; nothing at the end. Waits also where much is there: who prints without end
    must not keep all others from their turn."""
    while True:
        await _readable(pipe)
        with suppress(BlockingIOError):
            return os.read(pipe, _CHUNK)


async def _discard(pipe: int) -> None:
    """Read to the end what nobody wants: a process whose output is full never hears that it
    should go."""
    while await _chunk(pipe):
        pass


async def _readable(descriptor: int) -> None:
    loop, there = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, there.set)
    try:
        await there.wait()
    finally:
        loop.remove_reader(descriptor)


async def _writable(descriptor: int) -> None:
    loop, there = asyncio.get_running_loop(), asyncio.Event()
    loop.add_writer(descriptor, there.set)
    try:
        await there.wait()
    finally:
        loop.remove_writer(descriptor)


def _unavailable(reason: str) -> UnavailableError:
    return UnavailableError(
        f"the sandbox cannot be had: {reason}",
        code="sandbox_unavailable",
        hint="`docs/how-to/run-a-command.md` says what it needs of the machine",
    )
