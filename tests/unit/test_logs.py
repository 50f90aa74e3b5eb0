"""Every line on stderr is one of ours in form, whoever wrote it."""

import json
import logging
import subprocess
import sys

import pytest

from amodal_rt.logs import Log, Spell
from amodal_rt.testing.clock import FakeClock

OTHERS = """
import logging, sys, warnings
from amodal_rt.logs import Log, configure
configure(sys.argv[1], mask=lambda line: line.replace("s3cret", "[hidden]"))
Log("a").info("run.started", run="run_1")
warnings.warn("old s3cret\\nforged", stacklevel=1)
logging.getLogger("aiohttp.server").error("no %s", "s3cret")
logging.getLogger("aiohttp.server").info("chatter")
"""


def said(form: str) -> list[str]:
    command = [sys.executable, "-c", OTHERS, form]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_other_libraries_say_is_a_line_of_the_log_with_secrets_hidden(form: str) -> None:
    lines = said(form)

    assert len(lines) == 3
    assert "s3cret" not in "".join(lines)
    for line, event in zip(lines, ("run.started", "py.warnings", "aiohttp.server"), strict=True):
        assert event in line
        assert "[hidden]" in line or event == "run.started"


def test_each_line_is_a_document_in_json() -> None:
    found = [json.loads(line) for line in said("json")]

    assert [each["event"] for each in found] == ["run.started", "py.warnings", "aiohttp.server"]
    assert [each["level"] for each in found] == ["info", "warning", "error"]
    assert found[2]["message"] == "no [hidden]"


class Lines:
    """What a spell logs, and time in the test's hands."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "amodal_rt")
        self.clock = FakeClock()
        self.spell = Spell(Log("a"), self.clock, event="a.postponed", over="a.resumed")
        self._caplog = caplog

    def said(self) -> list[tuple[str, dict[str, object]]]:
        return [(each.getMessage(), vars(each)["fields"]) for each in self._caplog.records]


async def test_a_fault_that_repeats_is_told_ever_more_rarely(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lines = Lines(caplog)

    for _ in range(300):
        lines.spell.failed(code="ledger")
        await lines.clock.advance(1)

    assert lines.said() == [
        ("a.postponed", {"code": "ledger", "times": times})
        for times in (1, 6, 16, 36, 76, 136, 196, 256)
    ]


async def test_the_end_of_a_fault_says_how_often_and_how_long_and_the_next_is_told_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lines = Lines(caplog)
    lines.spell.ended()

    for _ in range(3):
        lines.spell.failed()
        await lines.clock.advance(1)
    lines.spell.ended()
    lines.spell.ended()
    lines.spell.failed()

    assert lines.said() == [
        ("a.postponed", {"times": 1}),
        ("a.resumed", {"times": 3, "seconds": 3.0}),
        ("a.postponed", {"times": 1}),
    ]


UNHEARD = """
import logging, sys
from amodal_rt.logs import Log, unheard
unheard()
if sys.argv[1] == "heard":
    logging.basicConfig(format="%(name)s: %(message)s")
Log("engine").warning("run.finished", run="run_1")
"""


@pytest.mark.parametrize(
    ("how", "err"), [("unheard", ""), ("heard", "amodal_rt.engine: run.finished\n")]
)
def test_a_program_that_configured_no_logging_is_told_nothing(how: str, err: str) -> None:
    command = [sys.executable, "-c", UNHEARD, how]

    assert subprocess.run(command, capture_output=True, text=True, check=True).stderr == err
