"""Which ledger a workspace has: the file of its state folder, or a database of several nodes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from amodal_rt.clock import Clock
from amodal_rt.daemon.telling import Telling
from amodal_rt.errors import InvalidError, UnavailableError
from amodal_rt.ids import Ids
from amodal_rt.logs import Log
from amodal_rt.storage.filesystem import LEDGER_FILE
from amodal_rt.storage.ledger import DatabaseLedger
from amodal_rt.storage.sqlite import SqliteLedger
from amodal_rt.workspace.database import database_of

DATABASE_MARK = "ledger.database"
"""Stands in the state folder of a workspace whose ledger is a database."""

_log = Log("daemon")


class Touch(Protocol):
    """How this node keeps in touch with the others."""

    def tell(self, topic: str) -> None:
        """Wake what waits for `topic` on other nodes."""
        ...

    async def run(self) -> None:
        """Hear from them until cancelled."""
        ...


class TellingSqliteLedger(Telling, SqliteLedger):
    """The ledger of a workspace's own file."""


def ledger_of(
    root: Path, state: Path, *, variables: Mapping[str, str], clock: Clock, ids: Ids
) -> Telling:
    """The ledger of the workspace `root`, not open.

    Raises InvalidError for what `amodal.json` says, or no longer says (`ledger_elsewhere`),
    and UnavailableError (`env_missing`, `postgres_missing`).
    """
    try:
        url = database_of(root, variables)
    except InvalidError:
        # It broke since the last start, and the file says which ledger there was: what it holds
        # of the last good settings stands.
        if not (state / LEDGER_FILE).exists() or (state / DATABASE_MARK).exists():
            raise
        url = None
    if url is None:
        _require_unmarked(state)
        return TellingSqliteLedger(state / LEDGER_FILE, clock=clock, ids=ids)
    try:
        # Only who names a database needs its driver.
        from amodal_rt.daemon.telling_postgres import TellingPostgresLedger
    except ImportError as error:
        raise UnavailableError(
            f"`database` needs a driver that is not installed ({error.name})",
            code="postgres_missing",
            hint="pip install 'amodal-rt[postgres]'",
        ) from None
    return TellingPostgresLedger(url, clock=clock, ids=ids)


def mark_ledger(ledger: DatabaseLedger, state: Path) -> None:
    """Note in the state folder that the ledger, which is open, is a database: when
    `amodal.json` is missing one day, a fresh file in its place would know nothing of what was
    acknowledged, and give every webhook another URL."""
    mark = state / DATABASE_MARK
    if not is_shared(ledger) or mark.exists():
        return
    try:
        mark.write_text("the ledger of this workspace is in PostgreSQL\n", encoding="ascii")
    except OSError as error:
        _log.warning("daemon.not_marked", file=str(mark), error=error.strerror)


def _require_unmarked(state: Path) -> None:
    mark = state / DATABASE_MARK
    if mark.exists():
        raise InvalidError(
            "amodal.json names no database, and the ledger of this workspace is in one",
            code="ledger_elsewhere",
            hint=f"name it again with `database`; to begin with a ledger file, delete {mark}",
        )


def is_shared(ledger: DatabaseLedger) -> bool:
    """Whether other nodes can have the same ledger."""
    return not isinstance(ledger, SqliteLedger)


def in_touch(
    ledger: DatabaseLedger,
    *,
    sender: str,
    hear: Callable[[str], None],
    may_act: Callable[[], bool],
    clock: Clock,
) -> Touch | None:
    """How a node over `ledger` keeps in touch with others, or None where there are none.

    `hear` is told the topics; `may_act` says whether this node's lease is held.
    """
    if not is_shared(ledger):
        return None
    from amodal_rt.storage.cluster import Cluster
    from amodal_rt.storage.postgres import PostgresLedger

    assert isinstance(ledger, PostgresLedger)
    return Cluster(ledger, sender=sender, hear=hear, may_act=may_act, clock=clock)
