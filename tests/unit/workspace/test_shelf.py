"""A shelf reads what changed, parses what differs and nothing else."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from amodal_rt.workspace.reading import Found, find
from amodal_rt.workspace.shelf import Need, Parsed, Shelf, digest_of

LATER = 10**19
"""An instant at which no file is fresh."""


class Room:
    """A folder with a shelf that counts its parsing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.parsed: list[str] = []
        self.shelf: Shelf[str] = Shelf(self._parse, self.find)

    def find(self, file: str) -> Found | None:
        return find(os.path.realpath(self.root), file)

    def _parse(self, name: str, files: Mapping[str, bytes]) -> Parsed[str]:
        self.parsed.append(name)
        text = files[name].decode()
        needs: tuple[Need, ...] = ()
        if text.startswith("see "):
            found = self.find(text[4:])
            needs = (Need(text[4:], found, digest_of(found) if found else b""),)
        return Parsed(text, (), needs)

    def update(self, *names: str, now: int = LATER, afresh: bool = False) -> set[str]:
        found = {name: [each] for name in names if (each := self.find(name))}
        self.parsed.clear()
        return self.shelf.update(found, now=now, afresh=afresh)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    return Room(tmp_path)


def test_what_did_not_change_is_neither_read_nor_parsed(room: Room) -> None:
    assert room.update("a", "b") == {"a", "b"}
    before = room.shelf.get("a")

    assert room.update("a", "b") == set()
    assert room.parsed == []
    assert room.shelf.get("a") is before


def test_one_changed_file_is_parsed_alone(room: Room) -> None:
    room.update("a", "b")
    (room.root / "a").write_text("other")

    assert room.update("a", "b") == {"a"}
    assert room.parsed == ["a"]


def test_a_touched_file_is_read_and_not_parsed(room: Room) -> None:
    room.update("a", "b")
    (room.root / "a").touch()

    assert room.update("a", "b") == set()
    assert room.parsed == []


def test_a_file_that_is_gone_is_a_change(room: Room) -> None:
    room.update("a", "b")

    assert room.update("b") == {"a"}
    assert list(room.shelf.names()) == ["b"]


def test_afresh_parses_all_and_names_what_came_out_differently(room: Room) -> None:
    room.update("a", "b")

    assert room.update("a", "b", afresh=True) == set()
    assert sorted(room.parsed) == ["a", "b"]


def test_a_file_as_young_as_the_look_is_read_again(room: Room) -> None:
    """Two saves within the clock's grain bear one time: only the bytes tell them apart."""
    path = room.root / "a"
    room.update("a", now=path.stat().st_mtime_ns + 1)
    item = room.shelf._items["a"]
    path.write_text("b")
    # As if the second save had changed nothing that a listing shows.
    found = room.find("a")
    assert found
    item.files = [found]

    assert room.update("a") == {"a"}
    assert room.shelf.get("a").value == "b"


@pytest.mark.parametrize("before", ["missing", "there"])
def test_a_further_file_that_changes_or_comes_is_a_change(room: Room, before: str) -> None:
    (room.root / "c").write_text("see d")
    if before == "there":
        (room.root / "d").write_text("old")
    room.update("a", "c")
    assert room.update("a", "c") == set()

    (room.root / "d").write_text("new text")

    assert room.update("a", "c") == {"c"}
    assert room.parsed == ["c"]


def test_a_file_that_cannot_be_read_is_tried_again_each_time(room: Room) -> None:
    found = room.find("a")
    assert found
    (room.root / "a").unlink()

    room.shelf.update({"a": [found]}, now=LATER)
    assert room.shelf.get("a").value is None
    (room.root / "a").write_text("back")
    room.shelf.update({"a": [found]}, now=LATER)

    assert room.shelf.get("a").value == "back"


def test_a_defect_of_a_parser_harms_one_file(room: Room) -> None:
    def parse(name: str, files: Mapping[str, bytes]) -> Parsed[str]:
        if name == "a":
            raise RecursionError
        return Parsed(name)

    shelf = Shelf(parse, room.find)
    found = {name: [each] for name in ("a", "b") if (each := room.find(name))}

    shelf.update(found, now=LATER)

    assert shelf.get("b").value == "b"
    assert [problem.code for problem in shelf.get("a").problems] == ["internal"]
