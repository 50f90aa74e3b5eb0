"""Whether this daemon takes work right now, and in plain words why it does not."""

from typing import Protocol

from amodal_rt.clock import Clock
from amodal_rt.errors import AmodalError
from amodal_rt.logs import Log, Spell
from amodal_rt.ports import ConditionLedger, Lease

PROVE_SECONDS = 1.0
"""How often a ledger that refused a write is tried again, and how late it is known that it
takes them again."""

_log = Log("daemon")


class ProvableLedger(ConditionLedger, Protocol):
    """A ledger that says why it refused the last write."""

    @property
    def unwritable(self) -> AmodalError | None:
        """None while what is written is durable."""
        ...


class Readiness:
    """What `/readyz`, and `ready` and `degraded` of `GET /v1/status`, say of this daemon."""

    def __init__(self, *, ledger: ProvableLedger, lease: Lease, clock: Clock) -> None:
        self._ledger = ledger
        self._lease = lease
        self._clock = clock
        self._serving = False
        self._refusing = Spell(_log, clock, event="ledger.unwritable", over="ledger.writable")

    def begin(self) -> None:
        """Every part runs."""
        self._serving = True

    def end(self) -> None:
        """The first part is about to stop."""
        self._serving = False

    def why_not(self) -> str | None:
        """Why nothing should be sent here, in one sentence; None while it is ready."""
        if not self._serving:
            return "the daemon starts or stops"
        refused = self._ledger.unwritable
        if refused is not None:
            return refused.message
        return None if self._lease.held() else "this node could not renew its lease"

    @property
    def degraded(self) -> tuple[str, ...]:
        """What keeps the ledger from taking writes, with what to do about it, if anything does."""
        refused = self._ledger.unwritable
        if refused is None:
            return ()
        return (": ".join(filter(None, (refused.message, refused.hint))),)

    async def prove(self) -> None:
        """After a write that was refused, try one every second until one is taken; until
        cancelled. Where nobody sends anything to a daemon that is not ready, nothing else
        would show that it is again."""
        while True:
            await self._clock.sleep(PROVE_SECONDS)
            if self._ledger.unwritable is not None:
                await self._prove()
            if self._ledger.unwritable is None:
                # Another write may have come through before ours was tried.
                self._refusing.ended()

    async def _prove(self) -> None:
        try:
            await self._ledger.prove_writable(self._clock.now())
        except AmodalError as error:
            self._refusing.failed(error=error.message, hint=error.hint)
