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


@pytest.mark.parametrize(
    ("content", "body"),
    [
        ('{"a": "b=c"}', {"event": {"a": "b=c"}}),
        ("null", {"event": None}),
        ("payload=%7B%22a%22%3A1%7D\n", {"body": "payload=%7B%22a%22%3A1%7D"}),
        ("To=%2B1&Body=hi+there", {"body": "To=%2B1&Body=hi+there"}),
    ],
)
def test_a_body_in_a_file_is_json_or_a_form(
    tmp_path: Path, content: str, body: dict[str, object]
) -> None:
    (tmp_path / "f").write_text(content)

    assert payload.parse_body(f"@{tmp_path}/f") == body


@pytest.mark.parametrize("content", ["hello", "a = b", '{"a": ', "", "=x"])
def test_what_is_neither_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "f").write_text(content)

    with pytest.raises(ValueError):
        payload.parse_body(f"@{tmp_path}/f")
