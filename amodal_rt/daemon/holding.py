"""What this node holds, told to the others: files may differ from machine to machine."""

import asyncio

from amodal_rt.clock import Clock
from amodal_rt.domain.holding import holdings
from amodal_rt.errors import AmodalError
from amodal_rt.logs import Log, Spell
from amodal_rt.ports import SNAPSHOT, Catalogue, NodeLedger, Signals

RETRY_SECONDS = 1.0

_log = Log("daemon")


class Holding:
    """Says which automations and schedules this node has, at start and with every snapshot."""

    def __init__(
        self, *, ledger: NodeLedger, catalogue: Catalogue, signals: Signals, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._catalogue = catalogue
        self._signals = signals
        self._clock = clock
        self._told: int | None = None
        self._away = Spell(_log, clock, event="node.ledger_away", over="node.ledger_back")

    async def tell(self) -> None:
        """Say what stands in the files now, unless it was said. Raises UnavailableError."""
        snapshot = self._catalogue.snapshot()
        if snapshot.version == self._told:
            return
        # Thousands of schedules must not hold up everything else.
        await self._ledger.hold(await asyncio.to_thread(holdings, snapshot))
        self._told = snapshot.version

    async def run(self) -> None:
        """Until cancelled."""
        with self._signals.listen(SNAPSHOT) as changed:
            while True:
                try:
                    await self.tell()
                except AmodalError as error:
                    self._away.failed(error=error.message)
                    await self._clock.sleep(RETRY_SECONDS)
                    continue
                self._away.ended()
                await changed()
