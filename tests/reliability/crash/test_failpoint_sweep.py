"""Killed at every failpoint, and killed again while recovering: every promise holds after."""

import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from failpoint_names import ELSEWHERE, armed_at, named
from figures import Figures
from lives import Zygote
from scale import scaled
from sweep import Played, play_all
from world import World

NTH = scaled(ci=3, full=10_000, soak=10_000)
"""How many hits of one name are tried; spread over all of them."""
PAIRS = scaled(ci=50, full=200, soak=5_000)


@pytest.fixture(scope="module")
def stage() -> Iterator[Path]:
    """Folders of scenes; those of broken promises are left to be read."""
    folder = Path(tempfile.mkdtemp(prefix="sweep-"))
    yield folder
    if not any(folder.iterdir()):
        folder.rmdir()


@pytest.fixture(scope="module")
def undisturbed(stage: Path, world: World, zygote: Zygote) -> Played:
    """The scene without any fault: what there is to break."""
    (played,) = play_all(stage, [()], world=world, zygote=zygote)
    return played


@pytest.fixture(scope="module")
def killed_once(undisturbed: Played, stage: Path, world: World, zygote: Zygote) -> list[Played]:
    """One scene for each hit, its daemon killed there."""
    fates = [(f"{hit}=kill",) for hit in _spread(undisturbed.hits, NTH)]
    return play_all(stage, fates, world=world, zygote=zygote, first=1000)


def test_no_failpoint_is_left_out(undisturbed: Played, figures: Figures) -> None:
    """Those that this scene does not pass are killed at by the tests that the table names."""
    there = named()
    figures.add("failpoints_named", len(there))

    passed = {_name(hit) for hit in undisturbed.hits}
    assert there - passed - ELSEWHERE.keys() == set()


def test_what_is_killed_at_elsewhere_is_armed_there() -> None:
    unarmed = {name: place for name, place in ELSEWHERE.items() if name not in armed_at(place)}

    assert unarmed == {}
    assert ELSEWHERE.keys() <= named()


def test_without_a_fault_every_promise_holds(undisturbed: Played, figures: Figures) -> None:
    figures.add("failpoints", len({_name(hit) for hit in undisturbed.hits}))
    assert undisturbed.wrong == ()
    assert undisturbed.deaths == 0


def test_a_kill_at_any_failpoint_breaks_no_promise(
    killed_once: list[Played], figures: Figures
) -> None:
    _count(killed_once, figures, "failpoint_hits")
    assert [(each.fates, each.wrong) for each in killed_once if each.wrong] == []
    # Which hit is the last one varies; that most were reached is what makes this a sweep.
    assert sum(each.deaths > 0 for each in killed_once) > len(killed_once) * 0.8


def test_a_second_kill_during_recovery_breaks_no_promise(
    killed_once: list[Played],
    stage: Path,
    world: World,
    zygote: Zygote,
    rng: random.Random,
    figures: Figures,
) -> None:
    there = [
        (*each.fates, f"{hit}=kill") for each in killed_once if each.deaths for hit in each.recovery
    ]
    pairs = rng.sample(there, min(len(there), PAIRS + PAIRS // 4))
    played = play_all(stage, pairs, world=world, zygote=zygote, first=10_000)
    twice = [each for each in played if each.deaths >= 2]
    figures.add("failpoint_pairs", len(twice))
    _count(played, figures, "kills_in_pairs")

    assert [(each.fates, each.wrong) for each in played if each.wrong] == []
    assert len(twice) >= min(PAIRS, len(there) // 2)


def _count(played: Sequence[Played], figures: Figures, name: str) -> None:
    figures.add(name, sum(each.deaths for each in played))
    figures.add("violations", sum(len(each.wrong) for each in played))


def _name(hit: str) -> str:
    return hit.partition(":")[0]


def _spread(hits: Sequence[str], most: int) -> list[str]:
    """At most so many hits of each name, the first and the last among them."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for hit in hits:
        by_name[_name(hit)].append(hit)
    chosen: list[str] = []
    for name, found in sorted(by_name.items()):
        count = min(most * (5 if name.startswith("ledger.") else 1), len(found))
        step = (len(found) - 1) / max(count - 1, 1)
        chosen += sorted({found[round(index * step)] for index in range(count)}, key=found.index)
    return chosen
