"""pydantic-monty: a Python that can compute, in worker processes of its own."""

import inspect
from typing import Literal

from pydantic_monty import (
    AsyncFunctionSnapshot,
    AsyncFutureSnapshot,
    AsyncMonty,
    AsyncMontySession,
    AsyncNameLookupSnapshot,
    ExternalException,
    ExternalReturnValue,
    MontyComplete,
    MontyCrashedError,
    MontyError,
    MontyRuntimeError,
    MontySyntaxError,
    OSPolicy,
    ResourceLimits,
)

from amodal_rt.clock import SystemClock
from amodal_rt.errors import AmodalError, ConflictError
from amodal_rt.executors.workflow.feeding import (
    CrashedError,
    FaultError,
    Feed,
    OverdueError,
    TooMuchError,
)
from amodal_rt.executors.workflow.plain_values import NotPlainError, plain_value

MOST_PRINTED = 64 * 1024
"""Bytes of UTF-8 that one script may print."""
MOST_MEMORY = 64 * 1024 * 1024
"""Bytes."""
MOST_CALLS = 200
"""Calls of functions of the runtime."""
MOST_ARGUMENTS = 1024 * 1024
"""Bytes of JSON that the arguments of one call may have."""
DEEPEST = 500
"""Calls within one another."""
SESSIONS = 1_000
"""After so many scripts a worker makes room for a fresh one."""
SETTLE_SECONDS = 0.05

_OWN = "<python-input"
_OVERDUE = "time limit exceeded"
_OVER_MEMORY = "memory limit exceeded"
_OVER_CALLS = "suspension limit"


_Answer = ExternalReturnValue | ExternalException
_At = MontyComplete | AsyncFunctionSnapshot | AsyncNameLookupSnapshot | AsyncFutureSnapshot


class MontySandbox:
    """Implements `feeding.Sandbox`. A worker serves one script at a time; what a script leaves
    behind in it is gone before the next."""

    def __init__(self, pool: AsyncMonty) -> None:
        self._pool = pool

    async def feed(self, feed: Feed) -> object:
        prints = _Prints(feed.printed)
        try:
            session = self._pool.checkout(limits=_limits(feed), os_policy=_policy(feed))
            async with session as opened:
                value = await _driven(opened, feed, prints)
        except MontyCrashedError as error:
            if error.timed_out:
                raise OverdueError from error
            raise CrashedError(str(error)) from error
        except MontyError as error:
            if prints.flooded:
                raise prints.fault() from error
            raise _fault(error) from error
        if prints.flooded:
            raise prints.fault()
        return value

    async def close(self) -> None:
        await self._pool.__aexit__(None, None, None)
        # The thread that has just said so still lets go of what it holds of Python's. A process
        # that ends meanwhile ends by SIGABRT, one time in ten.
        await SystemClock().sleep(SETTLE_SECONDS)


async def open_sandbox(workers: int) -> MontySandbox:
    """Up to so many workers, each started when it is needed. Raises OSError."""
    pool = AsyncMonty(min_processes=0, max_processes=workers, max_checkouts_per_worker=SESSIONS)
    return MontySandbox(await pool.__aenter__())


def _limits(feed: Feed) -> ResourceLimits:
    return {
        "max_feed_duration_secs": feed.seconds,
        "max_memory": MOST_MEMORY,
        "max_recursion_depth": DEEPEST,
        # A call is one, and another one when it is awaited; a name that is looked up is one.
        "max_suspensions": 2 * MOST_CALLS + 1_000,
    }


def _policy(feed: Feed) -> OSPolicy:
    # `call_host` with nobody to call: a script that sleeps is told that it cannot.
    return {"datetime": feed.now, "sleep": "call_host", "process_time": "zero"}


async def _driven(session: AsyncMontySession, feed: Feed, prints: "_Prints") -> object:
    owed: dict[int, _Answer] = {}
    told = {name: each for name, each in feed.names.items() if name in feed.source}
    # Names that only `eval` makes up, and the functions, of which only the names count.
    lazy = {name: each for name, each in feed.names.items() if name not in told}
    at: _At = await session.feed_start(
        feed.source,
        inputs=told,
        external_lookup={**lazy, **feed.functions},
        print_callback=prints,
    )
    while not isinstance(at, MontyComplete):
        if isinstance(at, AsyncNameLookupSnapshot):
            at = await at.resume_auto()
        elif isinstance(at, AsyncFutureSnapshot):
            at = await at.resume({each: owed.pop(each) for each in at.pending_call_ids})
        elif at.is_os_function:
            at = await at.resume_not_handled()
        else:
            answer = await _answer(at, feed)
            if at.allow_eager_await:
                # The script awaits it here and now: only a future can be awaited.
                owed[at.call_id] = answer
                at = await at.resume({"future": ...})
            else:
                at = await at.resume(answer)
    return at.output


async def _answer(at: AsyncFunctionSnapshot, feed: Feed) -> _Answer:
    """What the function gives, or the exception that the script is to see."""
    feed.calls += 1
    if feed.calls > MOST_CALLS:
        raise TooMuchError(f"it called functions more than {MOST_CALLS} times", _line(at, feed))
    name = str(at.function_name)
    function = feed.functions.get(name)
    if function is None:
        return {"exception": NameError(f"name {name!r} is not defined")}
    try:
        given = {key: plain_value(each, MOST_ARGUMENTS) for key, each in at.kwargs.items()}
        values = [plain_value(each, MOST_ARGUMENTS) for each in at.args]
    except NotPlainError as error:
        return {"exception": TypeError(f"{name}: an argument {error}")}
    try:
        inspect.signature(function).bind(*values, **given)
    except TypeError as error:
        return {"exception": TypeError(f"{name}() {error}")}
    try:
        return {"return_value": await function(*values, **given)}
    except ConflictError:
        # The run itself cannot go on, whatever the script would make of it.
        raise
    except AmodalError as error:
        return {"exception": RuntimeError(error.message)}


def _line(at: AsyncFunctionSnapshot, feed: Feed) -> int:
    return feed.source.encode()[: at.position.start].count(b"\n") + 1


class _Prints:
    """Collects what a script prints, up to `MOST_PRINTED` bytes."""

    def __init__(self, printed: list[str]) -> None:
        self._printed = printed
        self._left = MOST_PRINTED
        self.flooded = False

    def __call__(self, _stream: Literal["stdout", "stderr"], text: str) -> None:
        # To raise here would not stop the script; it ends by its time at the latest.
        size = len(text.encode("utf-8", "replace"))
        self.flooded = self.flooded or size > self._left
        if not self.flooded:
            self._left -= size
            self._printed.append(text)

    def fault(self) -> TooMuchError:
        return TooMuchError(f"it printed more than {MOST_PRINTED // 1024} KiB")


def _fault(error: MontyError) -> Exception:
    if not isinstance(error, MontyRuntimeError | MontySyntaxError):
        return FaultError(str(error))
    said = error.display("type-msg")
    frames = [each.line for each in error.traceback() if each.filename.startswith(_OWN)]
    line = frames[-1] if frames else None
    if _OVERDUE in said and not frames:
        return OverdueError()
    if _OVER_MEMORY in said:
        return TooMuchError(f"it used more than {MOST_MEMORY // 1024**2} MiB of memory", line)
    if _OVER_CALLS in said:
        return TooMuchError(f"it called functions more than {MOST_CALLS} times", line)
    return FaultError(said, line)
