"""What waits is withdrawn when its automation goes away or its file pauses it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from amodal_rt.clock import Clock
from amodal_rt.domain.automation import Lifecycle
from amodal_rt.domain.run import RunStatus
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.logs import Log
from amodal_rt.ports import (
    Caller,
    CanRun,
    NodeLedger,
    RunFilter,
    RunLedger,
    Signals,
    VersionedCatalogue,
    journal_topic,
)

AWAY = timedelta(hours=1)
"""How long a node that is away may come back with a file that this one does not have."""
AGAIN_SECONDS = 15.0
"""How often is asked whether another node still has what was deleted here."""

_DELETED = "the file was deleted"
_CALLER = Caller(actor="workspace", door="file")
_log = Log("engine")


class WithdrawalLedger(RunLedger, NodeLedger, Protocol):
    """What withdrawing needs of the ledger."""


class Withdrawals:
    """Follows the snapshots and cancels the pending runs of what just went out of service,
    or did while no daemon ran.

    What a person starts on a paused automation afterwards is not touched, nor what another
    node can run, because it has the file.
    """

    def __init__(
        self,
        *,
        ledger: WithdrawalLedger,
        catalogue: VersionedCatalogue,
        signals: Signals,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._catalogue = catalogue
        self._signals = signals
        self._clock = clock
        self._seen: Snapshot | None = None
        self._owed: dict[str, str] = {}
        self._unknown: dict[str, float] = {}
        """Automations without a file here of which something waits, and since when."""
        self._asked_at = float("-inf")

    async def look(self) -> None:
        """Compare the newest snapshot with the one seen before."""
        snapshot, before = self._catalogue.snapshot(), self._seen
        if before is not snapshot:
            gone = _gone_out(before, snapshot) if before else await self._missed(snapshot)
            self._owed |= gone
            self._seen, self._asked_at = snapshot, float("-inf")
        self._owe_unknown(snapshot)
        if self._owed and self._clock.monotonic() - self._asked_at >= AGAIN_SECONDS:
            await self._settle(snapshot)
            # Only now: what the ledger refused is asked for again at the next look.
            self._asked_at = self._clock.monotonic()

    def runs_here(self, snapshot: Snapshot) -> CanRun:
        """What the ledger asks when it claims. A run may come back to the queue after its file
        was deleted, to be tried again or because its node is gone: nobody would ever end it."""

        def can_run(name: str, rehearse: bool) -> bool:
            if name not in snapshot.automations:
                self._unknown.setdefault(name, self._clock.monotonic())
            return snapshot.can_run(name, rehearse)

        return can_run

    def _owe_unknown(self, snapshot: Snapshot) -> None:
        at = self._clock.monotonic()
        for name, since in list(self._unknown.items()):
            # A node with a new file accepts runs of it a moment before it says what it holds.
            if at - since >= AGAIN_SECONDS or name in snapshot.automations:
                self._unknown.pop(name, None)
                if name not in snapshot.automations:
                    self._owed.setdefault(name, _DELETED)

    async def _missed(self, snapshot: Snapshot) -> dict[str, str]:
        """What its file holds back since before this process saw its first snapshot."""
        wanted = RunFilter(status=RunStatus.PENDING, limit=2 * snapshot.settings.limits.queue)
        versions: dict[str, set[str]] = {}
        for run in await self._ledger.list_runs(wanted):
            versions.setdefault(run.automation, set()).add(run.definition)
        held = _held(snapshot)
        missed: dict[str, str] = {}
        for name, hashes in versions.items():
            if name not in snapshot.automations:
                self._unknown.setdefault(name, self._clock.monotonic())
            elif name in held and await self._was_active(name, hashes):
                missed[name] = held[name]
        return missed

    async def _was_active(self, name: str, hashes: set[str]) -> bool:
        """Whether something waits since before the file held it back: a person may start what
        is paused, and such a run names the paused version."""
        for each in hashes:
            version = await self._catalogue.find_version(name, each)
            if version and version.automation.status is Lifecycle.ACTIVE:
                return True
        return False

    async def _settle(self, snapshot: Snapshot) -> None:
        elsewhere: Mapping[str, object] = {}
        if _DELETED in self._owed.values():
            elsewhere = await self._ledger.held_by_others(seen_within=AWAY)
        held = _held(snapshot)
        for name, rule in list(self._owed.items()):
            there = name in snapshot.automations if rule == _DELETED else name not in held
            if not there:
                if rule == _DELETED and name in elsewhere:
                    continue
                await self._withdraw(name, rule)
            del self._owed[name]

    async def _withdraw(self, name: str, rule: str) -> None:
        cancelled = await self._ledger.cancel_pending(
            name, rule=rule, caller=_CALLER, at=self._clock.now()
        )
        for run_id in cancelled:
            _log.info("run.cancelled", run=run_id, automation=name, rule=rule)
            self._signals.notify(journal_topic(run_id))


def _gone_out(before: Snapshot, snapshot: Snapshot) -> dict[str, str]:
    """What ran by `before` and is held back or deleted by `snapshot`, with the reason."""
    held = _held(before)
    gone = {
        name: rule
        for name, rule in _held(snapshot).items()
        if name in before.automations and name not in held
    }
    deleted = before.automations.keys() - snapshot.automations.keys()
    return gone | dict.fromkeys(deleted, _DELETED)


def _held(snapshot: Snapshot) -> dict[str, str]:
    """Automations that their files hold back, with the line that does."""
    return {
        name: f"status {state.definition.automation.status} in {state.definition.place('/status')}"
        for name, state in snapshot.automations.items()
        if state.definition and state.definition.automation.status is not Lifecycle.ACTIVE
    }
