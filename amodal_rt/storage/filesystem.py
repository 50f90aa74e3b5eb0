"""Files as the ledger needs them: private, durable, whole."""

import os
from pathlib import Path

LEDGER_FILE = "ledger.sqlite"
"""The ledger's name in a state folder."""


def make_private(path: Path) -> None:
    """A new empty file for its owner alone. Raises OSError, also when something is there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    os.close(os.open(path, flags, 0o600))


def sync_file(path: Path) -> None:
    """Make the content of `path` durable. Raises OSError."""
    _sync(path, os.O_RDWR)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable. Raises OSError."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
