"""Markdown above, what `convert` makes of it below: one file a case in `convert/`.

The halves are parted by a line of `=` signs. Below stands the JSON, or `error` with the
code and the sentence that people read.
"""

import json
from pathlib import Path

import pytest

from amodal_rt.definitions.automation import parse_automation
from amodal_rt.definitions.convert import convert
from amodal_rt.domain.workspace import WorkspaceSettings
from amodal_rt.errors import InvalidError

CASES = sorted((Path(__file__).parent / "convert").glob("*.txt"))
BORDER = "=" * 70 + "\n"


def _converted(text: str) -> str:
    try:
        return convert(text.encode(), "automations/case.md") + "\n"
    except InvalidError as error:
        return f"error {error.code}\n{error.message}\n"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_lower_half_is_what_convert_prints(path: Path, rewriting: bool) -> None:
    above, _, below = path.read_text(encoding="utf-8").partition(BORDER)
    printed = _converted(above)
    if rewriting:
        path.write_text(f"{above}{BORDER}{printed}", encoding="utf-8")

    assert printed == below


@pytest.mark.parametrize(
    "path",
    [path for path in CASES if not path.stem.startswith("error-")],
    ids=lambda path: path.stem,
)
def test_the_json_means_what_the_markdown_meant(path: Path) -> None:
    above, _, below = path.read_text(encoding="utf-8").partition(BORDER)
    settings = WorkspaceSettings()

    before, after = (
        parse_automation(text.encode(), file=f"automations/case.{ending}", settings=settings,
                         read_prompt=str)
        for text, ending in ((above, "md"), (below, "json"))
    )  # fmt: skip

    assert before.definition
    assert after.definition
    assert before.definition.automation == after.definition.automation
    assert before.definition.hash == after.definition.hash
    assert json.loads(below)["prompt"]


def test_there_are_cases() -> None:
    assert len(CASES) >= 15
