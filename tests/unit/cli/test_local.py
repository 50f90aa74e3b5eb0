"""The commands that need no daemon."""

import shlex
from pathlib import Path

import pytest

from amodal_rt.cli.commands import local


def test_the_next_command_can_be_pasted_whatever_the_folder_is_called(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "our $work; here"

    assert local.init(folder) == 0

    last = capsys.readouterr().out.splitlines()[-1]
    assert shlex.split(last.removeprefix("next: ")) == [
        "amodal-rt", "up", "--workspace", str(folder),
    ]  # fmt: skip
