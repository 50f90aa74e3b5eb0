"""What `--payload` accepts."""

import io
from pathlib import Path

import pytest

from amodal_rt.cli import payload


def test_a_json_value_is_read() -> None:
    assert payload.parse('{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}


@pytest.mark.parametrize("text", ["", "{", "NaN", "[-Infinity]", "1e999", "[" * 100_000])
def test_what_is_no_json_is_an_error_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        payload.parse(text)


def test_a_file_or_standard_input_holds_what_no_command_line_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel refuses arguments past 128 KiB."""
    file = tmp_path / "payload.json"
    file.write_text('{"from": "a file"}')
    monkeypatch.setattr("sys.stdin", io.StringIO('{"from": "a pipe"}'))

    assert payload.parse(f"@{file}") == {"from": "a file"}
    assert payload.parse("-") == {"from": "a pipe"}


def test_a_file_that_is_not_there_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file"):
        payload.parse(f"@{tmp_path / 'missing.json'}")
