"""Whether a target is worth a try: pure rules over what became of the tries so far."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

WINDOW = timedelta(minutes=10)
"""How far back tries count for the share of failures."""
FEWEST, SHARE = 10, 0.5
"""From so many tries in the window on, more failures than this share open the breaker."""
IN_A_ROW = 5
"""So many failures one after another open it, however few tries there were."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=60), timedelta(minutes=15)
"""How long an open breaker waits before a trial; each trial that fails doubles it."""
TRIAL = timedelta(seconds=15)
"""How long a trial may be under way before another may begin: its sender may have died."""
PATIENCE, LEAST_TRIES = timedelta(days=5), 10
"""Nothing but failure for so long, over at least so many tries, disables the target."""
_REMEMBERED = 50


class Health(StrEnum):
    """What one try says about the target: it took the message, did not, or never will."""

    GOOD = "good"
    BAD = "bad"
    GONE = "gone"


class BreakerState(StrEnum):
    """CLOSED lets all through, OPEN none before `open_until`, HALF_OPEN has its one trial
    under way, DISABLED lets none through until a person or the configuration changes that."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """A target that failed lately. A target without one is well.

    `target` is `Target.key`; `address` tells whether a URL that stands in a variable is still
    the one that failed. `tries` are those in the window, oldest first, True for a good one.
    `opened` counts the pauses in a row, `failing_since` is the first failure since the last
    good try. `error` is the newest.
    """

    target: str
    label: str
    state: BreakerState
    changed_at: datetime
    open_until: datetime | None = None
    opened: int = 0
    failing_since: datetime | None = None
    consecutive: int = 0
    tries: tuple[tuple[datetime, bool], ...] = ()
    error: str | None = None
    address: str | None = None

    def holds(self, now: datetime) -> bool:
        """Whether nothing may be sent now."""
        if self.state is BreakerState.DISABLED:
            return True
        if self.state is BreakerState.CLOSED or self.open_until is None:
            return False
        # A clock that was set back must not keep a target closed until it has caught up.
        return now < self.open_until <= now + LONGEST_PAUSE

    def sentence(self) -> str:
        """Why its messages wait, or are not sent."""
        because = f": {self.error}" if self.error else ""
        if self.state is BreakerState.DISABLED:
            return f"the target is disabled{because}"
        return f"waits, as the target keeps failing{because}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One try at a target, as its breaker sees it."""

    target: str
    label: str
    health: Health
    at: datetime
    error: str | None = None
    address: str | None = None


def after(known: Breaker | None, tried: Try) -> Breaker | None:
    """The breaker once `tried` is over; None when nothing speaks against the target."""
    recent = _recent(known, tried)
    if tried.health is Health.GOOD:
        return _after_good(known, recent)
    closed = Breaker(
        target=tried.target, label=tried.label, state=BreakerState.CLOSED, changed_at=tried.at
    )
    breaker = replace(
        known or closed,
        label=tried.label,
        failing_since=(known and known.failing_since) or tried.at,
        consecutive=(known.consecutive if known else 0) + 1,
        tries=recent,
        error=tried.error,
        address=tried.address,
    )
    if breaker.state is BreakerState.DISABLED:
        return breaker
    if tried.health is Health.GONE or _is_hopeless(breaker, tried.at):
        return replace(breaker, state=BreakerState.DISABLED, changed_at=tried.at, open_until=None)
    if breaker.state is BreakerState.HALF_OPEN or _is_too_much(breaker):
        return _opened(breaker, tried.at)
    return breaker


def on_trial(breaker: Breaker, now: datetime) -> Breaker:
    """The breaker while one message is tried; if nothing is heard of it, the next may be."""
    return replace(breaker, state=BreakerState.HALF_OPEN, changed_at=now, open_until=now + TRIAL)


def _recent(known: Breaker | None, tried: Try) -> tuple[tuple[datetime, bool], ...]:
    before = known.tries if known else ()
    kept = [each for each in before if abs(tried.at - each[0]) < WINDOW]
    return (*kept, (tried.at, tried.health is Health.GOOD))[-_REMEMBERED:]


def _after_good(known: Breaker | None, recent: tuple[tuple[datetime, bool], ...]) -> Breaker | None:
    if known is None or known.state is not BreakerState.CLOSED:
        return None
    if all(good for _, good in recent):
        return None
    return replace(known, tries=recent, consecutive=0, failing_since=None)


def _is_too_much(breaker: Breaker) -> bool:
    if breaker.state is not BreakerState.CLOSED:
        return False
    failed = sum(not good for _, good in breaker.tries)
    often = len(breaker.tries) >= FEWEST and failed > SHARE * len(breaker.tries)
    return often or breaker.consecutive >= IN_A_ROW


def _is_hopeless(breaker: Breaker, at: datetime) -> bool:
    since = breaker.failing_since
    return since is not None and at - since >= PATIENCE and breaker.consecutive >= LEAST_TRIES


def _opened(breaker: Breaker, at: datetime) -> Breaker:
    pause = min(FIRST_PAUSE * 2 ** min(breaker.opened, 10), LONGEST_PAUSE)
    return replace(
        breaker,
        state=BreakerState.OPEN,
        changed_at=at,
        opened=breaker.opened + 1,
        open_until=at + pause,
    )
