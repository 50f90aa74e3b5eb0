"""The README's first minute and the tutorial, typed by a newcomer into the real thing."""

import re
import shlex
import shutil
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import doc_pages
import pytest
from doc_daemon import BIN, ROOT, Daemon

# Two dozen commands of a real program, one after another, on a machine that may be busy.
pytestmark = pytest.mark.timeout(180)

README = doc_pages.ROOT / "README.md"
TUTORIAL = doc_pages.DOCS / "tutorial" / "first-automation.md"

# What differs from one minute, and one machine, to the next.
_VARYING = (
    (re.compile(r"(run|auto|aut|evt)_[0-9a-hjkmnp-tv-z]{16}\b"), r"\1_…"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:…"),
    (re.compile(r"\bnext .+? \(in [^)]+\)"), "next …"),
    (re.compile(r"[A-Z][a-z]{2} \d{4}-\d\d-\d\d \d\d:\d\d( \(in [^)]+\))?"), "…"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\dZ?"), "…"),
    (re.compile(r"\d\d:\d\d:\d\d\.\d{3}"), "…"),
    (re.compile(r"\b\d+\.\d s\b"), "… s"),
    (re.compile(r"\b\d+ rows\b"), "… rows"),
    (re.compile(r"\s+"), " "),
)
_OPEN = {"pending", "running"}
_STEP = re.compile(
    r"```console\n(?P<session>.*?)```"
    r"|Save this as `(?P<path>[^`]+)`:\n\n```json\n(?P<text>.*?)```"
    r"|Change `(?P<old>[^`]+)` to `(?P<new>[^`]+)`",
    re.DOTALL,
)


@pytest.fixture(params=[README, TUTORIAL], ids=doc_pages.name)
def page(request: pytest.FixtureRequest) -> Path:
    """A page that begins with `make run`."""
    return request.param


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Daemon]:
    """What a fresh clone is after its first `make run`; the environment is the tests' own."""
    served = Daemon(tmp_path)
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


class Newcomer:
    """Types what a page says, and remembers what to put for RUN and URL."""

    def __init__(self, clone: Daemon) -> None:
        self.clone = clone
        self.seen: dict[str, str] = {}
        self.file = Path()
        self.replayed = 0

    def save(self, path: str, text: str) -> None:
        """Write a file and wait until it is live."""
        before = self._listed()
        self.file = self.clone.folder / path
        self.file.write_text(text, encoding="utf-8")
        deadline = time.monotonic() + 10
        while self._listed() == before:
            assert time.monotonic() < deadline, f"{path} never came alive"
            time.sleep(0.05)

    def change(self, old: str, new: str) -> None:
        """Replace a word in the file saved last."""
        text = self.file.read_text(encoding="utf-8")
        assert old in text
        self.save(str(self.file), text.replace(old, new))

    def type(self, command: str, shown: list[str]) -> None:
        """Run one command; what it says must be what is shown, if anything is."""
        words = [self.seen.get(each, each) for each in shlex.split(command)]
        if words[0] == "source" or (words[0] == "curl" and shutil.which("curl") is None):
            return
        if command == "make run":
            said = self.clone.output()
        else:
            done = self.clone.run(*words)
            said = done.stdout + done.stderr
        if found := re.search(r"run_[0-9a-z]{16}", said):
            self.seen["RUN"] = found[0]
        if found := re.search(r"http://\S+/webhooks/auto_\w+", said):
            self.seen["URL"] = found[0]
        if shown:
            assert _shows(shown, said), f"$ {command}\n{said}"
            self.replayed += 1

    def settle(self) -> None:
        """Wait, as a reader does between two commands, until no run is under way."""
        deadline = time.monotonic() + 20
        while any(each["status"] in _OPEN for each in self.clone.ask("runs", "list")):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def _listed(self) -> object:
        return self.clone.ask("automations", "list")


def test_a_session_goes_as_the_page_shows_it(clone: Daemon, page: Path) -> None:
    newcomer = Newcomer(clone)

    for step in _STEP.finditer(doc_pages.read(page)):
        if step["path"]:
            newcomer.save(step["path"], step["text"])
        elif step["old"]:
            newcomer.change(step["old"], step["new"])
        else:
            for part in re.split(r"^\$ ", step["session"], flags=re.MULTILINE)[1:]:
                command, *shown = part.splitlines()
                newcomer.type(command, shown)
                newcomer.settle()

    assert newcomer.replayed >= 3


def _shows(shown: list[str], said: str) -> bool:
    """Whether the lines are those that were said; `…` alone stands for any number of lines."""
    pattern = "".join(
        r"(.*\n)*?" if line == "…" else re.escape(line) + r"\n" for line in _plain(shown)
    )
    text = "".join(f"{line}\n" for line in _plain(said.splitlines()))
    return re.fullmatch(pattern, text) is not None


def _plain(lines: list[str]) -> list[str]:
    """Lines without what varies; parallel steps in one order."""
    fixed = [_fixed(line) for line in lines]
    groups = groupby(fixed, key=lambda line: line.startswith("tool."))
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
    selected = {path.name for path in (ROOT / "tests").rglob("test_*.py") if word in path.stem}

    assert {"test_writes.py", "test_agent_writes.py"} <= selected
