"""This daemon as one node of a cluster: it joins, renews its lease, and takes over from the dead.

A daemon that is alone with its ledger holds its lease for as long as it lives. Where several
share a database, each must renew its own in time. One that could not, because it was paused,
cut off or starved, lets go of all its runs without writing another word and begins a new
life: by then others may carry them.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol

from amodal_rt import __version__
from amodal_rt.clock import Clock
from amodal_rt.errors import AmodalError
from amodal_rt.failpoints import hit
from amodal_rt.logs import Log, Spell
from amodal_rt.ports import OUTBOX, RUNS_PENDING, NodeLedger, Outbox, Signals

LEASE = timedelta(seconds=6)
"""How long a node counts as living after its last renewal, by the database's clock."""
MARGIN_SECONDS = 1.0
"""How much earlier the node itself stops to trust its lease."""
RENEW_SECONDS = 1.0
LOOK_SECONDS = 0.25
"""How often the node looks whether it may still trust its lease."""
ALONE_SECONDS = 30.0
"""How often a daemon that is alone with its ledger says that it lives."""

_log = Log("daemon")


class LocalLease:
    """Implements `ports.Lease` by this machine's monotonic clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = float("-inf")

    def held(self) -> bool:
        return self._clock.monotonic() < self._until

    def hold(self, until: float) -> None:
        """Trust it until then."""
        self._until = until

    def drop(self) -> None:
        """Trust it no more."""
        self._until = float("-inf")


class MemberLedger(NodeLedger, Outbox, Protocol):
    """What membership needs of the ledger."""


class Carries(Protocol):
    """Who carries the runs of this node."""

    async def recover(self) -> None:
        """Settle the runs of nodes that are gone."""
        ...

    def abandon(self) -> None:
        """Let go of all runs without writing."""
        ...

    async def obey_cancels(self) -> None:
        """End the runs that somebody asked to end through another node."""
        ...


class Membership:
    """Keeps this daemon's place among the nodes. `shared` says whether the ledger's database
    can have other nodes at all."""

    def __init__(
        self,
        *,
        ledger: MemberLedger,
        lease: LocalLease,
        carries: Carries,
        signals: Signals,
        clock: Clock,
        shared: bool,
    ) -> None:
        self._ledger = ledger
        self._lease = lease
        self._carries = carries
        self._signals = signals
        self._clock = clock
        self._shared = shared
        self._joined = False

    async def join(self) -> None:
        """Begin a life. Raises UnavailableError."""
        began = self._clock.monotonic()
        hit("node.before_join")
        node = await self._ledger.join(
            host=socket.gethostname(), pid=os.getpid(), version=__version__, lease=LEASE
        )
        hit("node.after_join")
        self._joined = True
        self._trust(began)
        _log.info("node.joined", node=node)

    async def leave(self) -> None:
        """End this life at once, so that nobody waits for its lease to end. A ledger that
        cannot be reached is told nothing."""
        self._joined = False
        self._lease.drop()
        try:
            await self._ledger.leave()
        except AmodalError as error:
            _log.warning("node.leave_failed", error=error.message)

    async def keep(self) -> None:
        """Keep the place until cancelled."""
        # Beside each other: an answer of the database may take longer than the lease lasts,
        # and so may taking over hundreds of runs.
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._every(RENEW_SECONDS, self._renew))
            if self._shared:
                tasks.create_task(self._every(LOOK_SECONDS, self._look))
                tasks.create_task(self._every(RENEW_SECONDS, self._take_over))

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        away = Spell(_log, self._clock, event="node.ledger_away", over="node.ledger_back")
        while True:
            try:
                await work()
                away.ended()
            except AmodalError as error:
                away.failed(error=error.message)
            await self._clock.sleep(seconds if self._shared else ALONE_SECONDS)

    async def _renew(self) -> None:
        if not self._joined:
            await self.join()
            return
        began = self._clock.monotonic()
        hit("node.before_renew")
        renewed = await self._ledger.renew(lease=LEASE)
        hit("node.after_renew")
        if not self._joined:
            # Given up while the database did not answer: its runs were let go of.
            return
        if renewed:
            self._trust(began)
        else:
            self._lose("another node took this one for dead")
            await self.join()

    async def _look(self) -> None:
        if self._joined and not self._lease.held():
            self._lose("it was not renewed in time")

    async def _take_over(self) -> None:
        if not self._lease.held():
            return
        gone = await self._ledger.retire_lapsed()
        for node in gone:
            _log.warning("node.retired", node=node)
        if gone:
            # It may have been told of runs that it never came to claim.
            self._signals.notify(RUNS_PENDING)
        await self._carries.recover()
        await self._carries.obey_cancels()
        if await self._ledger.release_claims():
            self._signals.notify(OUTBOX)

    def _trust(self, began: float) -> None:
        # From before the question was asked: the answer may have been long under way.
        trusted = LEASE.total_seconds() - MARGIN_SECONDS
        self._lease.hold(began + trusted if self._shared else float("inf"))

    def _lose(self, why: str) -> None:
        _log.error("node.lease_lost", node=self._ledger.node_id, why=why)
        self._joined = False
        self._lease.drop()
        self._carries.abandon()
