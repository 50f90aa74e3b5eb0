"""Which ledger a workspace has: the file of its state folder, or a database of several nodes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from amodal_rt.clock import Clock
from amodal_rt.errors import UnavailableError
from amodal_rt.ids import Ids
from amodal_rt.storage.filesystem import LEDGER_FILE
from amodal_rt.storage.ledger import DatabaseLedger
from amodal_rt.storage.sqlite import SqliteLedger
from amodal_rt.workspace.database import database_of


class Touch(Protocol):
    """How this node keeps in touch with the others."""

    def tell(self, topic: str) -> None:
        """Wake what waits for `topic` on other nodes."""
        ...

    async def run(self) -> None:
        """Hear from them until cancelled."""
        ...


def ledger_of(
    root: Path, state: Path, *, variables: Mapping[str, str], clock: Clock, ids: Ids
) -> DatabaseLedger:
    """The ledger of the workspace `root`, not open.

    Raises InvalidError for what `amodal.json` says, and UnavailableError (`env_missing`,
    `postgres_missing`).
    """
    url = database_of(root, variables)
    if url is None:
        return SqliteLedger(state / LEDGER_FILE, clock=clock, ids=ids)
    try:
        # Only who names a database needs its driver.
        from amodal_rt.storage.postgres import PostgresLedger
    except ImportError as error:
        raise UnavailableError(
            f"`database` needs a driver that is not installed ({error.name})",
            code="postgres_missing",
            hint="pip install 'amodal-rt[postgres]'",
        ) from None
    return PostgresLedger(url, clock=clock, ids=ids)


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
