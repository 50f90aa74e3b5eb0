"""What can be told of a ledger without opening it for writing: nothing of it changes."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from amodal_rt.errors import ConflictError
from amodal_rt.storage import faults, filesystem, revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A ledger that this version can serve. `size` is in bytes; `old` is the revision that the
    next start brings up to date, None for the newest."""

    size: int
    old: str | None


def examine(path: Path) -> Examined | None:
    """Look at the ledger's file, all of it; None where there is none yet.

    Raises ConflictError (`ledger_newer`, `ledger_foreign`, `ledger_damaged`) and UnavailableError
    (`network_disk`, `ledger`).
    """
    if not path.is_file():
        return None
    filesystem.require_local(path.parent)
    revision.require_ours(path)
    try:
        with closing(revision.open_to_read(path)) as raw:
            found = revision.stored(raw)
            damage = [row[0] for row in raw.execute("PRAGMA quick_check(1)") if row[0] != "ok"]
    except sqlite3.Error as error:
        raise faults.translated(error) from None
    if damage:
        raise ConflictError(
            f"{path} is damaged: SQLite's own check finds faults in it",
            code="ledger_damaged",
            hint="restore a backup that was made before it was",
        )
    size = path.stat().st_size
    return Examined(size=size, old=None if found == revision.SCRIPTS.head else found)
