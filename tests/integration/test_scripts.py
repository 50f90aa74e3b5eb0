"""Scripts in their sandbox: what they give, what they are told, what they cannot do."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from script_runs import LOOP, SECONDS, fault, ran

from amodal_rt.clock import SystemClock
from amodal_rt.domain.workflow import Script
from amodal_rt.errors import (
    AmodalError,
    ConflictError,
    DeniedError,
    InvalidError,
    TimedOutError,
)
from amodal_rt.executors.workflow.sandbox import MOST_CALLS
from amodal_rt.executors.workflow.scripts import Scripts
from amodal_rt.testing.clock import FakeClock


@pytest.fixture
async def scripts() -> AsyncIterator[Scripts]:
    opened = Scripts(SystemClock())
    yield opened
    await opened.close()


async def call(*given: object, **named: object) -> object:
    return {"given": list(given), "named": named}


async def test_the_last_expression_is_the_value_and_printed_lines_are_kept(
    scripts: Scripts,
) -> None:
    source = 'print("one")\nprint("two\\nthree", end="")\nnames = [each["n"] for each in payload]\n'
    source += "{'names': names, 't': (1, 2.5, None)}"
    heard: list[str] = []
    found = await ran(scripts, source, payload=[{"n": 1}], heard=heard)
    assert found == {"names": [1], "t": [1, 2.5, None]}
    assert heard == ["one", "two", "three"]
    assert (await ran(scripts, "x = 1")) is None
    assert (await ran(scripts, "")) is None


async def test_nothing_of_a_script_reaches_the_next(scripts: Scripts) -> None:
    given = {"kept": [1]}
    await ran(scripts, "leak = 7\nlen = None\npayload['kept'].append(2)", payload=given)
    assert given == {"kept": [1]}
    assert (await fault(scripts, "leak")).message == (
        "scripts/tidy.py:1: NameError: name 'leak' is not defined"
    )
    assert (await ran(scripts, "len([1])")) == 1


async def test_a_name_that_only_eval_makes_up_is_there_too(scripts: Scripts) -> None:
    assert (await ran(scripts, "eval('pay' + 'load')", payload=3)) == 3


@pytest.mark.parametrize("spelling", ["call(1, b=2)", "await call(1, b=2)", "[call][0](1, b=2)"])
async def test_functions_are_called_plainly_or_awaited(scripts: Scripts, spelling: str) -> None:
    found = await ran(scripts, f"({spelling})['named']['b']", functions={"call": call})
    assert found == 2


async def test_a_script_is_told_what_a_function_refuses(scripts: Scripts) -> None:
    async def denied() -> object:
        raise DeniedError("writes are refused")

    source = "try:\n  denied()\nexcept RuntimeError as error:\n  said = str(error)\nsaid"
    assert (await ran(scripts, source, functions={"denied": denied})) == "writes are refused"
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
    assert (await ran(scripts, "1")) == 1


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
    assert found == ["2026-03-02 08:00:00", 1772438400.0, True]


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


@pytest.mark.parametrize("end", ["1 / 0", "while True: pass", "{1, 2}"])
async def test_what_it_printed_is_heard_where_it_fails_too(scripts: Scripts, end: str) -> None:
    heard: list[str] = []
    script = Script(name="tidy", source=f"print('one')\n{end}", file="scripts/tidy.py")

    with pytest.raises(AmodalError):
        await scripts.run(script, {}, functions={}, seconds=SECONDS, heard=heard)

    assert heard == ["one"]


async def test_time_in_functions_does_not_count(scripts: Scripts) -> None:
    async def slow() -> object:
        await asyncio.sleep(SECONDS * 1.5)
        return 1

    assert (await ran(scripts, "slow()", functions={"slow": slow}, seconds=SECONDS)) == 1


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


async def test_a_long_fault_is_told_long_enough_to_be_masked_before_it_is_cut(
    scripts: Scripts,
) -> None:
    error = await fault(scripts, "raise ValueError('x' * 490 + ' s3cret-value')", seconds=SECONDS)
    assert "s3cret-value" in error.message
    endless = await fault(scripts, "raise ValueError('x' * 1_000_000)", seconds=SECONDS)
    assert len(endless.message) < 21_000


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
