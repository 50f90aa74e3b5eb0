"""What a failing database says, in the words of the one error tree."""

import errno
import sqlite3

from sqlalchemy.exc import DBAPIError

from amodal_rt.errors import AmodalError, InternalError, NotFoundError, UnavailableError

_FULL = sqlite3.SQLITE_FULL
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_BEYOND_TRUST = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_HINTS = {
    _FULL: "free space on the disk that holds the ledger",
    sqlite3.SQLITE_IOERR: "look at the disk that holds the ledger, then start the daemon again",
    sqlite3.SQLITE_READONLY: "make the ledger and its folder writable for this user",
    sqlite3.SQLITE_CORRUPT: "restore the ledger from a backup",
    sqlite3.SQLITE_NOTADB: "this file is no ledger: move it away or restore a backup",
}

_SAME_AS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EIO: sqlite3.SQLITE_IOERR,
    errno.EROFS: sqlite3.SQLITE_READONLY,
    errno.EACCES: sqlite3.SQLITE_READONLY,
    errno.EPERM: sqlite3.SQLITE_READONLY,
}


def primary_code(error: BaseException) -> int | None:
    """SQLite's primary result code behind `error`, or None where none is known."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None


def is_refusal(error: BaseException | None) -> bool:
    """Whether a caller was told that nothing can be made durable right now."""
    return isinstance(error, UnavailableError) and error.code == "ledger"


def is_passing(error: BaseException) -> bool:
    """Whether a failed commit may be followed by more work: a full disk, a locked file."""
    code = primary_code(error)
    return code == _FULL or code in _BUSY


def is_beyond_trust(error: BaseException) -> bool:
    """Whether what the disk holds is unknown after this error."""
    return primary_code(error) in _BEYOND_TRUST


def is_damage(error: BaseException) -> bool:
    """Whether the file is no database, or not a whole one."""
    return primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def translated(error: BaseException) -> BaseException:
    """The error that a caller sees: no SQL, no parameters. Unknown errors pass as they are."""
    if isinstance(error, AmodalError):
        return error
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, OSError):
        name = errno.errorcode.get(cause.errno or 0, type(cause).__name__)
        return unavailable(cause.strerror or name, _SAME_AS.get(cause.errno or 0))
    if not isinstance(cause, sqlite3.Error):
        return error
    name = getattr(cause, "sqlite_errorname", type(cause).__name__)
    if name == "SQLITE_CONSTRAINT_FOREIGNKEY":
        return NotFoundError("the ledger holds no such run", code="run_not_found")
    if isinstance(cause, sqlite3.IntegrityError | sqlite3.ProgrammingError):
        return InternalError(f"the ledger refused a row ({name})", code="ledger_row")
    # SQLite makes room for its `-shm` file as it opens, and calls a full disk an I/O error there.
    if name == "SQLITE_IOERR_SHMSIZE":
        return unavailable(f"{name}: no room on its disk", _FULL)
    return unavailable(name, primary_code(cause))


def damaged() -> UnavailableError:
    """The file is there and cannot be read as what it was."""
    return unavailable("the file is damaged", sqlite3.SQLITE_CORRUPT)


def unavailable(what: str, code: int | None = None) -> UnavailableError:
    """Nothing can be made durable; `what` is SQLite's name for it or a few words."""
    return UnavailableError(
        f"the ledger cannot be used right now ({what})",
        code="ledger",
        hint=_HINTS.get(code) if code is not None else None,
    )
