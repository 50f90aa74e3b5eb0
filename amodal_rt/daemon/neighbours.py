"""What other nodes say, and what is said to them."""

import asyncio
from collections.abc import Awaitable, Callable

from amodal_rt.clock import Clock
from amodal_rt.daemon.ledgers import Touch
from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.errors import AmodalError
from amodal_rt.logs import Log, Spell
from amodal_rt.ports import FACTS, OUTBOX, journal_topic

REREAD_SECONDS = 5.0
"""How often facts are read again without having been told to: a word may be lost."""

_JOURNALS = journal_topic("")
_log = Log("daemon")


class SharedSignals(ProcessSignals):
    """Signals of a process that may have neighbours: what concerns them is told to them too.

    That runs are pending is not: their dispatcher says it to one of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._tell: Callable[[str], None] | None = None

    def share(self, tell: Callable[[str], None]) -> None:
        """From now on, `tell` other nodes."""
        self._tell = tell

    def notify(self, topic: str) -> None:
        super().notify(topic)
        if self._tell is not None and (topic in (FACTS, OUTBOX) or topic.startswith(_JOURNALS)):
            self._tell(topic)

    def hear(self, topic: str) -> None:
        """Wake this process alone."""
        super().notify(topic)


class Neighbours:
    """Keeps in touch with other nodes. Facts that one of them changed are read before anybody
    here is told: who listens asks what this process knows."""

    def __init__(
        self,
        signals: SharedSignals,
        *,
        reread: Callable[[], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._signals = signals
        self._reread = reread
        self._clock = clock
        self._facts_changed = asyncio.Event()
        self._postponed = Spell(
            _log, clock, event="node.facts_postponed", over="node.facts_resumed"
        )

    def hear(self, topic: str) -> None:
        """What another node said."""
        if topic == FACTS:
            self._facts_changed.set()
        else:
            self._signals.hear(topic)

    async def run(self, touch: Touch) -> None:
        """Until cancelled."""
        self._signals.share(touch.tell)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(touch.run())
            tasks.create_task(self._follow_facts())
            tasks.create_task(self._look_again())

    async def _follow_facts(self) -> None:
        while True:
            await self._facts_changed.wait()
            self._facts_changed.clear()
            try:
                await self._reread()
                self._postponed.ended()
            except AmodalError as error:
                self._postponed.failed(code=error.code, error=error.message)
            self._signals.hear(FACTS)

    async def _look_again(self) -> None:
        while True:
            await self._clock.sleep(REREAD_SECONDS)
            self._facts_changed.set()
