"""What waits is withdrawn when its automation goes away or its file pauses it."""

from amodal_rt.clock import Clock
from amodal_rt.domain.automation import Lifecycle
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.logs import Log
from amodal_rt.ports import Caller, Catalogue, RunLedger, Signals, journal_topic

_CALLER = Caller(actor="workspace", door="file")
_log = Log("engine")


class Withdrawals:
    """Follows the snapshots and cancels the pending runs of what just went out of service.

    What a person starts on a paused automation afterwards is not touched.
    """

    def __init__(
        self, *, ledger: RunLedger, catalogue: Catalogue, signals: Signals, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._catalogue = catalogue
        self._signals = signals
        self._clock = clock
        self._seen: Snapshot | None = None

    async def look(self) -> None:
        """Compare the newest snapshot with the one seen before."""
        snapshot, before = self._catalogue.snapshot(), self._seen
        if before is snapshot:
            return
        if before is not None:
            held = _held(before)
            for name, rule in _held(snapshot).items():
                if name in before.automations and name not in held:
                    await self._withdraw(name, rule)
            for name in before.automations.keys() - snapshot.automations.keys():
                await self._withdraw(name, "the file was deleted")
        # Only now: what the ledger refused is asked for again at the next look.
        self._seen = snapshot

    async def _withdraw(self, name: str, rule: str) -> None:
        cancelled = await self._ledger.cancel_pending(
            name, rule=rule, caller=_CALLER, at=self._clock.now()
        )
        for run_id in cancelled:
            _log.info("run.cancelled", run=run_id, automation=name, rule=rule)
            self._signals.notify(journal_topic(run_id))


def _held(snapshot: Snapshot) -> dict[str, str]:
    """Automations that their files hold back, with the line that does."""
    return {
        name: f"status {state.definition.automation.status} in {state.definition.place('/status')}"
        for name, state in snapshot.automations.items()
        if state.definition and state.definition.automation.status is not Lifecycle.ACTIVE
    }
