"""Rows of the journal, for whoever already stands in a transaction."""

from amodal_rt.domain.chain import digest_of
from amodal_rt.domain.run import OPEN
from amodal_rt.storage import sealing
from amodal_rt.storage.dialect import Raw

_LAST = "SELECT sequence, digest FROM journal WHERE run_id = ?1 ORDER BY sequence DESC LIMIT 1"
_APPEND = (
    "INSERT INTO journal (run_id, sequence, type, step, parent, attempt, at, data, digest)"  # noqa: S608  constants
    " SELECT ?1, COALESCE(last.sequence, 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7,"
    " linked(COALESCE(last.digest, '') || ?8)"
    f" FROM (SELECT 1 AS one) AS here LEFT JOIN ({_LAST}) AS last ON 1 = 1"
    " RETURNING sequence, digest, (SELECT status FROM runs WHERE id = ?1)"
)
_OPEN = frozenset(each.value for each in OPEN)

EntryRow = tuple[str, str, str | None, str | None, int, int, str | None]
"""Run, type, step, parent, attempt, instant in milliseconds, data as JSON."""


def append(raw: Raw, row: EntryRow) -> int:
    """Write an entry behind those that its run has; returns its sequence.

    The journal of a run that has ended is sealed, with its row as it stands: with the entry that
    tells so, and again with any that comes after it.
    """
    cursor = raw.execute(_APPEND, (*row, content(row)))
    sequence, digest, status = cursor.fetchone()
    # RETURNING ends only when its cursor is done; an open one would hold up the commit.
    cursor.close()
    if status is not None and status not in _OPEN:
        sealing.seal(raw, row[0], sequence, digest, row[5])
    return int(sequence)


def content(row: EntryRow) -> str:
    """The digest of an entry's own columns."""
    return digest_of(*row)
