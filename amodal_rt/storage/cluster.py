"""What a node does beside its writes to be one of several on a database."""

import asyncio
from collections.abc import Awaitable, Callable

import psycopg

from amodal_rt.clock import Clock
from amodal_rt.logs import Log
from amodal_rt.ports import EVENTS, FACTS, OUTBOX, RUNS_PENDING
from amodal_rt.storage.dispatch import Dispatcher
from amodal_rt.storage.postgres import PostgresLedger
from amodal_rt.storage.wakeups import Wakeups

_RETRY_SECONDS = 1.0

_log = Log("ledger")


class Cluster:
    """Keeps this node in touch with the others for as long as `run` runs."""

    def __init__(
        self,
        ledger: PostgresLedger,
        *,
        sender: str,
        hear: Callable[[str], None],
        may_act: Callable[[], bool],
        clock: Clock,
    ) -> None:
        """`hear` notifies this process alone; `may_act` says whether its lease is held."""
        self._clock = clock
        self._hear = hear
        self._wakeups = Wakeups(
            ledger.way, sender=sender, hear=hear, missed=self._look_around, clock=clock
        )
        self._dispatcher = Dispatcher(
            ledger.way, may_act=may_act, look=lambda: hear(RUNS_PENDING), clock=clock
        )

    def tell(self, topic: str) -> None:
        """Wake what waits for `topic` on other nodes."""
        self._wakeups.tell(topic)

    async def run(self) -> None:
        """Until cancelled. What breaks with its connection begins again with another."""
        async with asyncio.TaskGroup() as tasks:
            for work in (
                self._wakeups.listen,
                self._wakeups.speak,
                self._dispatcher.receive,
                self._dispatcher.clean,
            ):
                tasks.create_task(self._again(work))

    async def _again(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001  of the database, or of pgqueuer about it
                _log.warning("cluster.apart", work=work.__name__, error=_said(error))
            await self._clock.sleep(_RETRY_SECONDS)

    def _look_around(self) -> None:
        for topic in (RUNS_PENDING, OUTBOX, FACTS, EVENTS):
            self._hear(topic)


def _said(error: BaseException) -> str:
    """What went wrong, without what a driver may repeat of its URL."""
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    return f"{type(error).__name__} {state}" if state else type(error).__name__
