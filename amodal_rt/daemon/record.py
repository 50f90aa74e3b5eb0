"""The files by which commands find a running daemon."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from amodal_rt.client import RECORD_FILE, SOCKET_FILE
from amodal_rt.errors import UnavailableError
from amodal_rt.failpoints import hit
from amodal_rt.logs import Log
from amodal_rt.servers.control_socket import LONGEST_PATH
from amodal_rt.settings import runtime_folder

_log = Log("daemon")


def socket_path(state: Path) -> Path:
    """Where the control socket of a state folder lies: in it, or in the runtime folder when
    the path would be longer than a socket's address may be.

    Raises UnavailableError (`socket_path`) when that folder is not private.
    """
    path = state / SOCKET_FILE
    if len(os.fsencode(path)) <= LONGEST_PATH:
        return path
    folder = runtime_folder()
    if folder is None:
        raise UnavailableError(
            f"the path of the control socket is longer than {LONGEST_PATH} bytes, and there is "
            "no private runtime folder",
            code="socket_path",
            hint="name a shorter state folder with AMODAL_RT_STATE_DIR, or set XDG_RUNTIME_DIR",
        )
    return folder / f"{_short(state)}.sock"


class Record:
    """What a daemon says of itself: beside its ledger, and among its user's running daemons.

    Both files are private, complete at every moment, and gone after an orderly stop.
    """

    def __init__(self, state: Path) -> None:
        folder = runtime_folder()
        self._paths = [state / RECORD_FILE]
        if folder is not None:
            self._paths.append(folder / f"{_short(state)}.json")

    def write(self, content: Mapping[str, object]) -> None:
        """Announce. A folder that cannot be written costs the convenience, not the daemon."""
        for path in self._paths:
            try:
                _write(path, json.dumps(content))
            except OSError as error:
                _log.warning("daemon.record_failed", file=str(path), error=str(error.strerror))

    def remove(self) -> None:
        """Take the announcement back."""
        for path in self._paths:
            path.unlink(missing_ok=True)


def _short(state: Path) -> str:
    return hashlib.sha256(os.fsencode(state)).hexdigest()[:16]


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    hit("record.before_rename")
    draft.replace(path)
    hit("record.after_rename")
