"""A folder of definitions that changes, and a ledger that remembers what was live."""

import json
from pathlib import Path

from amodal_rt.clock import SystemClock
from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.storage.sqlite import SqliteLedger
from amodal_rt.workspace.service import Workspace


class House:
    """A folder, a ledger, and the workspace that reads the one and remembers in the other."""

    def __init__(self, root: Path, ledger: SqliteLedger) -> None:
        self.root, self.ledger = root, ledger
        self.workspace = self._open()

    def write(self, file: str, content: object) -> None:
        path = self.root / file
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))

    async def start(self) -> Snapshot:
        self.workspace = self._open()
        await self.workspace.load()
        return self.workspace.snapshot()

    async def look(self) -> Snapshot:
        await self.workspace.reload()
        return self.workspace.snapshot()

    def _open(self) -> Workspace:
        return Workspace(
            self.root,
            archive=self.ledger,
            signals=ProcessSignals(),
            clock=SystemClock(),
            process_env={},
        )
