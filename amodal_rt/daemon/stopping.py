"""How the daemon is asked to stop: once kindly, twice at once, and by the clock in the end."""

import asyncio
import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager

from amodal_rt.logs import Log

GRACE_SECONDS = 30.0
"""How long running runs may go on after the first request."""
MARGIN_SECONDS = 4.5
"""What stopping may take beside the grace period, before the process just ends."""
HURRY_SECONDS = 2.0
"""The same after the second request."""

_log = Log("daemon")


class Stopping:
    """Two requests to stop: `asked` after the first, `urgent` after the second.

    `bound` decides whether a stop that takes too long ends the process: the program that
    embeds a runtime keeps its life.
    """

    def __init__(self, *, bound: bool) -> None:
        self.asked = asyncio.Event()
        self.urgent = asyncio.Event()
        self._bound = bound
        self._timers: list[threading.Timer] = []

    def ask(self, reason: str) -> None:
        """The first call asks, the second urges."""
        if not self.asked.is_set():
            _log.info("daemon.stopping", reason=reason, grace_seconds=GRACE_SECONDS)
            self.asked.set()
            self._end_after(GRACE_SECONDS + MARGIN_SECONDS)
        elif not self.urgent.is_set():
            self.urge(reason)

    def urge(self, reason: str, *, seconds: float = HURRY_SECONDS) -> None:
        """No grace: what runs is interrupted."""
        _log.warning("daemon.stopping_now", reason=reason)
        self.asked.set()
        self.urgent.set()
        self._end_after(seconds)

    def over(self) -> None:
        """Everything is closed: nothing has to be ended by force, unless a thread hangs on.

        The interpreter would wait for such a thread at its exit, for ever.
        """
        main = threading.main_thread()
        if all(each.daemon or each is main for each in threading.enumerate()):
            for timer in self._timers:
                timer.cancel()

    @contextmanager
    def on_signals(self) -> Generator[None, None, None]:
        """SIGTERM and SIGINT ask, for as long as the block lasts."""
        loop = asyncio.get_running_loop()
        wanted = (signal.SIGTERM, signal.SIGINT)
        for each in wanted:
            loop.add_signal_handler(each, self.ask, each.name)
        try:
            yield
        finally:
            for each in wanted:
                loop.remove_signal_handler(each)

    def _end_after(self, seconds: float) -> None:
        if not self._bound:
            return
        # A thread, because a run that blocks the event loop would hold every other timer too.
        timer = threading.Timer(seconds, os._exit, (1,))
        timer.daemon = True
        timer.start()
        self._timers.append(timer)
