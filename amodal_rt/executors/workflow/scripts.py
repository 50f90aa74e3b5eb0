"""Python of people and of agents, run where it can do nothing but compute and ask.

What it may ask for are the functions that the run hands in; each of them passes the gate of the
run as a tool does.
"""

import asyncio
from collections.abc import Mapping

from amodal_rt.clock import Clock
from amodal_rt.domain.workflow import Script
from amodal_rt.errors import InvalidError, TimedOutError, UnavailableError
from amodal_rt.executors.workflow.feeding import (
    CrashedError,
    FaultError,
    Feed,
    Function,
    OverdueError,
    Sandbox,
    TooMuchError,
)
from amodal_rt.executors.workflow.plain_values import NotPlainError, plain_value
from amodal_rt.guardrails.untrusted import plain_line
from amodal_rt.logs import Log

MOST_VALUE = 256 * 1024
"""Bytes of JSON that its value may have: the journal is no store."""
WORKERS = 8
"""Scripts that run at once; further ones wait. One that awaits an answer keeps its worker."""

_LONGEST = 20_000
"""Far more than anybody keeps of an error: who masks it must see each secret whole."""
_log = Log("workflow")


class Scripts:
    """Runs scripts in worker processes, which are started when they are first needed.

    A script has no files, no network and no environment. Its clock is the runtime's and stands
    still while it runs. Nothing that it does outlives it or reaches the next one.
    """

    def __init__(self, clock: Clock, *, workers: int = WORKERS) -> None:
        self._clock = clock
        self._workers = workers
        self._sandbox: Sandbox | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    async def run(
        self,
        script: Script,
        names: Mapping[str, object],
        *,
        functions: Mapping[str, Function],
        seconds: float,
        heard: list[str] | None = None,
    ) -> object:
        """The value of the script's last expression; `names` and `functions` are its globals.
        The lines that it prints are added to `heard`, where it fails too.

        `seconds` bounds the time that it computes, not that for which its functions take. The
        script calls them plainly or with `await`. What one of them raises as an AmodalError of any
        kind but conflict is a RuntimeError in the script; everything else ends the script and is
        raised here as it is.

        Raises TimedOutError (`script_timed_out`), InvalidError (`script_failed`,
        `script_too_much`, `script_value`) with the line of the file, UnavailableError
        (`sandbox_unavailable`) when the worker died of it or none could be started.
        """
        feed = Feed(
            source=script.source,
            names=names,
            functions=functions,
            seconds=seconds,
            now=self._clock.now(),
        )
        try:
            given = await self._fed(script, feed)
        finally:
            if heard is not None:
                heard += _lines("".join(feed.printed))
        try:
            return plain_value(given, MOST_VALUE)
        except NotPlainError as error:
            raise InvalidError(
                f"{script.file}: the value of {script.name} {error}", code="script_value"
            ) from error

    async def close(self) -> None:
        """End every worker, whatever it is doing. No script runs after that."""
        async with self._opening:
            self._closed = True
            sandbox, self._sandbox = self._sandbox, None
        if sandbox is not None:
            await sandbox.close()

    async def _fed(self, script: Script, feed: Feed) -> object:
        sandbox = await self._open()
        try:
            try:
                return await sandbox.feed(feed)
            except CrashedError:
                if feed.calls or self._closed:
                    raise
                # Ctrl-C in a terminal reaches the workers too, and so does whoever is short of
                # memory: as long as nothing was asked, a second worker may do it all again.
                feed.printed.clear()
                return await sandbox.feed(feed)
        except OverdueError as error:
            raise TimedOutError("Script execution timed out", code="script_timed_out") from error
        except CrashedError as error:
            _log.warning("script.crashed", file=script.file, said=str(error))
            message = f"{script.file}: the worker of the script ended before the script did"
            raise UnavailableError(message, code="sandbox_unavailable") from error
        except TooMuchError as error:
            place = _place(script, error.line)
            raise InvalidError(f"{place}: {error.message}", code="script_too_much") from error
        except FaultError as error:
            place, said = _place(script, error.line), plain_line(error.message, _LONGEST)
            raise InvalidError(f"{place}: {said}", code="script_failed") from error

    async def _open(self) -> Sandbox:
        async with self._opening:
            if self._closed:
                message = "the runtime is stopping, so no script begins"
                raise UnavailableError(message, code="sandbox_unavailable")
            if self._sandbox is None:
                from amodal_rt.executors.workflow.sandbox import open_sandbox

                try:
                    self._sandbox = await open_sandbox(self._workers)
                except OSError as error:
                    message = "the sandbox of scripts cannot be started"
                    hint = "install the runtime with its dependencies: pydantic-monty has a program"
                    raise UnavailableError(
                        message, code="sandbox_unavailable", hint=hint
                    ) from error
            return self._sandbox


def _lines(text: str) -> tuple[str, ...]:
    return tuple(text.removesuffix("\n").split("\n")) if text else ()


def _place(script: Script, line: int | None) -> str:
    if line is None:
        return script.file
    if script.file.endswith(".py"):
        return f"{script.file}:{script.first_line + line - 1}"
    # All lines of a text in a JSON file stand in one of that file.
    return f"{script.file}:{script.first_line}: {script.name}, line {line}"
