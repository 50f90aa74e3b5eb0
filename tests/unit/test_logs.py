"""Every line on stderr is one of ours in form, whoever wrote it."""

import json
import subprocess
import sys

import pytest

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
