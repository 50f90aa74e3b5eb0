"""The audit trail and the writes of runs, one list: `ports.AuditLedger.trail`."""

from collections.abc import Iterator

from amodal_rt.clock import from_millis, to_millis
from amodal_rt.domain.journal import UNSHOWN
from amodal_rt.domain.trail import TrailFilter, TrailRow
from amodal_rt.storage.dialect import Raw, Scalar
from amodal_rt.storage.rows import loaded
from amodal_rt.storage.tables import ON_TRAIL

RUN_DOOR = "run"
"""The door of what runs do by themselves."""

_NOTES = "SELECT at, action, subject, actor, door, data FROM audit"
_OF_RUN = "(subject = ? OR data LIKE ?)"
_OF_AUTOMATION = (
    "(subject = ? OR data LIKE ? OR subject IN (SELECT id FROM runs WHERE automation = ?))"
)
_SETTLED = (
    "SELECT seals.at, outbox.id, outbox.status, outbox.run_id, outbox.automation, outbox.kind,"
    " outbox.target, outbox.attempts, outbox.last_error FROM seals JOIN outbox"
    " ON outbox.id = seals.subject AND outbox.finished_at = seals.at"
    " WHERE seals.kind = 'delivery'"
)
_ENTRIES = (
    "SELECT at, type, run_id, automation, step, data, sequence FROM journal{hint}"
    " JOIN runs ON runs.id = journal.run_id"
)


def trail_rows(raw: Raw, wanted: TrailFilter) -> list[TrailRow]:
    """The rows that are meant, newest first."""
    found = [*_notes(raw, wanted), *_entries(raw, wanted), *_deliveries(raw, wanted)]
    # Each list is in its own order already: of one instant that order stays.
    found.sort(key=lambda row: row.at, reverse=True)
    return found[: wanted.limit]


def _notes(raw: Raw, wanted: TrailFilter) -> Iterator[TrailRow]:
    conditions, values = list[str](), list[Scalar]()
    if wanted.since is not None:
        conditions.append("at >= ?")
        values.append(to_millis(wanted.since))
    if wanted.run_id is not None:
        conditions.append(_OF_RUN)
        values += [wanted.run_id, _named("run_id", wanted.run_id)]
    if wanted.automation is not None:
        conditions.append(_OF_AUTOMATION)
        name = wanted.automation
        values += [name, _named("automation", name), name]
    query = f"{_NOTES}{_where(conditions)} ORDER BY number DESC LIMIT ?"
    for at, action, subject, actor, door, data in raw.execute(query, (*values, wanted.limit)):
        told = loaded(data)
        run_id = subject if subject.startswith("run_") else told.get("run_id")
        yield TrailRow(
            at=from_millis(at),
            action=action,
            subject=subject,
            actor=actor,
            door=door,
            run_id=run_id,
            automation=subject if action.startswith("automation.") else told.get("automation"),
            data=told,
        )


def _entries(raw: Raw, wanted: TrailFilter) -> Iterator[TrailRow]:
    conditions, values = [ON_TRAIL], list[Scalar]()
    if wanted.since is not None:
        conditions.append("at >= ?")
        values.append(to_millis(wanted.since))
    if wanted.run_id is not None:
        conditions.append("run_id = ?")
        values.append(wanted.run_id)
    if wanted.automation is not None:
        conditions.append("automation = ?")
        values.append(wanted.automation)
    # A run's own entries are found by its id; all others by their age.
    entries = _ENTRIES.format(hint="" if wanted.run_id else " INDEXED BY journal_on_trail")
    order = "sequence DESC" if wanted.run_id else "at DESC"
    query = f"{entries}{_where(conditions)} ORDER BY {order} LIMIT ?"
    rows = raw.execute(query, (*values, wanted.limit)).fetchall()
    rows.sort(key=lambda row: (row[0], row[2], row[6]), reverse=True)
    for at, type, run_id, automation, step, data, _ in rows:
        told: dict[str, object] = loaded(data) or {}
        yield TrailRow(
            at=from_millis(at),
            action=type,
            subject=run_id,
            actor=automation,
            door=RUN_DOOR,
            run_id=run_id,
            automation=automation,
            step=step,
            data={name: value for name, value in told.items() if name not in UNSHOWN},
        )


def _deliveries(raw: Raw, wanted: TrailFilter) -> Iterator[TrailRow]:
    conditions, values = list[str](), list[Scalar]()
    for condition, value in (
        ("seals.at >= ?", wanted.since and to_millis(wanted.since)),
        ("outbox.run_id = ?", wanted.run_id),
        ("outbox.automation = ?", wanted.automation),
    ):
        if value is not None:
            conditions.append(f" AND {condition}")
            values.append(value)
    query = f"{_SETTLED}{''.join(conditions)} ORDER BY seals.number DESC LIMIT ?"
    for row in raw.execute(query, (*values, wanted.limit)):
        at, delivery_id, status, run_id, automation, kind, target, attempts, error = row
        told = {"target": loaded(target)["label"], "kind": kind, "attempts": attempts}
        yield TrailRow(
            at=from_millis(at),
            action=f"delivery.{status}",
            subject=delivery_id,
            actor=automation or "amodal-rt",
            door=RUN_DOOR if run_id else "alert",
            run_id=run_id,
            automation=automation,
            data=told | ({"error": error} if error else {}),
        )


def _named(key: str, value: str) -> str:
    """Data that say so, in the JSON that the ledger writes."""
    return f'%"{key}":"{value}"%'


def _where(conditions: list[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""
