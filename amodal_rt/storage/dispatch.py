"""Which of several nodes looks for pending runs: pgqueuer hands each wake-up to one of them.

The transaction that makes runs pending leaves a job behind; one node receives it, at once by
LISTEN/NOTIFY, and has its engine look. What may start is the ledger's to say: a lost or
needless job costs one look. So the tables of pgqueuer need not survive a crash of the server.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import psycopg
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from pgqueuer.db import PsycopgDriver, SyncPsycopgDriver
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Job
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries, SyncQueries

from amodal_rt.clock import Clock
from amodal_rt.failpoints import hit
from amodal_rt.storage.admission import Admission

ENTRYPOINT = "amodal_rt.look"
_PAUSE_SECONDS = 0.25
_LOST = timedelta(seconds=10)
"""When a job is given to another node after its own fell silent."""
_LOOK = timedelta(seconds=10)
_CLEAN_SECONDS = 600.0


class DispatchedAdmission(Admission):
    """Counts what becomes pending, and leaves a job when something did."""

    def __init__(self) -> None:
        super().__init__(shared=True)
        self._grown = False

    def grew(self, runs: int = 1) -> None:
        super().grew(runs)
        self._grown = self._grown or runs > 0

    def enqueue(self, raw: psycopg.Connection[Any]) -> None:
        """At the end of each transaction, within it."""
        if self._grown:
            SyncQueries(SyncPsycopgDriver(raw)).enqueue(ENTRYPOINT, None)
            # After a rollback the works are run again, and grow again.
            self._grown = False


async def install(way: Mapping[str, Any]) -> None:
    """Make or bring up to date what pgqueuer keeps. Several nodes may do so at once."""
    async with _queries(way) as queries, queries.schema_lock():
        hit("dispatch.before_install")
        if not await queries.schema_is_installed():
            await queries.install()
        hit("dispatch.after_install")
    async with _queries(way) as queries:
        await queries.upgrade()


class Dispatcher:
    """Receives jobs for this node, until its connection breaks."""

    def __init__(
        self,
        way: Mapping[str, Any],
        *,
        may_act: Callable[[], bool],
        look: Callable[[], None],
        clock: Clock,
    ) -> None:
        """`look` wakes this node's engine."""
        self._way = way
        self._may_act = may_act
        self._look = look
        self._clock = clock

    async def receive(self) -> None:
        """Returns when this node may not act; raises what the connection breaks with."""
        while not self._may_act():
            await self._clock.sleep(_PAUSE_SECONDS)
        async with _queries(self._way) as queries:
            manager = QueueManager(queries)

            async def received(_: Job) -> None:
                if not self._may_act():
                    # Back at once, and to another: this one takes no more.
                    manager.shutdown.set()
                    raise RetryRequested(reason="this node may not act right now")
                self._look()

            manager.entrypoint(ENTRYPOINT)(received)
            try:
                await manager.run(
                    dequeue_timeout=_LOOK,
                    heartbeat_timeout=_LOST,
                    # Nobody reads its statistics: the runs tell more.
                    log_aggregation_interval=timedelta(0),
                    shutdown_on_listener_failure=True,
                )
            finally:
                manager.shutdown.set()

    async def clean(self) -> None:
        """Forget what pgqueuer noted of jobs that are done, every ten minutes."""
        while True:
            await self._clock.sleep(_CLEAN_SECONDS)
            async with _queries(self._way) as queries:
                await queries.clear_queue_log(ENTRYPOINT)


@asynccontextmanager
async def _queries(way: Mapping[str, Any]) -> AsyncGenerator[Queries, None]:
    connection = await psycopg.AsyncConnection.connect(autocommit=True, **way)
    async with connection:
        settings = DBSettings(durability=Durability.volatile)
        yield Queries(PsycopgDriver(connection), qbe=QueryBuilderEnvironment(settings))
