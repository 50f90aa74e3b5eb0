"""The frame itself: figures that lose or double something would prove nothing."""

import json
import random
from pathlib import Path

import figures
import pytest
from figures import FOLDER, Figures
from promised import shortfalls
from result import write_result


def _part(folder: Path, test: str, **counts: int) -> None:
    made = Figures("crash", test)
    for name, count in counts.items():
        made.add(name, count)
    made.note("slowest_ms", len(test))
    made.save()


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    return tmp_path


def test_counts_add_up_and_of_notes_the_largest_stays(parts: Path) -> None:
    _part(parts, "one", kills=3, lost=0)
    _part(parts, "three", kills=4)
    read = figures.read_parts(parts)

    assert figures.by_layer(read) == {"crash": {"kills": 7, "lost": 0, "slowest_ms": 5}}
    assert figures.totals(read) == {"kills": 7, "lost": 0}


def test_a_test_that_saves_twice_counts_once(parts: Path) -> None:
    _part(parts, "one", kills=3)
    _part(parts, "one", kills=3)

    assert figures.totals(figures.read_parts(parts)) == {"kills": 3}


def test_the_file_says_what_ran(parts: Path) -> None:
    _part(parts, "one", kills=3)
    file = parts / "made" / "RELIABILITY.json"
    write_result(file, figures.read_parts(parts), {"passed": 1}, scale="ci", seed=7)
    document = json.loads(file.read_text("utf-8"))

    assert document["figures"] == {"kills": 3}
    assert document["layers"] == {"crash": {"kills": 3, "slowest_ms": 3}}
    assert (document["scale"], document["seed"], document["tests"]) == ("ci", 7, {"passed": 1})
    assert {"date", "commit", "machine"} <= document.keys()


def test_a_seed_repeats_itself(rng: random.Random, seed: int) -> None:
    assert rng.random() == random.Random(seed).random()


@pytest.mark.parametrize("fault", ["lost", "missing", "backups_lost", "violations"])
def test_one_fault_of_the_program_breaks_what_was_promised(fault: str) -> None:
    document = {"layers": {}, "tests": {}, "figures": {fault: 1, "kills": 5}}

    assert f"{fault} is 1" in list(shortfalls(document))
