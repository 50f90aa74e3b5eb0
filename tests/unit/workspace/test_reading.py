"""What may stand in a folder: each odd thing is a problem of its own and harms nothing else."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from amodal_rt.domain.problem import Problem
from amodal_rt.workspace import reading
from amodal_rt.workspace.reading import UnreadableError, find, ignored, read, scan

Plant = Callable[[Path, Path], object]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "workspace"
    (root / "automations").mkdir(parents=True)
    (root / "automations/good.json").write_text("{}")
    (tmp_path / "outside.json").write_text("{}")
    return root


def _bind(path: Path) -> None:
    # The path of a socket is short; the folder's may be long.
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


ODD: dict[str, tuple[Plant, str, str]] = {
    "a fifo": (lambda path, _: os.mkfifo(path), "not_a_file", "FIFO"),
    "a folder": (lambda path, _: path.mkdir(), "not_a_file", "folder"),
    "a socket": (lambda path, _: _bind(path), "not_a_file", "socket"),
    "a link to a device": (lambda path, _: path.symlink_to("/dev/zero"), "outside", "link"),
    "a link out": (
        lambda path, root: path.symlink_to(root.parent / "outside.json"),
        "outside",
        "out of the workspace",
    ),
    "a relative link out": (
        lambda path, root: path.symlink_to("../../outside.json"),
        "outside",
        "out of the workspace",
    ),
    "a link to nowhere": (lambda path, _: path.symlink_to("gone.json"), "broken_link", "nowhere"),
    "a link to itself": (lambda path, _: path.symlink_to(path.name), "broken_link", "nowhere"),
    "a link to a folder": (lambda path, _: path.symlink_to("."), "not_a_file", "folder"),
    "too large": (
        lambda path, _: path.write_bytes(b" " * (reading.LARGEST + 1)),
        "too_large",
        "256 KiB",
    ),
    "latin-1": (
        lambda path, _: path.write_bytes(b'{\n "a": "gr\xfc\xdfe"}'),
        "not_utf8",
        "0xfc",
    ),
    "utf-16": (
        lambda path, _: path.write_bytes('{"a": 1}'.encode("utf-16")),
        "not_utf8",
        "UTF-8",
    ),
}


def _problem(root: Path, file: str) -> Problem:
    found = scan(root).singles["automations"][file]
    with pytest.raises(UnreadableError) as caught:
        read(found)
    return caught.value.problem


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.timeout(5)
def test_what_is_no_readable_file_is_a_precise_problem_of_its_own(root: Path, odd: str) -> None:
    plant, code, word = ODD[odd]
    plant(root / "automations/odd.json", root)

    problem = _problem(root, "automations/odd.json")

    assert problem.file == "automations/odd.json"
    assert problem.code == code
    assert word in problem.sentence()
    good = scan(root).singles["automations"]["automations/good.json"]
    assert read(good) == b"{}"


def test_a_byte_that_is_not_utf8_has_a_place(root: Path) -> None:
    (root / "automations/odd.json").write_bytes(b'{\n "a": "gr\xfc\xdfe"}')

    problem = _problem(root, "automations/odd.json")

    assert (problem.line, problem.column) == (2, 10)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_unreadable(root: Path) -> None:
    (root / "automations/good.json").chmod(0)

    assert _problem(root, "automations/good.json").code == "unreadable"


@pytest.mark.timeout(5)
@pytest.mark.parametrize("swap", ["fifo", "link", "gone"])
def test_what_takes_a_files_place_between_look_and_read_is_refused(root: Path, swap: str) -> None:
    found = scan(root).singles["automations"]["automations/good.json"]
    path = root / "automations/good.json"
    path.unlink()
    if swap == "fifo":
        os.mkfifo(path)
    elif swap == "link":
        path.symlink_to(root.parent / "outside.json")

    with pytest.raises(UnreadableError):
        read(found)


def test_a_file_of_exactly_the_largest_size_is_read(root: Path) -> None:
    (root / "automations/large.json").write_bytes(b" " * reading.LARGEST)

    found = scan(root).singles["automations"]["automations/large.json"]

    assert len(read(found)) == reading.LARGEST


def test_links_inside_the_workspace_are_followed(root: Path) -> None:
    (root / "shared.json").write_text("[]")
    (root / "automations/linked.json").symlink_to("../shared.json")

    found = scan(root).singles["automations"]["automations/linked.json"]

    assert read(found) == b"[]"


def test_a_linked_folder_outside_is_not_read(root: Path, tmp_path: Path) -> None:
    (tmp_path / "away").mkdir()
    (tmp_path / "away/agent.md").write_text("x")
    (root / "agents").symlink_to(tmp_path / "away")

    found = scan(root)

    assert found.singles["agents"] == {}
    assert [(each.file, each.code) for each in found.problems] == [("agents", "outside")]


def test_a_workspace_that_is_itself_a_link_is_read(root: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(root)

    found = scan(tmp_path / "current").singles["automations"]["automations/good.json"]

    assert read(found) == b"{}"


@pytest.mark.parametrize(
    "name",
    [".good.json.swp", ".hidden.json", "good.json~", "#good.json#", "good.json.swp", "4913",
     "README.md", "good.json.tmp", "good.json.bak", ".#good.json", "..data"],
)  # fmt: skip
def test_what_editors_leave_is_ignored(root: Path, name: str) -> None:
    (root / "automations" / name).write_text("{")

    found = scan(root)

    assert ignored(name)
    assert list(found.singles["automations"]) == ["automations/good.json"]
    assert found.problems == []


@pytest.mark.parametrize("name", ["notes.txt", "daily.yaml", "daily.JSON", "script.py"])
def test_another_kind_of_file_is_a_warning(root: Path, name: str) -> None:
    (root / "automations" / name).write_text("x")

    (problem,) = scan(root).problems

    assert problem.file == f"automations/{name}"
    assert (problem.code, problem.severity) == ("not_read", "warning")
    assert ".json or .md" in problem.message


@pytest.mark.parametrize("name", [b"new\nline.json", b"gr\xfc\xdfe.json", b"esc\x1b[31m.json"])
def test_a_name_that_cannot_be_printed_is_a_problem_that_can(root: Path, name: bytes) -> None:
    (root / "automations" / os.fsdecode(name)).write_text("{}")

    found = scan(root)

    assert list(found.singles["automations"]) == ["automations/good.json"]
    (problem,) = found.problems
    assert problem.code == "bad_name"
    assert problem.sentence().encode().isascii()
    assert problem.sentence().isprintable()


def test_a_folder_among_the_files_is_a_warning(root: Path) -> None:
    (root / "automations/team").mkdir()

    (problem,) = scan(root).problems

    assert problem.message == "a folder here is not read"


def test_the_files_of_a_connection_are_found_and_others_are_not(root: Path) -> None:
    for file in ("a/spec.json", "a/access.json", "a/notes.txt", "b/surface.md", ".c/spec.json"):
        (root / "connections" / file).parent.mkdir(parents=True, exist_ok=True)
        (root / "connections" / file).write_text("{}")
    (root / "connections/stray.json").write_text("{}")

    found = scan(root)

    assert {name: set(files) for name, files in found.connections.items()} == {
        "a": {"spec.json", "access.json"},
        "b": {"surface.md"},
    }
    assert [each.file for each in found.problems] == ["connections/stray.json"]


def test_an_empty_or_missing_workspace_has_nothing(tmp_path: Path) -> None:
    assert not scan(tmp_path).singles["automations"]
    assert not scan(tmp_path / "missing").folders


def test_files_past_the_most_are_one_problem(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST", 3)
    for number in range(5):
        (root / f"automations/a{number}.json").write_text("{}")

    found = scan(root)

    assert len(found.singles["automations"]) == 3
    assert [each.code for each in found.problems] == ["too_many_files"]


@pytest.mark.parametrize("file", ["missing.md", "missing/x.md", "x" * 300, "a\0b"])
def test_what_is_not_there_is_not_found(root: Path, file: str) -> None:
    assert find(os.path.realpath(root), file) is None


def test_a_file_below_a_folder_that_leads_out_is_outside(root: Path, tmp_path: Path) -> None:
    (root / "texts").symlink_to(tmp_path)

    found = find(os.path.realpath(root), "texts/outside.json")

    assert found
    assert found.problem
    assert found.problem.code == "outside"


def test_a_file_that_is_listed_and_cannot_be_looked_at_is_not_taken_for_deleted() -> None:
    class Entry:
        name = "daily.json"

        def stat(self, *, follow_symlinks: bool) -> os.stat_result:
            raise PermissionError(13, "Permission denied")

    found = reading.Scan()
    reading._take_single(found, "/w", "automations", (".json",), Entry())  # pyright: ignore[reportArgumentType]

    (daily,) = found.singles["automations"].values()
    with pytest.raises(UnreadableError, match="permission denied"):
        read(daily)
