"""What a console script does when nobody can read its output."""

import subprocess
import sys


def _shell(redirection: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = f"exec {sys.executable} -m amodal_rt {' '.join(words)} {redirection}"
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)


def test_a_full_disk_is_said_in_one_line() -> None:
    done = _shell(">/dev/full", "version")

    assert done.returncode == 1
    assert done.stderr.splitlines() == ["error: cannot write the output: No space left on device"]


def test_a_closed_stdout_changes_no_exit_code() -> None:
    done = _shell(">&-", "ops", "automations", "list", "--workspace", "/nowhere")

    assert done.returncode == 4
    assert "Traceback" not in done.stderr
