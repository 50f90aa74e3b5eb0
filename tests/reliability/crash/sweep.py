"""Plays one scene with given deaths, and says what became of it."""

import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from invariants import changed, leaked, read_ledger, violations
from lives import Zygote
from story import CANARIES, Story
from world import World

T = TypeVar("T")
R = TypeVar("R")
AT_ONCE = 3
"""How many scenes are played side by side: each waits longer than it works."""


@dataclass(frozen=True)
class Played:
    """One scene: how often it died, what the life after its first death passed, what was wrong."""

    fates: tuple[str, ...]
    deaths: int
    hits: tuple[str, ...]
    recovery: tuple[str, ...]
    wrong: tuple[str, ...]


def play(
    stage: Path, number: int, fates: tuple[str, ...], *, world: World, zygote: Zygote
) -> Played:
    """Play it to its end, check it, start once more with nothing to do, check that nothing was
    done. The folder is kept when something was wrong."""
    name = f"s{number}"
    folder = stage / name
    folder.mkdir()
    story = Story(folder, name, world=world, zygote=zygote, fates=fates)
    try:
        wrong = _play(story)
    except AssertionError as error:
        wrong = [f"it did not come to its end: {str(error)[:2000]}"]
    finally:
        story.end()
    played = Played(fates, story.deaths, tuple(story.hits(1)), tuple(story.hits(2)), tuple(wrong))
    world.forget(name)
    if not wrong:
        shutil.rmtree(folder, ignore_errors=True)
    return played


def _play(story: Story) -> list[str]:
    story.play()
    before = read_ledger(story.ledger)
    wrong = violations(
        story.history,
        before,
        story.arrived(),
        slot_ms=int(story.slot.timestamp() * 1000),
        promised=story.promised,
        deaths=story.deaths,
    )
    story.settle()
    return [*wrong, *changed(before, read_ledger(story.ledger)), *leaked(story.folder, CANARIES)]


def side_by_side(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Do `work` on each, some at once; results in the order of the items."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(work, items))


def play_all(
    stage: Path, fates: Iterable[tuple[str, ...]], *, world: World, zygote: Zygote, first: int = 1
) -> list[Played]:
    """One scene for each entry of `fates`."""
    one = partial(_numbered, stage, world, zygote)
    return side_by_side(one, list(enumerate(fates, start=first)))


def _numbered(
    stage: Path, world: World, zygote: Zygote, item: tuple[int, tuple[str, ...]]
) -> Played:
    number, fates = item
    return play(stage, number, fates, world=world, zygote=zygote)
