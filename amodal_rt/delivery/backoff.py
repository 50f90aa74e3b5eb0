"""What an answer says about the next attempt, and when that is."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

DELAYS = tuple(
    timedelta(seconds=seconds) for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 21_600)
)
"""The pause after the first, second … attempt; the last one stands for all later ones."""
JITTER = 0.2
LONGEST_PAUSES = (timedelta(0), *(each * (1 + JITTER) for each in DELAYS))
"""The longest pause after no, one, two … attempts that no target asked for."""
LONGEST_FOR_ALERTS = timedelta(minutes=15)
"""No alert waits longer for its next attempt, unless its target asks for that."""
UNHEARD_PAUSE = timedelta(minutes=5)
"""How long an alert that nobody heard of waits the first times that it is owed again."""
FEW = 2
"""How many attempts an answer gets that will hardly change."""
_SHORTEST, _LONGEST = timedelta(seconds=1), timedelta(hours=24)
# The last attempt is made this long before the message expires, unless that would be at once.
_LAST_CALL = timedelta(minutes=1)
_WORTH_WAITING = timedelta(minutes=30)
_PASSING = frozenset({408, 425, 429})


class Verdict(StrEnum):
    """What an HTTP status says."""

    DELIVERED = "delivered"
    PASSING = "passing"
    UNLIKELY = "unlikely"
    GONE = "gone"


def verdict(status: int) -> Verdict:
    """2xx arrived; 408, 425, 429 and 5xx may pass; 410 is final; all else is unlikely to change.

    Redirects belong to the last kind: they are not followed.
    """
    if 200 <= status < 300:
        return Verdict.DELIVERED
    if status in _PASSING or status >= 500:
        return Verdict.PASSING
    return Verdict.GONE if status == 410 else Verdict.UNLIKELY


def next_try(
    attempts: int,
    *,
    now: datetime,
    expires_at: datetime,
    fraction: float,
    retry_after: timedelta | None = None,
    longest: timedelta | None = None,
) -> datetime | None:
    """When to try again after `attempts` tries, or None when the message expires first.

    `fraction` in [0, 1) spreads the pause by ±20 %; with `longest` it is no longer than that.
    `retry_after` replaces the pause, is not spread, and is never undercut. One last attempt is
    made just before the expiry.
    """
    if retry_after is not None:
        wanted = now + min(max(retry_after, _SHORTEST), _LONGEST)
        return wanted if wanted < expires_at else None
    delay = DELAYS[min(attempts, len(DELAYS)) - 1] * (1 - JITTER + 2 * JITTER * fraction)
    wanted = now + (delay if longest is None else min(delay, longest))
    if wanted < expires_at:
        return wanted
    return expires_at - _LAST_CALL if expires_at - now > _WORTH_WAITING else None


def unheard_pause(tries: int) -> timedelta:
    """How long an alert waits that was given up after so many tries and is owed all the same."""
    return UNHEARD_PAUSE if tries <= FEW else LONGEST_FOR_ALERTS


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """The pause that `Retry-After` asks for (seconds or an HTTP date); None when unclear."""
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=int(text[:9]))
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
