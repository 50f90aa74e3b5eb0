"""A run whose daemon is killed at every place that it passes, once and again while it goes on.

A request or call whose outcome stood in the journal is never sent again, a write of unknown
outcome neither; every run comes to its one end.
"""

import random
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from figures import Figures
from lives import Life, Zygote
from resume_scene import Played, Scene, World
from scale import scaled

MCP = (str(Path(__file__).with_name("lookup_mcp.py")),)
AT_ONCE = 2
STEPS = ("model.", "tool.", "run.", "recovery.", "mcp.")
"""Places within a run; the others are commits and whatever else a daemon does."""
COMMITS = scaled(ci=4, full=10_000, soak=10_000)
"""How many hits of the other places are tried, of each name."""
IN_A_RUN = scaled(ci=3, full=10_000, soak=10_000)
PAIRS = scaled(ci=12, full=150, soak=2_000)


@dataclass(frozen=True)
class Result:
    """One run: how it was killed, what was wrong, and what the second life passed."""

    fates: tuple[str, ...]
    deaths: int
    repeated: int
    unknown: bool
    wrong: tuple[str, ...]
    hits: tuple[str, ...]
    again: tuple[str, ...]


class Theatre:
    """Plays the story in a world of its own each time."""

    def __init__(self, stage: Path, zygote: Zygote) -> None:
        self._stage = stage
        self._zygote = zygote
        self._names = count(1)

    def play_all(self, fates: Iterable[tuple[str, ...]]) -> list[Result]:
        """One run for each entry, some side by side."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(self.play, fates))

    def play(self, fates: tuple[str, ...]) -> Result:
        """One run; its folder is kept when something is wrong."""
        folder = self._stage / f"r{next(self._names)}"
        folder.mkdir()
        with World() as world:
            scene = Scene(folder, world, self._bear, mcp=MCP)
            try:
                played: Played | None = scene.play(*fates)
                wrong = played.wrong() if played else []
            except AssertionError as error:
                played, wrong = None, [f"it did not come to its end: {str(error)[:2000]}"]
            result = Result(
                fates=fates,
                deaths=len(played.deaths) if played else 0,
                repeated=len(played.repeated) if played else 0,
                unknown=played.unknown if played else False,
                wrong=tuple(wrong),
                hits=tuple(scene.hits(1)),
                again=tuple(scene.hits(2)),
            )
        if not wrong:
            shutil.rmtree(folder, ignore_errors=True)
        return result

    def _bear(self, root: Path, log: Path, variables: Mapping[str, str]) -> Life:
        return self._zygote.bear(root, log, variables, "127.0.0.1:0")


@pytest.fixture(scope="module")
def theatre(zygote: Zygote) -> Iterator[Theatre]:
    stage = Path(tempfile.mkdtemp(prefix="resume-"))
    yield Theatre(stage, zygote)
    if not any(stage.iterdir()):
        stage.rmdir()


@pytest.fixture(scope="module")
def undisturbed(theatre: Theatre) -> Result:
    return theatre.play(())


@pytest.fixture(scope="module")
def killed_once(theatre: Theatre, undisturbed: Result) -> list[Result]:
    return theatre.play_all([(f"{hit}=kill",) for hit in _spread(undisturbed.hits)])


def test_without_a_kill_the_run_is_whole(undisturbed: Result) -> None:
    assert (undisturbed.wrong, undisturbed.deaths) == ((), 0)


def test_killed_anywhere_a_run_repeats_no_step(killed_once: list[Result], figures: Figures) -> None:
    _report(killed_once, figures)
    assert [(each.fates, each.wrong) for each in killed_once if each.wrong] == []
    assert sum(each.deaths for each in killed_once) > len(killed_once) * 0.7
    assert any(each.unknown for each in killed_once), "no kill fell into a write"


def test_killed_again_while_it_goes_on_a_run_repeats_no_step(
    theatre: Theatre, killed_once: list[Result], rng: random.Random, figures: Figures
) -> None:
    pairs = [
        (*each.fates, f"{hit}=kill")
        for each in killed_once
        if each.deaths and not each.unknown
        for hit in each.again
        if hit.startswith(STEPS)
    ]
    played = theatre.play_all(rng.sample(pairs, min(len(pairs), PAIRS)))
    _report(played, figures)
    figures.add("resume_kills_twice", sum(each.deaths == 2 for each in played))
    assert [(each.fates, each.wrong) for each in played if each.wrong] == []
    assert any(each.deaths == 2 for each in played)


def _report(played: Sequence[Result], figures: Figures) -> None:
    figures.add("resume_kills", sum(each.deaths for each in played))
    figures.add("steps_repeated", sum(each.repeated for each in played))
    figures.add("writes_of_unknown_outcome", sum(each.unknown for each in played))


def _spread(hits: Sequence[str]) -> list[str]:
    """All places within a run; of each other name so many, the first and the last among them."""
    by_name: dict[str, list[str]] = {}
    for hit in hits:
        by_name.setdefault(hit.partition(":")[0], []).append(hit)
    chosen: list[str] = []
    for name, found in sorted(by_name.items()):
        most = IN_A_RUN if name.startswith(STEPS) else COMMITS
        size = min(most, len(found))
        step = (len(found) - 1) / max(size - 1, 1)
        chosen += sorted({found[round(place * step)] for place in range(size)}, key=found.index)
    return chosen
