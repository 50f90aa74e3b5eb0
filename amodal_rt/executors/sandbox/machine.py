"""Whether this machine can hold programs at all: tried and not guessed."""

import shutil
import subprocess

from amodal_rt.executors.sandbox.bubblewrap import PROGRAM

_SECONDS = 10
_TRIED = (PROGRAM, "--unshare-all", "--disable-userns", "--unshare-user", "--ro-bind", "/", "/")


def sandbox_refusal() -> str | None:
    """Run `true` in namespaces of its own, as a program in a profile would be. Why that cannot be
    had here, None where it can. What bounds its memory is not tried: control groups would have to
    be changed for it."""
    if shutil.which(PROGRAM) is None:
        return "bubblewrap is not installed"
    try:
        done = subprocess.run(
            [*_TRIED, "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{PROGRAM} does not run: {error}"
    if done.returncode == 0:
        return None
    return done.stderr.decode("utf-8", "replace").strip()[-300:] or f"{PROGRAM} fails"
