"""One file that holds a whole ledger: taken while it is written to, and put back.

A ledger holds everything the state folder must keep: history, counters, and the key that
webhook URLs are made with. Both ways go through SQLite's own online backup, so that a copy
is of one moment whatever is written meanwhile.
"""

import os
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from amodal_rt import failpoints
from amodal_rt.errors import (
    AmodalError,
    ConflictError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from amodal_rt.storage import faults, revision, tables
from amodal_rt.storage.filesystem import give_to_owner_of, make_private, sync_file, sync_folder

RESTORED = ".restored-"
"""What stands in the name of a checked copy that is about to become the ledger."""
REPLACED = ".replaced-"
"""What stands in the name of a ledger that a restore has put aside."""
_SIDE_FILES = ("-wal", "-shm", "-journal")
_PATIENCE_SECONDS = 60.0
_COUNTED = ("runs", "events", "outbox")
_PENDING = f"SELECT COUNT(*) FROM runs WHERE {tables.PENDING}"  # noqa: S608  a constant
_WEBHOOK_KEY = "SELECT 1 FROM facts WHERE key = 'webhook_key'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """A file that was checked after it was written. `has_key`: it holds the webhook key;
    without one, the key came from the environment."""

    file: Path
    size: int
    revision: str
    runs: int
    events: int
    deliveries: int
    pending: int
    has_key: bool


def take(
    ledger: Path,
    target: Path,
    *,
    force: bool = False,
    scripts: revision.Scripts = revision.SCRIPTS,
) -> Copied:
    """Copy the ledger as it is at one moment into the new file `target`, private and checked.

    The file is there whole or not at all. Raises NotFoundError (`ledger_missing`),
    InvalidError (`usage`) for a target that is no file, or one of the ledger's own,
    ConflictError (`file_exists` unless `force`; `ledger_newer`; `ledger_foreign`;
    `restore_unfinished`; `ledger_damaged` when the copy does not pass SQLite's own check) and
    UnavailableError (`ledger`, `backup_failed`).
    """
    if not ledger.is_file():
        raise NotFoundError(
            f"there is no ledger at {ledger}",
            code="ledger_missing",
            hint="name the workspace with --workspace, its state folder with AMODAL_RT_STATE_DIR",
        )
    if _promised(ledger):
        raise ConflictError(
            "a restore was not finished",
            code="restore_unfinished",
            hint="run the restore again, or start the daemon, which finishes it",
        )
    _refuse_to_overwrite(target, ledger, force=force)
    with _writing(target, ledger):
        revision.require_ours(ledger, scripts)
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            found = _copy(ledger, draft, target, scripts)
            _refuse_to_overwrite(target, ledger, force=force)
            failpoints.hit("backup.before_rename")
            draft.replace(target)
            failpoints.hit("backup.after_rename")
            sync_folder(target.parent)
        finally:
            discard(draft)
    return found


def draft_of(ledger: Path) -> Path:
    """Where a restore prepares the file that will be the ledger."""
    return ledger.with_name(f".{ledger.name}.draft")


def prepare(
    backup: Path, ledger: Path, scripts: revision.Scripts = revision.SCRIPTS
) -> tuple[Path, Copied]:
    """Copy `backup` beside `ledger`, check it and bring its tables up to date; the copy, and
    what is in it.

    The ledger itself is not touched. Raises NotFoundError (`file_not_found`), ConflictError
    (`ledger_newer`, `ledger_foreign`, `ledger_damaged`) and UnavailableError.
    """
    if not backup.is_file():
        raise NotFoundError(f"there is no file {backup}", code="file_not_found")
    draft = draft_of(ledger)
    with _writing(draft, backup):
        discard(draft)
        copied = _copy(backup, draft, draft, scripts)
        # A daemon that runs as another user than root could not open what root restores.
        give_to_owner_of(draft.parent, draft)
        revision.bring_copy_up_to_date(draft, scripts)
    return draft, copied


def promise(draft: Path, ledger: Path, stamp: str) -> Path:
    """Decide that `draft` is the ledger: from here on, only forward. Returns its new name.

    `stamp` names the moment, in letters that file names may hold.
    """
    with _writing(ledger):
        # What is left of an open draft would be taken for side files of the next one.
        with closing(_open(draft)) as raw:
            raw.execute("PRAGMA journal_mode = DELETE")
        sync_file(draft)
        promised = ledger.with_name(f"{ledger.name}{RESTORED}{stamp}")
        failpoints.hit("restore.before_promise")
        draft.replace(promised)
        failpoints.hit("restore.after_promise")
        sync_folder(ledger.parent)
    return promised


def keep_promise(ledger: Path) -> Path | None:
    """Put a promised copy in the ledger's place, the old one aside, and return where that is.

    None when there was nothing to do or nothing to put aside. Whoever calls holds the state
    folder's lock. A crash in the middle is finished by the next call.
    """
    promised = _promised(ledger)
    if promised is None:
        return None
    aside = ledger.with_name(f"{ledger.name}{REPLACED}{promised.name.partition(RESTORED)[2]}")
    with _writing(ledger):
        # The log first: beside a new ledger the old one's would be read as its own.
        for suffix in (*_SIDE_FILES, ""):
            part = ledger.with_name(ledger.name + suffix)
            if part.exists():
                failpoints.hit("restore.before_aside")
                part.replace(aside.with_name(aside.name + suffix))
                failpoints.hit("restore.after_aside")
        sync_folder(ledger.parent)
        failpoints.hit("restore.before_rename")
        promised.replace(ledger)
        failpoints.hit("restore.after_rename")
        sync_folder(ledger.parent)
    return aside if aside.exists() else None


def discard(draft: Path) -> None:
    """Remove a copy that was not finished, with its side files."""
    for suffix in ("", *_SIDE_FILES):
        with suppress(OSError):
            draft.with_name(draft.name + suffix).unlink(missing_ok=True)


def _promised(ledger: Path) -> Path | None:
    found = sorted(ledger.parent.glob(f"{ledger.name}{RESTORED}*"))
    return found[-1] if found else None


def _copy(source: Path, draft: Path, target: Path, scripts: revision.Scripts) -> Copied:
    """Copy and check; `target` is the name that errors speak of."""
    make_private(draft)
    with closing(_open(source)) as raw, closing(_open(draft)) as copy:
        failpoints.hit("backup.before_copy")
        raw.backup(copy)
        failpoints.hit("backup.after_copy")
        # Of the copy: another version may be bringing the original up to date.
        found = revision.stored(copy)
        if found is None:
            raise revision.foreign(source)
        revision.require_known(found, scripts)
        # One file, readable on a medium that cannot be written to.
        copy.execute("PRAGMA journal_mode = DELETE")
        _check(copy, source)
        counts = {
            name: copy.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0]  # noqa: S608
            for name in _COUNTED
        }
        pending = copy.execute(_PENDING).fetchone()[0]
        has_key = copy.execute(_WEBHOOK_KEY).fetchone() is not None
    sync_file(draft)
    return Copied(
        file=target,
        size=draft.stat().st_size,
        revision=found,
        runs=counts["runs"],
        events=counts["events"],
        deliveries=counts["outbox"],
        pending=pending,
        has_key=has_key,
    )


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=_PATIENCE_SECONDS)


def _check(raw: sqlite3.Connection, source: Path) -> None:
    damage = [row[0] for row in raw.execute("PRAGMA integrity_check(1)") if row[0] != "ok"]
    orphans = raw.execute("PRAGMA foreign_key_check").fetchone()
    if damage or orphans:
        raise _damaged(source)


def _damaged(source: Path) -> ConflictError:
    return ConflictError(
        f"{source} is damaged: SQLite's own check finds faults in it",
        code="ledger_damaged",
        hint="restore a backup that was made before it was",
    )


def _refuse_to_overwrite(target: Path, ledger: Path, *, force: bool) -> None:
    if target.is_dir():
        raise InvalidError(f"{target} is a folder: name a file in it", code="usage")
    if target.exists() and not target.is_file():
        raise InvalidError(f"{target} is no ordinary file: name one", code="usage")
    if _is_ours(target, ledger):
        # A daemon would go on writing into what has no name any more, and nobody would see it.
        raise InvalidError(
            f"{target} belongs to the ledger itself: name a file somewhere else", code="usage"
        )
    if target.exists() and not force:
        raise ConflictError(
            f"{target} is there already", code="file_exists", hint="--force replaces it"
        )


def _is_ours(target: Path, ledger: Path) -> bool:
    """Whether it is the ledger, under whatever name, or stands where its side files do."""
    if target.exists() and target.samefile(ledger):
        return True
    real, own = target.resolve(), ledger.resolve()
    beside = real.parent == own.parent
    return beside and real.name.lstrip(".").startswith(own.name)


@contextmanager
def _writing(target: Path, source: Path | None = None) -> Generator[None, None, None]:
    try:
        yield
    except AmodalError:
        raise
    except sqlite3.DatabaseError as error:
        if faults.is_damage(error):
            raise _damaged(source or target) from None
        raise faults.translated(error) from None
    except OSError as error:
        raise UnavailableError(
            f"{target} cannot be written: {error.strerror or type(error).__name__}",
            code="backup_failed",
            hint="choose a folder that can be written and has room for the whole ledger",
        ) from None
