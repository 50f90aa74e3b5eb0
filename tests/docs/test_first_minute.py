"""The README's first minute, typed by a newcomer into the real thing."""

import re
import shutil
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import doc_pages
import pytest
from doc_daemon import BIN, ROOT, Daemon

README = doc_pages.ROOT / "README.md"

# What differs from one minute, and one machine, to the next.
_VARYING = (
    (re.compile(r"(run|auto)_[0-9a-hjkmnp-tv-z]{16}\b"), r"\1_…"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:…"),
    (re.compile(r"\bnext .+? \(in [^)]+\)"), "next …"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "…"),
    (re.compile(r"\b\d+\.\d s\b"), "… s"),
    (re.compile(r"\b\d+ rows\b"), "… rows"),
    (re.compile(r"\s+"), " "),
)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """What a fresh clone is after its first `make run`; the environment is the tests' own."""
    served = Daemon(tmp_path_factory.mktemp("clone"))
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-build.lock"):
        (served.folder / name).write_bytes((ROOT / name).read_bytes())
    shutil.copytree(ROOT / "automations.example", served.folder / "automations.example")
    venv = served.folder / ".venv"
    venv.mkdir()
    (venv / "bin").symlink_to(BIN)
    for stamp in (".runtime", ".project"):
        (venv / stamp).touch()
    try:
        served.start("make", "run")
        yield served
    finally:
        served.stop()


def _sessions() -> Iterator[tuple[str, list[str]]]:
    """Each command of the section with the lines that are shown under it."""
    section = doc_pages.read(README).partition("## The first minute")[2].partition("\n## ")[0]
    for block in re.findall(r"```console\n(.*?)```", section, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            yield command, shown


def test_the_first_minute_goes_as_the_readme_shows_it(clone: Daemon) -> None:
    replayed = []
    for command, shown in _sessions():
        if command == "make run":
            said = clone.output()
        elif command.startswith("ops "):
            done = clone.run(*command.split())
            assert done.returncode == 0, done.stderr
            said = done.stdout + done.stderr
        else:
            continue
        replayed.append(command)
        assert _shows(shown, said), f"$ {command}\n{said}"

    assert len(replayed) == 3


def _shows(shown: list[str], said: str) -> bool:
    """Whether the lines are those that were said; `…` alone stands for any number of lines."""
    pattern = "".join(
        r"(.*\n)*?" if line == "…" else re.escape(line) + r"\n" for line in _plain(shown)
    )
    return (
        re.fullmatch(pattern, "".join(f"{line}\n" for line in _plain(said.splitlines())))
        is not None
    )


def _plain(lines: list[str]) -> list[str]:
    """Lines without what varies; parallel steps in one order."""
    plain = [_fixed(line) for line in lines]
    groups = groupby(plain, key=lambda line: line.strip().startswith("tool."))
    return [
        line
        for parallel, group in groups
        for line in (sorted(group, reverse=True) if parallel else group)
    ]


def _fixed(line: str) -> str:
    for varying, fixed in _VARYING:
        line = varying.sub(fixed, line)
    return line.strip()


def test_a_line_that_the_program_does_not_say_is_noticed() -> None:
    said = "one\ntwo\nthree\n"

    assert _shows(["one", "…", "three"], said)
    assert not _shows(["one", "three"], said)
    assert not _shows(["…", "four"], said)


def test_the_command_that_checks_the_third_claim_selects_the_guards_tests() -> None:
    (word,) = re.findall(r'make test ARGS="-k (\w+)"', doc_pages.read(README))
    selected = {path.name for path in Path(ROOT / "tests").rglob("test_*.py") if word in path.stem}

    assert {"test_writes.py", "test_agent_writes.py"} <= selected
