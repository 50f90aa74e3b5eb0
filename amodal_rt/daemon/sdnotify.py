"""Tells systemd how the daemon is doing: sd_notify(3), one datagram a message."""

import os
import socket
from collections.abc import Mapping

from amodal_rt.clock import Clock
from amodal_rt.logs import Log

_log = Log("daemon")


class Systemd:
    """The supervisor that `NOTIFY_SOCKET` names; silent where there is none."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET") or None
        self.watchdog_seconds = _watchdog(environment)

    def ready(self, status: str) -> None:
        """Every door listens."""
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def stopping(self) -> None:
        """No new work is taken."""
        self._send("STOPPING=1\nSTATUS=letting runs finish")

    async def watch(self, clock: Clock) -> None:
        """Prove twice in each interval that the event loop turns; returns where nobody asks."""
        if self.watchdog_seconds is None:
            return
        while True:
            self._send("WATCHDOG=1")
            await clock.sleep(self.watchdog_seconds / 2)

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        # A leading @ is how an abstract address is written in a variable.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(message.encode(), address)
        except OSError as error:
            _log.warning("daemon.notify_failed", error=str(error))


def _watchdog(environment: Mapping[str, str]) -> float | None:
    text = environment.get("WATCHDOG_USEC", "")
    pid = environment.get("WATCHDOG_PID")
    # The variables are inherited by children, who must not answer for their parent.
    if not text.isdigit() or int(text) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(text) / 1_000_000


def _line(text: str) -> str:
    return text.replace("\n", " ")
