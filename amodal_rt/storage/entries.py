"""Rows of the journal, for whoever already stands in a transaction."""

from amodal_rt.storage.dialect import Raw

_APPEND = (
    "INSERT INTO journal (run_id, sequence, type, step, parent, attempt, at, data)"
    " SELECT ?1, COALESCE(MAX(sequence), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7"
    " FROM journal WHERE run_id = ?1 RETURNING sequence"
)

EntryRow = tuple[str, str, str | None, str | None, int, int, str | None]
"""Run, type, step, parent, attempt, instant in milliseconds, data as JSON."""


def append(raw: Raw, row: EntryRow) -> int:
    """Write an entry behind those that its run has; returns its sequence."""
    cursor = raw.execute(_APPEND, row)
    sequence = int(cursor.fetchone()[0])
    # RETURNING ends only when its cursor is done; an open one would hold up the commit.
    cursor.close()
    return sequence
