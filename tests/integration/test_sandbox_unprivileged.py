"""The same for a daemon that is not root and has no control groups, as most are on a desk."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox_scene import NEEDED

NOBODY = 65_534
HERE = Path(__file__).parent
ATTACKS = (
    "fork_bomb or memory_bomb or no_secret or no_network or gain_rights or laid_leads "
    "or own_folders or daemon_that_is_killed or three_descriptors or holds_up_nobody "
    "or killed_from_outside"
)

pytestmark = [
    NEEDED,
    pytest.mark.skipif(os.getuid() != 0, reason="the other tests are run as no root already"),
]


@pytest.fixture
def own() -> Iterator[Path]:
    """A folder of the other user's: pytest's own are root's alone."""
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, NOBODY, NOBODY)
        yield Path(folder)


def test_what_holds_for_root_holds_for_another_user_by_the_limits_of_processes(
    own: Path,
) -> None:
    python, paths = interpreter()
    files = [str(HERE / name) for name in ("test_sandbox.py", "test_sandbox_remains.py")]

    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "--basetemp", own / "t",
         "-k", ATTACKS, *files],
        cwd=HERE.parents[1],
        env={"PATH": os.environ["PATH"], "HOME": str(own), "PYTHONPATH": paths,
             "PYTHONDONTWRITEBYTECODE": "1"},
        user=NOBODY, group=NOBODY, extra_groups=[],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-4_000:]
    passed = int(done.stdout.rpartition(" passed")[0].split()[-1])
    assert passed >= 10, done.stdout


def interpreter() -> tuple[str, str]:
    """One that another user may start, and where it finds what this one finds."""
    paths = os.pathsep.join(filter(None, sys.path))
    for each in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        try:
            done = subprocess.run(
                [each, "-c", "import amodal_rt, pytest"],
                env={"PYTHONPATH": paths}, user=NOBODY, group=NOBODY, extra_groups=[],
                capture_output=True, check=False,
            )  # fmt: skip
        except OSError:
            continue
        if done.returncode == 0:
            return each, paths
    pytest.skip("no interpreter of this version that another user may start")
