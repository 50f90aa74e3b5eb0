"""Planted bugs: the suite that should find them does."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from copies import TESTS_FAILED, Copy, make_copy
from figures import Figures
from planted import MUTANTS, Mutant
from scale import scaled

ROOT = Path(__file__).parents[3]
PLANTED = scaled(ci=[each for each in MUTANTS if each.quick], full=[*MUTANTS], soak=[*MUTANTS])


@pytest.fixture(scope="module")
def copy() -> Iterator[Copy]:
    folder = Path(tempfile.mkdtemp(prefix="mutants-"))
    yield make_copy(folder)
    shutil.rmtree(folder, ignore_errors=True)


def test_the_bugs_are_many_and_told_apart() -> None:
    assert len({each.name for each in MUTANTS}) == len(MUTANTS) >= 12


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_what_a_bug_is_planted_in_stands_there_once(mutant: Mutant) -> None:
    """Of those too that only the full run plants: else a change of their line is found by it."""
    assert (ROOT / mutant.file).read_text("utf-8").count(mutant.old) == 1


@pytest.mark.parametrize("mutant", PLANTED, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_a_planted_bug_turns_its_tests_red(mutant: Mutant, copy: Copy, figures: Figures) -> None:
    status, said = copy.run(mutant.tests, mutant.only)
    assert status == 0, f"red without the bug, which proves nothing:\n{said}"
    if " passed" not in said:
        pytest.skip(f"its tests cannot run here:\n{said}")
    with copy.with_planted(mutant):
        status, said = copy.run(mutant.tests, mutant.only)
    figures.add("bugs_planted")
    figures.add("bugs_found", int(status == TESTS_FAILED))
    assert status == TESTS_FAILED, f"it survived ({status}):\n{said}"
