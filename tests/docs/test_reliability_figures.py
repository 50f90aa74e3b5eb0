"""What the README says was proven stands in RELIABILITY.json, as a full run wrote it."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "reliability"))

from promised import shortfalls

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "RELIABILITY.json"
HEADING = "## What has been proven"
# A figure and the name under which it was counted: "21,344 `acks`", "105 `crash.kills`".
FIGURE = re.compile(r"([\d][\d,.]*) `([a-z_0-9]+(?:\.[a-z_0-9]+)?)`")


def _section() -> str:
    text = (ROOT / "README.md").read_text("utf-8")
    _, found, rest = text.partition(f"{HEADING}\n")
    return rest.partition("\n## ")[0] if found else ""


@pytest.fixture
def document() -> dict[str, Any]:
    if not RESULT.exists():
        pytest.skip("no full run is on record")
    return json.loads(RESULT.read_text("utf-8"))


def test_nothing_is_claimed_without_a_run_on_record() -> None:
    assert bool(_section()) == RESULT.exists()


def test_every_figure_is_the_one_that_was_counted(document: dict[str, Any]) -> None:
    claimed = FIGURE.findall(_section())

    assert len(claimed) >= 8
    for said, name in claimed:
        layer, dot, figure = name.partition(".")
        counted = document["layers"][layer][figure] if dot else document["figures"][name]
        number = float(said.replace(",", "").rstrip("."))
        assert number == counted, f"README: {said} {name}; RELIABILITY.json: {counted}"


def test_the_run_is_named_by_its_day_and_commit(document: dict[str, Any]) -> None:
    section = _section()

    assert document["date"] in section
    assert document["commit"].split()[0] in section


def test_the_run_was_full_and_kept_every_promise(document: dict[str, Any]) -> None:
    assert document["scale"] == "full"
    assert list(shortfalls(document)) == []
