"""The workspace as a revision of git has it: read beside, and nothing here is touched."""

import io
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from amodal_rt.domain.workspace import Snapshot
from amodal_rt.errors import AmodalError, InvalidError, NotFoundError
from amodal_rt.guardrails.untrusted import plain
from amodal_rt.workspace.check import read_at

_SECONDS = 60


def read_revision(root: Path, revision: str) -> Snapshot:
    """What the files of that folder said at the revision; nothing where it did not exist.

    Raises NotFoundError (`not_in_git`) outside of a repository, InvalidError (`bad_revision`).
    """
    place = _git(root, ["rev-parse", "--show-prefix"], _outside)
    found = _git(
        root,
        ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"],
        lambda _: InvalidError(f"{revision[:100]!r} names no commit", code="bad_revision"),
    )
    commit, folder = found.decode().strip(), place.decode().strip().rstrip("/") or "."
    with tempfile.TemporaryDirectory(prefix="amodal-rt-plan-") as beside:
        if _git(root, ["ls-tree", "--full-tree", commit, folder], _unread).strip():
            archive = _git(root, ["archive", "--format=tar", commit], _unread)
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                tar.extractall(beside, filter="data")
        return read_at(Path(beside))


def _outside(said: str) -> AmodalError:
    return NotFoundError(
        f"there is no git repository to compare with: {said}",
        code="not_in_git",
        hint="run it in a clone of the workspace",
    )


def _unread(said: str) -> AmodalError:
    return InvalidError(f"git does not give the revision: {said}", code="bad_revision")


def _git(root: Path, words: Sequence[str], failed: Callable[[str], AmodalError]) -> bytes:
    git = shutil.which("git")
    if git is None:
        raise _outside("git is not installed")
    done = subprocess.run(
        [git, "-C", str(root), *words], capture_output=True, timeout=_SECONDS, check=False
    )
    if done.returncode:
        lines = plain(done.stderr.decode("utf-8", "replace")).strip().splitlines()
        raise failed(lines[0] if lines else f"git {words[0]} failed")
    return done.stdout
