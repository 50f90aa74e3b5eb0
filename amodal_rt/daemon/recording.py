"""The record of a workspace: read beside the daemon, and its head told to the log."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from amodal_rt.clock import Clock, SystemClock
from amodal_rt.domain.chain import Head
from amodal_rt.errors import AmodalError
from amodal_rt.logs import Log
from amodal_rt.operations.audit import Audit
from amodal_rt.ports import AuditLedger
from amodal_rt.storage.filesystem import LEDGER_FILE
from amodal_rt.storage.record import file_record, server_record
from amodal_rt.workspace.database import database_of

DAY_SECONDS = 24 * 60 * 60

_log = Log("audit")


@contextmanager
def audit_of(root: Path, state: Path, variables: Mapping[str, str]) -> Generator[Audit]:
    """The verbs of the record over the ledger of `root` itself, whether or not a daemon runs.

    Raises as `storage.record.file_record`, and what a broken `amodal.json` is refused with.
    """
    url = database_of(root, variables)
    opened = file_record(state / LEDGER_FILE) if url is None else server_record(url)
    with opened as record:
        yield Audit(record, clock=SystemClock())


class HeadLog:
    """Tells the log the head of the record: when the daemon starts, every day, when it stops.

    Kept where whoever writes into the ledger cannot write, it proves later that nothing of what
    came before was changed.
    """

    def __init__(self, ledger: AuditLedger, *, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def run(self) -> None:
        """Tell it now, and again a day later, until cancelled."""
        while True:
            await self.tell()
            await self._clock.sleep(DAY_SECONDS)

    async def tell(self) -> None:
        """Tell it now, unless nothing is on record yet. A ledger that cannot be read costs the
        line, not the daemon."""
        try:
            head = await self._ledger.head()
        except AmodalError as error:
            _log.warning("audit.head_unknown", error=error.message)
            return
        if head != Head():
            _log.info("audit.head", head=str(head))
