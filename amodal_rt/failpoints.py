"""Named places at which a test may break the program.

`hit("delivery.after_send")` does nothing unless the environment armed that name:
`AMODAL_RT_FAILPOINTS="ledger.before_commit:3=kill,delivery.after_send=raise"`. The number
is the hit that fires (default 1); actions are `kill` (SIGKILL to this process), `raise`
(`FailpointError`), `sleep:MILLISECONDS` and `pause` (SIGSTOP). One stands before and one
after every commit, external effect and rename.
"""

import os
import signal
import time
from collections import Counter

from amodal_rt.errors import InternalError

VARIABLE = "AMODAL_RT_FAILPOINTS"


class FailpointError(InternalError):
    """Raised by an armed failpoint whose action is `raise`."""

    default_code = "failpoint"


_hits: Counter[str] = Counter()


def _parse(text: str) -> dict[str, tuple[int, str]]:
    armed: dict[str, tuple[int, str]] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        place, _, action = part.partition("=")
        name, _, nth = place.partition(":")
        armed[name] = (int(nth or 1), action)
    return armed


_armed = _parse(os.environ.get(VARIABLE, ""))


def hit(name: str) -> None:
    """Do what was armed for `name`, if anything was. Costs one truth test when nothing is armed."""
    if _armed:
        _fire(name)


def _fire(name: str) -> None:
    _hits[name] += 1
    armed = _armed.get(name)
    if armed is None or armed[0] != _hits[name]:
        return
    action, _, argument = armed[1].partition(":")
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "pause":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif action == "sleep":
        time.sleep(int(argument) / 1000)
    else:
        raise FailpointError(f"failpoint {name}")
