"""The `.env` file: what its lines mean, and who may read it."""

import pytest

from amodal_rt.workspace.dotenv import parse_dotenv, readable_problem


def test_lines_are_read_as_python_dotenv_reads_them() -> None:
    text = b"""\xef\xbb\xbf# comment
PLAIN=value
export EXPORTED=1
QUOTED="two\\nlines"
SINGLE='a # b'
EMPTY=
SPACED = padded   # remark
NO_VALUE
"""

    values, problems = parse_dotenv(text, file=".env")

    assert values == {
        "PLAIN": "value",
        "EXPORTED": "1",
        "QUOTED": "two\nlines",
        "SINGLE": "a # b",
        "EMPTY": "",
        "SPACED": "padded",
    }
    assert problems == ()


def test_a_dollar_stands_for_itself() -> None:
    values, _ = parse_dotenv(b"A=1\nSECRET=pa${A}$A", file=".env")

    assert values["SECRET"] == "pa${A}$A"


def test_a_line_that_is_none_is_a_problem_with_its_place_and_harms_no_other() -> None:
    values, problems = parse_dotenv(b"A=1\n= what\nB='open\nC=3\n", file=".env")

    assert values["A"] == "1"
    first = problems[0]
    assert (first.line, first.code, first.severity) == (2, "bad_dotenv", "warning")
    assert all("open" not in each.sentence() for each in problems), "it may be a secret"


@pytest.mark.parametrize(
    ("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o644, True)]
)
def test_a_file_that_others_may_read_is_a_warning(mode: int, warned: bool) -> None:
    problem = readable_problem(mode, file=".env")

    assert (problem is not None) == warned
    if problem:
        assert problem.severity == "warning"
        assert problem.hint == "chmod 600 .env"
