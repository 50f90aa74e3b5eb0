"""Backups and restores of a state folder, with or without a daemon."""

import asyncio
from pathlib import Path

from amodal_rt.clock import SystemClock
from amodal_rt.daemon.lock import LOCK_FILE, daemon_lock, prepare_state
from amodal_rt.definitions.source import SourceError, read_json
from amodal_rt.errors import ConflictError, InvalidError
from amodal_rt.ids import SystemIds
from amodal_rt.ports import Caller
from amodal_rt.storage import backup
from amodal_rt.storage.backup import Copied
from amodal_rt.storage.filesystem import LEDGER_FILE
from amodal_rt.storage.restore import Restored, restore

_SETTINGS = "amodal.json"


def back_up(root: Path, state: Path, file: Path, *, force: bool) -> Copied:
    """Copy the ledger of `root` into `file`; a daemon that uses it goes on meanwhile.

    Raises what `storage.backup.take` raises, InvalidError (`usage`) for a file in a state
    folder, and ConflictError (`other_database`).
    """
    _require_own_ledger(root, "pg_dump")
    target = file.absolute()
    folder = target.resolve().parent
    if folder == state.resolve() or (folder / LOCK_FILE).exists():
        # Another workspace's ledger would be gone, and its daemon would go on acknowledging.
        raise InvalidError(
            f"{folder} is the state folder of a daemon: name a file somewhere else", code="usage"
        )
    return backup.take(state / LEDGER_FILE, target, force=force)


def put_back(
    root: Path, state: Path, file: Path, *, cancel_pending: bool, caller: Caller
) -> Restored:
    """Make the backup `file` the ledger of `root`; the old one stays beside it.

    Raises what `storage.restore.restore` raises, and ConflictError (`daemon_running`,
    `other_database`).
    """
    _require_own_ledger(root, "pg_restore")
    clock = SystemClock()
    source = file.absolute()
    prepare_state(state)
    with daemon_lock(state):
        return asyncio.run(
            restore(
                source,
                state / LEDGER_FILE,
                clock=clock,
                ids=SystemIds(clock),
                caller=caller,
                cancel_pending=cancel_pending,
            )
        )


def _require_own_ledger(root: Path, tool: str) -> None:
    """The ledger is a file of ours, or the refusal that names the database's own tool."""
    settings = root / _SETTINGS
    try:
        document = read_json(settings.read_bytes(), _SETTINGS)
    except FileNotFoundError:
        return
    except OSError as error:
        raise InvalidError(f"{settings}: {error.strerror}", code="invalid") from None
    except SourceError:
        # A broken file names no other database: the daemon keeps its last good one.
        return
    if document.value.get("database"):
        raise ConflictError(
            "this workspace keeps its ledger in PostgreSQL",
            code="other_database",
            hint=f"use {tool}; docs/how-to/backup.md shows how",
        )
