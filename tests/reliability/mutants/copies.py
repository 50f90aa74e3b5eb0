"""A copy of the tree with an interpreter of its own, in which bugs can be planted."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from planted import Mutant

ROOT = Path(__file__).resolve().parents[3]
PARTS = ("amodal_rt", "automations.example", "docs", "pyproject.toml", "tests")
LONGEST = 120
"""Seconds that the tests of one bug may take, a minute's time limit of a test within."""
TESTS_FAILED = 1
"""pytest's exit status when tests ran and some failed; a file that cannot be read has another."""


@dataclass(frozen=True)
class Copy:
    """The tree and the interpreter that imports it, whatever environment a test gives."""

    root: Path
    python: Path

    @contextmanager
    def with_planted(self, mutant: Mutant) -> Iterator[None]:
        """The bug is in the copy for as long as the block."""
        path = self.root / mutant.file
        text = path.read_text("utf-8")
        found = text.count(mutant.old)
        assert found == 1, f"{mutant.name}: its text stands {found} times in {mutant.file}"
        path.write_text(text.replace(mutant.old, mutant.new), "utf-8")
        try:
            yield
        finally:
            path.write_text(text, "utf-8")

    def run(self, tests: Sequence[str], only: str = "") -> tuple[int, str]:
        """Pytest's exit status and what it said."""
        command = [
            str(self.python), "-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider",
            "--timeout=60", *tests,
        ]  # fmt: skip
        try:
            done = subprocess.run(
                [*command, *(["-k", only] if only else [])],
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=LONGEST,
                check=False,
            )
        except subprocess.TimeoutExpired:
            # A bug may make a test hang so that only the end of its process ends it.
            return TESTS_FAILED, f"it did not end within {LONGEST} s"
        return done.returncode, done.stdout[-4000:] + done.stderr[-1000:]


def make_copy(folder: Path) -> Copy:
    """Copy what the tests read, and make an environment that finds it first."""
    root = folder / "tree"
    root.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", ".*", "*.pyc")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, root / part, symlinks=True, ignore=ignored)
        else:
            shutil.copy(source, root / part)
    home = folder / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    paths = {"base": str(home), "platbase": str(home)}
    # A folder named in a .pth file is searched after those before it, and its own .pth files,
    # an editable install of the real tree among them, are not read.
    packages = Path(sysconfig.get_path("purelib", vars=paths))
    lines = f"{root}\n{sysconfig.get_path('purelib')}\n"
    (packages / "tree.pth").write_text(lines, encoding="utf-8")
    return Copy(root, home / "bin" / Path(sys.executable).name)
