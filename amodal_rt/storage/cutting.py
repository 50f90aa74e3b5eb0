"""The chain of seals let go of from its beginning, so that what is left can still be checked.

The trail says first up to which seal, with that seal's digest: from there on the chain is followed.
Runs that are kept longer are sealed anew, at the end; those that go though their seal stays are
sealed as forgotten.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from amodal_rt.clock import from_millis, iso, to_millis
from amodal_rt.domain.chain import Link
from amodal_rt.ports import Caller
from amodal_rt.storage import sealing
from amodal_rt.storage.dialect import Listed, driver

RETENTION = Caller(actor="amodal-rt", door="retention")
PAGE = 100
"""Seals that are written in one transaction at most."""

_FIRST_LATER = "SELECT number FROM seals WHERE at >= ? ORDER BY number LIMIT 1"
_BEFORE = "SELECT number, digest FROM seals WHERE number < ? ORDER BY number DESC LIMIT 1"
_LAST = "SELECT MAX(number) FROM seals"
_STAYS = (
    "(EXISTS (SELECT 1 FROM runs WHERE runs.id = seals.subject)"
    " OR EXISTS (SELECT 1 FROM outbox WHERE outbox.id = seals.subject))"
    " AND NOT EXISTS (SELECT 1 FROM seals AS later"
    " WHERE later.subject = seals.subject AND later.number > seals.number)"
)
_STAYING = (
    "SELECT number FROM seals WHERE number > ? AND number <= ?"  # noqa: S608  constants
    f" AND {_STAYS} ORDER BY number LIMIT ?"
)
_OLD = (
    "SELECT kind, subject, entries, head, facts FROM seals"  # noqa: S608  constants
    f" WHERE number = ? AND {_STAYS}"
)
_NEWEST = (
    "SELECT seals.subject, seals.number, seals.kind FROM seals"
    " WHERE seals.number IN (SELECT MAX(number) FROM seals"
    " WHERE subject IN (SELECT value FROM json_each(?)) GROUP BY subject)"
)


def declared(before: int, now: datetime) -> Callable[[Connection], Link]:
    """Say in the trail that the seals of runs that ended before `before` go; the last of them, or
    the last that was said so of, where there is none."""

    def work(connection: Connection) -> Link:
        raw = driver(connection)
        cut = sealing.cut_of(raw)
        later = raw.execute(_FIRST_LATER, (before,)).fetchone()
        bound = later[0] if later else (raw.execute(_LAST).fetchone()[0] or 0) + 1
        found = raw.execute(_BEFORE, (bound,)).fetchone()
        if found is None or found[0] <= cut.place:
            return cut
        link = Link(*found)
        told = {
            "through": link.place,
            "digest": link.digest,
            "seals": link.place - cut.place,
            "before": iso(from_millis(before)),
        }
        sealing.note(raw, sealing.CUT, sealing.CHAIN, RETENTION, now, told)
        return link

    return work


def unsaid(run_ids: Sequence[str], cut: Link) -> Callable[[Connection], list[str]]:
    """Which of the runs are sealed, and neither `cut` nor a seal says that they are kept no
    longer."""

    def look(connection: Connection) -> list[str]:
        rows = driver(connection).execute(_NEWEST, (Listed(run_ids),)).fetchall()
        return [
            run_id
            for run_id, number, kind in rows
            if number > cut.place and kind != sealing.FORGOTTEN
        ]

    return look


def forgotten(run_ids: Sequence[str], cut: Link, now: datetime) -> Callable[[Connection], None]:
    """Seal these of the runs as kept no longer."""
    look = unsaid(run_ids, cut)

    def work(connection: Connection) -> None:
        for run_id in look(connection):
            sealing.forget(driver(connection), run_id, to_millis(now))

    return work


def staying(after: int, cut: Link) -> Callable[[Connection], list[int]]:
    """The next numbers, behind `after`, of seals that are to go of runs that stay."""

    def look(connection: Connection) -> list[int]:
        rows = driver(connection).execute(_STAYING, (after, cut.place, PAGE))
        return [number for (number,) in rows.fetchall()]

    return look


def renewed(numbers: Sequence[int], now: datetime) -> Callable[[Connection], None]:
    """Repeat these seals at the end of the chain, unless they were by now."""

    def work(connection: Connection) -> None:
        raw = driver(connection)
        for number in numbers:
            found = raw.execute(_OLD, (number,)).fetchone()
            if found is not None:
                sealing.repeat(raw, found, to_millis(now))

    return work
