"""A `*` stands for any text, and for nothing else than a text."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amodal_rt.domain.glob import fits, is_glob


@pytest.mark.parametrize(
    ("glob", "name", "fit"),
    [
        ("github.issues.opened", "github.issues.opened", True),
        ("github.issues.opened", "github.issues.Opened", False),
        ("github.*", "github.issues.opened", True),
        ("github.*", "github.", True),
        ("github.*", "github", False),
        ("github.*", "githubs.push", False),
        ("*.opened", "github.issues.opened", True),
        ("github.*.opened", "github.opened", False),
        ("*", "", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a?c", "abc", False),
        ("[ab]", "a", False),
        ("a**b", "ab", True),
    ],
)
def test_a_name_fits_or_does_not(glob: str, name: str, fit: bool) -> None:
    assert fits(glob, name) is fit


@given(st.text("ab.*", max_size=8), st.text("ab.", max_size=10))
def test_it_means_what_a_regular_expression_would(glob: str, name: str) -> None:
    pattern = ".*".join(map(re.escape, glob.split("*")))

    assert fits(glob, name) is bool(re.fullmatch(pattern, name, re.DOTALL))
    assert is_glob(glob) is ("*" in glob)


def test_a_name_made_to_waste_time_wastes_none() -> None:
    started = time.process_time()

    assert not fits("*a" * 50 + "b", "a" * 100_000)

    assert time.process_time() - started < 1
