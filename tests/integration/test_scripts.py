"""Scripts in their sandbox: what they give, what they are told, what they cannot do."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from amodal_rt.clock import SystemClock
from amodal_rt.domain.workflow import Script
from amodal_rt.errors import (
    AmodalError,
    ConflictError,
    DeniedError,
    InvalidError,
    TimedOutError,
    UnavailableError,
)
from amodal_rt.executors.workflow.feeding import Function
from amodal_rt.executors.workflow.sandbox import MOST_CALLS
from amodal_rt.executors.workflow.scripts import Ran, Scripts
from amodal_rt.testing.clock import FakeClock

SECONDS = 0.5


@pytest.fixture
async def scripts() -> AsyncIterator[Scripts]:
    opened = Scripts(SystemClock())
    yield opened
    await opened.close()


async def ran(
    scripts: Scripts,
    source: str,
    *,
    functions: Mapping[str, Function] | None = None,
    seconds: float = 5,
    file: str = "scripts/tidy.py",
    first_line: int = 1,
    **names: object,
) -> Ran:
    script = Script(name="tidy", source=source, file=file, first_line=first_line)
    return await scripts.run(script, names, functions=functions or {}, seconds=seconds)


async def fault(scripts: Scripts, source: str, **more: object) -> AmodalError:
    with pytest.raises(AmodalError) as caught:
        await ran(scripts, source, **more)  # pyright: ignore[reportArgumentType]
    after = await ran(scripts, "40 + 2")
    assert after == Ran(value=42), "the next script is harmed"
    return caught.value


async def call(*given: object, **named: object) -> object:
    return {"given": list(given), "named": named}


async def test_the_last_expression_is_the_value_and_printed_lines_are_kept(
    scripts: Scripts,
) -> None:
    source = 'print("one")\nprint("two\\nthree", end="")\nnames = [each["n"] for each in payload]\n'
    found = await ran(scripts, source + "{'names': names, 't': (1, 2.5, None)}", payload=[{"n": 1}])
    assert found.value == {"names": [1], "t": [1, 2.5, None]}
    assert found.printed == ("one", "two", "three")
    assert (await ran(scripts, "x = 1")).value is None
    assert (await ran(scripts, "")) == Ran(value=None)


async def test_nothing_of_a_script_reaches_the_next(scripts: Scripts) -> None:
    given = {"kept": [1]}
    await ran(scripts, "leak = 7\nlen = None\npayload['kept'].append(2)", payload=given)
    assert given == {"kept": [1]}
    assert (await fault(scripts, "leak")).message == (
        "scripts/tidy.py:1: NameError: name 'leak' is not defined"
    )
    assert (await ran(scripts, "len([1])")).value == 1


async def test_a_name_that_only_eval_makes_up_is_there_too(scripts: Scripts) -> None:
    assert (await ran(scripts, "eval('pay' + 'load')", payload=3)).value == 3


@pytest.mark.parametrize("spelling", ["call(1, b=2)", "await call(1, b=2)", "[call][0](1, b=2)"])
async def test_functions_are_called_plainly_or_awaited(scripts: Scripts, spelling: str) -> None:
    found = await ran(scripts, f"({spelling})['named']['b']", functions={"call": call})
    assert found.value == 2


async def test_a_script_is_told_what_a_function_refuses(scripts: Scripts) -> None:
    async def denied() -> object:
        raise DeniedError("writes are refused")

    source = "try:\n  denied()\nexcept RuntimeError as error:\n  said = str(error)\nsaid"
    assert (await ran(scripts, source, functions={"denied": denied})).value == "writes are refused"
    error = await fault(scripts, "\n\ndenied()", functions={"denied": denied})
    assert error.message == "scripts/tidy.py:3: RuntimeError: writes are refused"


async def test_what_ends_the_run_cannot_be_caught_by_a_script(scripts: Scripts) -> None:
    async def gone() -> object:
        raise ConflictError("the run is another's now")

    async def broken() -> object:
        raise KeyError("a defect")

    source = "try:\n  {}()\nexcept BaseException:\n  pass\n1"
    with pytest.raises(ConflictError):
        await ran(scripts, source.format("gone"), functions={"gone": gone})
    with pytest.raises(KeyError):
        await ran(scripts, source.format("broken"), functions={"broken": broken})
    assert (await ran(scripts, "1")).value == 1


async def test_arguments_of_functions_are_plain_json(scripts: Scripts) -> None:
    for given, said in (
        ("{1}", "an argument holds a set, which JSON does not know"),
        ("{1: 2}", "an argument has a key that is no text but a int"),
        ("1, wrong=1", "got an unexpected keyword argument 'wrong'"),
    ):

        async def one(thing: object) -> object:
            raise AssertionError(thing)

        error = await fault(scripts, f"one({given})", functions={"one": one})
        assert error.message.startswith("scripts/tidy.py:1: TypeError: one")
        assert error.message.endswith(said)


async def test_errors_name_the_line_of_the_file(scripts: Scripts) -> None:
    nested = "def f(n):\n    return n / 0\n\nf(1)"
    said = "ZeroDivisionError: division by zero"
    assert (await fault(scripts, nested)).message == f"scripts/tidy.py:2: {said}"
    later = await fault(scripts, nested, first_line=4)
    assert later.message == f"scripts/tidy.py:5: {said}"
    inside = await fault(scripts, nested, file="workflows/x.json", first_line=12)
    assert inside.message == f"workflows/x.json:12: tidy, line 2: {said}"
    syntax = await fault(scripts, "x = 1\ny = = 2")
    assert syntax.message.startswith("scripts/tidy.py:2: SyntaxError: ")
    assert syntax.kind == "invalid"


async def test_its_clock_is_the_runtimes_and_stands_still() -> None:
    scripts = Scripts(FakeClock(datetime(2026, 3, 2, 8, 0, tzinfo=UTC)))
    try:
        source = "import datetime, time\n[str(datetime.datetime.now()), time.time(), "
        found = await ran(scripts, source + "time.perf_counter() == time.perf_counter()]")
    finally:
        await scripts.close()
    assert found.value == ["2026-03-02 08:00:00", 1772438400.0, True]


LOOP = "while True: pass"
HOSTILE_TIME = {
    "a loop": LOOP,
    "swallowed": f"while True:\n  try:\n    {LOOP}\n  except BaseException: pass",
    "swallowed once": f"try:\n  {LOOP}\nexcept TimeoutError: pass\n1",
    "in exec": f"exec({LOOP!r})",
    "a finally": f"try:\n  {LOOP}\nfinally:\n  {LOOP}",
    "a comparison": "class A:\n  def __eq__(self, other):\n    while True: pass\nA() == A()",
}


@pytest.mark.parametrize("source", HOSTILE_TIME.values(), ids=HOSTILE_TIME.keys())
async def test_an_endless_script_times_out(scripts: Scripts, source: str) -> None:
    error = await fault(scripts, source, seconds=SECONDS)
    assert isinstance(error, TimedOutError)
    assert error.message == "Script execution timed out"


async def test_a_timeout_of_its_own_is_an_ordinary_error(scripts: Scripts) -> None:
    error = await fault(scripts, "raise TimeoutError('mine: time limit exceeded')")
    assert error.message == "scripts/tidy.py:1: TimeoutError: mine: time limit exceeded"


async def test_time_in_functions_does_not_count(scripts: Scripts) -> None:
    async def slow() -> object:
        await asyncio.sleep(SECONDS * 1.5)
        return 1

    assert (await ran(scripts, "slow()", functions={"slow": slow}, seconds=SECONDS)).value == 1


TOO_MUCH = {
    "a list": ("x = [0]\nwhile True: x += x", ":2: it used more than 64 MiB of memory"),
    "a text": ("'a' * 10**9", ":1: it used more than 64 MiB of memory"),
    "a number": ("2 ** 10**9", ":1: it used more than 64 MiB of memory"),
    "swallowed": (
        "try:\n  'a' * 10**9\nexcept BaseException: pass",
        ":2: it used more than 64 MiB of memory",
    ),
    "calls": ("while True: call()", f":1: it called functions more than {MOST_CALLS} times"),
    "swallowed calls": (
        "while True:\n  try: call()\n  except BaseException: pass",
        f":2: it called functions more than {MOST_CALLS} times",
    ),
    "prints": ("while True: print('x' * 1000)", ": it printed more than 64 KiB"),
    "a print": ("print('x' * 70_000)", ": it printed more than 64 KiB"),
    "a wide print": ("print('\u00e9' * 40_000)", ": it printed more than 64 KiB"),
}


@pytest.mark.parametrize(("source", "said"), TOO_MUCH.values(), ids=TOO_MUCH.keys())
async def test_too_much_of_anything_is_a_plain_error(
    scripts: Scripts, source: str, said: str
) -> None:
    # What floods is stopped by its time alone; all else must not be stopped by it first.
    seconds = SECONDS if "print" in source else 30
    error = await fault(scripts, source, functions={"call": call}, seconds=seconds)
    assert (error.code, error.message) == ("script_too_much", f"scripts/tidy.py{said}")


async def test_endless_recursion_is_a_plain_error(scripts: Scripts) -> None:
    error = await fault(scripts, "def f(n): return f(n + 1)\nf(0)")
    assert error.message == ("scripts/tidy.py:1: RecursionError: maximum recursion depth exceeded")


VALUES = {
    "a set": ("{1}", "holds a set, which JSON does not know"),
    "bytes": ("b'a'", "holds a bytes, which JSON does not know"),
    "a time": ("import datetime\ndatetime.datetime.now()", "holds a datetime, which JSON"),
    "not a number": ("float('nan')", "holds nan, which JSON does not know"),
    "endless": ("[-float('inf')]", "holds -inf, which JSON does not know"),
    "a key": ("{1: 2}", "has a key that is no text but a int"),
    "digits": ("10 ** 4000", "holds a whole number of more than 64 bits"),
    "an instance": ("class A: pass\nA()", "which JSON does not know"),
    "large": ("'a' * 300_000", "is larger than 256 KiB"),
    "deep": ("x = []\nfor _ in range(50_000): x = [x]\nx", "is nested deeper than 100 times"),
    "laughs": ("x = ['a']\nfor _ in range(30): x = [x] * 10\nx", "is larger than 256 KiB"),
}


@pytest.mark.parametrize(("source", "said"), VALUES.values(), ids=VALUES.keys())
async def test_a_value_is_small_plain_json(scripts: Scripts, source: str, said: str) -> None:
    error = await fault(scripts, source)
    assert (error.code, error.kind) == ("script_value", "invalid")
    assert error.message.startswith("scripts/tidy.py: the value of tidy ")
    assert said in error.message


OUTSIDE = {
    "a file": ("open('{file}').read()", "PermissionError"),
    "a path": ("from pathlib import Path\nPath('{file}').read_text()", "PermissionError"),
    "a write": ("open('{file}', 'w').write('x')", "PermissionError"),
    "a folder": ("import os\nos.listdir('/')", "PermissionError"),
    "environ": ("import os\ndict(os.environ)", "RuntimeError"),
    "getenv": ("import os\nos.getenv('PLANTED')", "RuntimeError"),
    "a process": ("import subprocess", "ModuleNotFoundError"),
    "a socket": ("import socket", "ModuleNotFoundError"),
    "a module of ours": ("import amodal_rt", "ModuleNotFoundError"),
    "ctypes": ("import ctypes", "ModuleNotFoundError"),
    "a hidden import": ("__import__('os').system('true')", "NameError"),
    "a system": ("import os\nos.system('true')", "AttributeError"),
    "a class's way": ("().__class__.__base__.__subclasses__()", "AttributeError"),
    "a sleep": ("import time\ntime.sleep(60)", "RuntimeError"),
}


@pytest.mark.parametrize(("source", "said"), OUTSIDE.values(), ids=OUTSIDE.keys())
async def test_there_is_no_way_out(
    scripts: Scripts, source: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED", "s3cret-value")
    secret = tmp_path / "secret"
    secret.write_text("s3cret-value")
    error = await fault(scripts, source.replace("{file}", str(secret)), seconds=SECONDS)
    assert (error.code, isinstance(error, InvalidError)) == ("script_failed", True)
    assert said in error.message
    assert "s3cret" not in error.message
    assert secret.read_text() == "s3cret-value"


def is_worker(pid: int, of: int | None = None) -> bool:
    try:
        name, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    except OSError:
        return False
    state, parent, *_ = rest.split()
    return "(monty" in name and state != "Z" and of in (None, int(parent))


def workers(of: int | None = None) -> list[int]:
    """Of this process, or of another."""
    pids = (int(each.name) for each in Path("/proc").glob("[0-9]*"))
    return [pid for pid in pids if is_worker(pid, of or os.getpid())]


async def until_there() -> list[int]:
    for _ in range(500):
        if found := workers():
            return found
        await asyncio.sleep(0.02)
    raise AssertionError("no worker")


async def until_gone(pids: list[int]) -> None:
    for _ in range(500):
        if not set(pids) & set(workers()):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"still there: {pids}")


async def test_no_worker_is_started_before_the_first_script_nor_left_after_close() -> None:
    scripts = Scripts(SystemClock())
    assert workers() == []
    await ran(scripts, "1")
    started = workers()
    assert len(started) == 1
    await scripts.close()
    await until_gone(started)
    with pytest.raises(UnavailableError):
        await ran(scripts, "1")


async def test_close_ends_a_script_that_runs() -> None:
    scripts = Scripts(SystemClock())
    running = asyncio.create_task(ran(scripts, LOOP, seconds=50))
    started = await until_there()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await scripts.close()
    await until_gone(started)


async def test_a_worker_that_died_while_idle_is_replaced(scripts: Scripts) -> None:
    await ran(scripts, "1")
    for pid in workers():
        os.kill(pid, signal.SIGINT)
    assert (await ran(scripts, "2")).value == 2


async def test_a_crash_of_the_worker_is_tried_once_more_and_no_more(scripts: Scripts) -> None:
    running = asyncio.create_task(fault(scripts, LOOP, seconds=50))
    killed: set[int] = set()
    while not running.done():
        for pid in set(workers()) - killed if len(killed) < 2 else ():
            await asyncio.sleep(0.1)
            killed.add(pid)
            os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.02)
    error = running.result()
    assert (error.code, len(killed)) == ("sandbox_unavailable", 2)


async def test_a_script_whose_worker_died_after_a_call_is_not_run_again(scripts: Scripts) -> None:
    calls: list[int] = []

    async def fatal() -> object:
        calls.append(1)
        for pid in workers():
            os.kill(pid, signal.SIGKILL)
        return 1

    error = await fault(scripts, "fatal()\n2", functions={"fatal": fatal})
    assert (error.code, calls) == ("sandbox_unavailable", [1])


async def test_a_worker_that_hangs_is_given_up(scripts: Scripts) -> None:
    running = asyncio.create_task(fault(scripts, LOOP, seconds=SECONDS))
    for pid in await until_there():
        await asyncio.sleep(SECONDS / 2)
        os.kill(pid, signal.SIGSTOP)
    assert (await running).message == "Script execution timed out"


async def test_a_script_that_is_cancelled_takes_a_dead_worker_with_it() -> None:
    # With a second worker, one that is not back in its place yet would be passed by.
    scripts = Scripts(SystemClock(), workers=1)
    try:
        await ran(scripts, "1")
        for pid in workers():
            os.kill(pid, signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SECONDS):
                await ran(scripts, "1")
        assert (await ran(scripts, "2")).value == 2
    finally:
        await scripts.close()


async def test_more_scripts_than_workers_wait_for_their_turn() -> None:
    scripts = Scripts(SystemClock(), workers=2)
    try:
        sources = [f"{n} * 2" for n in range(20)]
        found = await asyncio.gather(*(ran(scripts, each) for each in sources))
        assert [each.value for each in found] == [n * 2 for n in range(20)]
        assert len(workers()) <= 2
    finally:
        await scripts.close()


CHILD = """
import asyncio
from amodal_rt.clock import SystemClock
from amodal_rt.domain.workflow import Script
from amodal_rt.executors.workflow.scripts import Scripts
async def main():
    scripts = Scripts(SystemClock())
    script = Script(name="a", source="1", file="scripts/a.py")
    await scripts.run(script, {}, functions={}, seconds=5)
    print("ready", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def test_workers_end_with_a_daemon_that_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        listed = workers(child.pid)
        child.kill()
    assert listed
    for _ in range(500):
        if not any(map(is_worker, listed)):
            return
        time.sleep(0.02)
    raise AssertionError(listed)


def test_the_sandbox_is_not_loaded_before_a_script_is() -> None:
    load = "import sys, amodal_rt.executors.workflow.scripts"
    code = f"{load}; print('pydantic_monty' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"
