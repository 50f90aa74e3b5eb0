"""What PostgreSQL and the way to it say when they fail, in the words of the one error tree."""

import re

import psycopg
from sqlalchemy.exc import DBAPIError

from amodal_rt.errors import AmodalError, InternalError, NotFoundError, UnavailableError

_FOREIGN_KEY = "23503"
_READ_ONLY = "25006"
_LOCK_TIMEOUT = "55P03"
_HINTS = {
    "25006": "this server takes no writes (a standby?): name the primary, or all servers",
    "28000": "the database refuses this user, or does not know it: look at the URL of `database`",
    "28P01": "the database refuses this password: look at the URL of `database`",
    "3D000": "there is no such database: make it, or look at the URL of `database`",
    "42501": "this user may not use the tables: make it the owner of the database",
    "53100": "free space on the disk of the database",
    "53300": "the database takes no more connections: raise max_connections",
    "55P03": "another node or session holds the ledger's lock: see pg_stat_activity",
    "57P03": "the database is starting or recovering",
}
_AWAY = "see that the database runs and can be reached; the daemon goes on by itself"
_NOT_STARTED = "see that the database runs and can be reached, then start again"
_NO_SUCH_WAY = "look at the URL of `database`: postgresql://USER:PASSWORD@HOST:5432/NAME"
# Of a connection that was refused the driver knows no state, only the server's words.
_SAID = (
    (re.compile(r'database ".*" does not exist'), _HINTS["3D000"]),
    (re.compile(r"password authentication failed|no password supplied"), _HINTS["28P01"]),
    (
        re.compile(r'role ".*" does not exist|no pg_hba\.conf entry|not permitted to log in'),
        _HINTS["28000"],
    ),
    (re.compile(r"too many (clients|connections)|remaining connection slots"), _HINTS["53300"]),
    (re.compile(r"session is read-only|recovery mode|hot standby"), _HINTS["25006"]),
    (re.compile(r"starting up|not yet accepting|shutting down"), _HINTS["57P03"]),
    (re.compile(r"invalid port number|invalid integer value|connection option"), _NO_SUCH_WAY),
)
# The session was ended: by an administrator, a crash, a shutdown, or its own time limits.
_ENDED = {"25P03", "57P01", "57P02", "57P03", "57P05"}
# Statements that this session prepared no longer fit: a newer node has changed the tables.
_OUTDATED = "0A000"
_RETRIED = {"40001", "40P01"}
_OURS = (psycopg.IntegrityError, psycopg.DataError, psycopg.ProgrammingError)


def cause_of(error: BaseException) -> BaseException:
    """The driver's error behind SQLAlchemy's."""
    found = error.orig if isinstance(error, DBAPIError) else error
    return found or error


def state_of(error: BaseException) -> str | None:
    """The five characters by which PostgreSQL names an error, or None without an answer."""
    cause = cause_of(error)
    return cause.sqlstate if isinstance(cause, psycopg.Error) else None


def ends_session(error: BaseException) -> bool:
    """Whether another connection must be made after this error: the server closed this one, or
    may no longer be the one that takes writes."""
    state = state_of(error) or ""
    return state in _ENDED or state in (_READ_ONLY, _OUTDATED) or state.startswith("08")


def is_retried(error: BaseException) -> bool:
    """Whether the same works may succeed at once: a deadlock, a serialization failure."""
    return state_of(error) in _RETRIED


def is_hopeless(error: BaseException) -> bool:
    """Whether running the same works again now would only keep their callers waiting."""
    state = state_of(error) or ""
    return state in (_LOCK_TIMEOUT, "57014") or state.startswith("53")


def translated(error: BaseException) -> BaseException:
    """The error that a caller sees: no SQL, no parameters, no password."""
    if isinstance(error, AmodalError):
        return error
    cause = cause_of(error)
    if not isinstance(cause, psycopg.Error):
        return error
    state = cause.sqlstate
    if state == _FOREIGN_KEY:
        return NotFoundError("the ledger holds no such run", code="run_not_found")
    if isinstance(cause, _OURS) and state not in _HINTS:
        return InternalError(
            f"the ledger refused a row ({type(cause).__name__})", code="ledger_row"
        )
    if state is None:
        return away(type(cause).__name__)
    name = f"{type(cause).__name__} {state}"
    return UnavailableError(
        f"the ledger cannot be used right now ({name})",
        code="ledger",
        hint=_HINTS.get(state, _AWAY),
    )


def detail(error: BaseException) -> str:
    """What the driver says in full: server, user and database, but no password. For logs and
    whoever starts the daemon, not for those who call on it."""
    cause = cause_of(error)
    lines = [line.strip() for line in str(cause).splitlines()]
    return " ".join(lines)[:300] if isinstance(cause, psycopg.Error) else type(cause).__name__


def at_start(error: BaseException) -> BaseException:
    """`translated`, with the detail that the person who starts the daemon needs: nothing goes
    on by itself before it has started."""
    told = translated(error)
    if not isinstance(told, UnavailableError):
        return told
    if state_of(error) is not None:
        known = None if told.hint == _AWAY else told.hint
        return UnavailableError(told.message, code=told.code, hint=known or _NOT_STARTED)
    said = detail(error)
    hints = (hint for words, hint in _SAID if words.search(said))
    return UnavailableError(away(said).message, code=told.code, hint=next(hints, _NOT_STARTED))


def away(what: str) -> UnavailableError:
    """The server does not answer, or not to us."""
    return UnavailableError(
        f"the ledger cannot be used right now ({what})", code="ledger", hint=_AWAY
    )
