"""Named places at which a test may break the program.

`hit("delivery.after_send")` does nothing unless the environment armed it:
`AMODAL_RT_FAILPOINTS="ledger.before_commit:3=kill,delivery.after_send=raise"`. The number
is the hit that fires (default 1), counted for each name since the process began; actions are
`kill` (SIGKILL to this process), `raise` (`FailpointError`), `sleep:MILLISECONDS` and `pause`
(SIGSTOP). `AMODAL_RT_FAILPOINTS_LOG=FILE` appends a line `NAME:NUMBER` for every hit. One
stands before and one after every commit, external effect and rename.
"""

import os
import signal
import threading
import time
from collections import Counter

from amodal_rt.errors import InternalError

VARIABLE = "AMODAL_RT_FAILPOINTS"
LOG_VARIABLE = "AMODAL_RT_FAILPOINTS_LOG"
ACTIONS = ("kill", "raise", "sleep", "pause")


class FailpointError(InternalError):
    """Raised by an armed failpoint whose action is `raise`, and for words that arm nothing."""

    default_code = "failpoint"


class _Armed:
    """What the environment asked for, and how often each place was passed."""

    def __init__(self, armed: dict[tuple[str, int], str], log: str | None) -> None:
        self._armed = armed
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if log else None
        self._hits: Counter[str] = Counter()
        self._lock = threading.Lock()

    def fire(self, name: str) -> None:
        with self._lock:
            self._hits[name] += 1
            nth = self._hits[name]
            if self._log is not None:
                # One write, before anything is done: the line of a place that kills is there.
                os.write(self._log, f"{name}:{nth}\n".encode())
        action = self._armed.get((name, nth))
        if action is not None:
            _act(name, action)


def _act(name: str, action: str) -> None:
    kind, _, argument = action.partition(":")
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "pause":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif kind == "sleep":
        time.sleep(int(argument) / 1000)
    else:
        raise FailpointError(f"failpoint {name}")


def _parse(text: str) -> dict[tuple[str, int], str]:
    armed: dict[tuple[str, int], str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        place, _, action = part.partition("=")
        name, _, nth = place.partition(":")
        kind, _, argument = action.partition(":")
        understood = kind in ACTIONS and (kind != "sleep" or _is_count(argument))
        if not understood or (nth and not _is_count(nth)):
            raise FailpointError(f"{VARIABLE}: {part!r} does not say one of {', '.join(ACTIONS)}")
        armed[name, int(nth or 1)] = action
    return armed


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _from_environment() -> _Armed | None:
    armed, log = _parse(os.environ.get(VARIABLE, "")), os.environ.get(LOG_VARIABLE)
    return _Armed(armed, log) if armed or log else None


_armed = _from_environment()


def hit(name: str) -> None:
    """Do what was armed for `name`, if anything was. Costs one comparison when nothing is armed."""
    if _armed is not None:
        _armed.fire(name)
