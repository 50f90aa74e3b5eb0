"""One daemon for each state folder."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from amodal_rt.errors import ConflictError, UnavailableError
from amodal_rt.storage.filesystem import give_to_owner_of

LOCK_FILE = "daemon.lock"


def prepare_state(folder: Path) -> None:
    """Make the state folder private (0700) and keep it out of git.

    Raises UnavailableError (`state_folder`) when it cannot be made or is not ours to close.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            # Bodies of events lie in the ledger's files: nobody else may walk in.
            folder.chmod(0o700)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="ascii")
    except OSError as error:
        raise _unusable(folder, error) from None


@contextmanager
def daemon_lock(folder: Path) -> Generator[None, None, None]:
    """Hold the state folder for as long as the block lasts.

    Raises ConflictError (`daemon_running`) while another process holds it, UnavailableError
    (`state_folder`) where nothing can be written. The kernel lets go when the holder dies,
    however it dies, so the file itself is never removed.
    """
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(folder, error) from None
    try:
        # Else the daemon of the folder's owner could not start after a restore by root.
        give_to_owner_of(folder, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _held(os.pread(descriptor, 32, 0), folder) from None
        # On a full disk the lock holds as well; only who holds it is not told then.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _unusable(folder: Path, error: OSError) -> UnavailableError:
    return UnavailableError(
        f"the state folder {folder} cannot be used: {error.strerror}",
        code="state_folder",
        hint="make it writable, or name another with AMODAL_RT_STATE_DIR",
    )


def _held(content: bytes, folder: Path) -> ConflictError:
    pid = content.decode("ascii", errors="replace").strip()
    who = f" (pid {pid})" if pid.isdigit() else ""
    return ConflictError(
        f"another daemon{who} already serves {folder}",
        code="daemon_running",
        hint="stop it first, or give this one a state folder of its own with AMODAL_RT_STATE_DIR",
    )
