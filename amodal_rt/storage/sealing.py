"""The chains of the record, for whoever already stands in a transaction.

Only one transaction writes at a time, on a server too, so that a row can stand on the one that is
last. `linked` is a function that every writing connection knows: the place and the digest of the
last row need not be fetched first.
"""

import json
from collections.abc import Sequence
from datetime import datetime

from amodal_rt.clock import to_millis
from amodal_rt.domain.chain import Head, Link, digest_of
from amodal_rt.ports import Act, Caller
from amodal_rt.storage.dialect import Raw, Scalar
from amodal_rt.storage.rows import dumped, storable

RUN, DELIVERY, FORGOTTEN = "run", "delivery", "forgotten"
"""Kinds of seals: a run ended; a message arrived or was given up; a run that ended is kept no
longer."""
BEGAN, CUT = "chain.began", "history.forgotten"
"""Actions of the trail that say how far back the chain reaches: up to which numbers rows are older
than it, and up to which seal retention has let go of."""
CHAIN = "chain"
"""The subject of these rows."""

FACTS = (
    "id", "automation", "title", "trigger", "status", "reason", "rule", "error", "definition",
    "event_id", "payload", "scheduled_for", "depth", "attempt", "requester", "actor", "door",
    "conversation_key", "idempotency_key", "rehearse", "created_at", "started_at", "finished_at",
    "input_tokens", "output_tokens", "turns", "cost_usd", "model", "rehearsed", "result_text",
    "result_payload", "output", "profile",
)  # fmt: skip
"""What a seal vouches for of a run's row: what no longer changes once it has ended."""

MESSAGE = (
    "id", "run_id", "automation", "kind", "target", "body", "owed_as", "created_at", "status",
    "attempts", "finished_at", "last_error",
)  # fmt: skip
"""The same of a message: what does not change until somebody has it sent again."""

_LAST = "SELECT number, digest FROM seals ORDER BY number DESC LIMIT 1"
_SEAL = (
    "INSERT INTO seals (number, kind, subject, entries, head, facts, at, digest)"  # noqa: S608  constants
    " SELECT COALESCE(last.number, 0) + 1, ?1, ?2, ?3, ?4, ?5, ?6,"
    " linked(COALESCE(last.digest, '') || ?7)"
    f" FROM (SELECT 1 AS one) AS here LEFT JOIN ({_LAST}) AS last ON 1 = 1"
)
_FACTS = f"SELECT {', '.join(FACTS)} FROM runs WHERE id = ?"  # noqa: S608  constants
_MESSAGE = f"SELECT {', '.join(MESSAGE)} FROM outbox WHERE id = ?"  # noqa: S608  constants
_LAST_NOTE = "SELECT place, digest FROM audit WHERE place IS NOT NULL ORDER BY place DESC LIMIT 1"
_NOTE = (
    "INSERT INTO audit (at, action, subject, actor, door, data, place, digest)"  # noqa: S608  constants
    " SELECT ?1, ?2, ?3, ?4, ?5, ?6, COALESCE(last.place, 0) + 1,"
    " linked(COALESCE(last.digest, '') || ?7)"
    f" FROM (SELECT 1 AS one) AS here LEFT JOIN ({_LAST_NOTE}) AS last ON 1 = 1"
)

_LAST_CUT = (
    f"SELECT data FROM audit WHERE subject = '{CHAIN}' AND action = '{CUT}'"  # noqa: S608  constants
    " AND place IS NOT NULL ORDER BY number DESC LIMIT 1"
)

NoteRow = tuple[int, str, str, str, str, str]
"""Instant in milliseconds, action, subject, actor, door, data as JSON."""


def facts_digest(row: Sequence[Scalar]) -> str:
    """The digest of the columns `FACTS`, or `MESSAGE`."""
    return digest_of(*row)


def seal_content(
    kind: str,
    subject: str,
    entries: int | None,
    head: str | None,
    facts: str | None,
    at: int,
) -> str:
    """The digest of a seal's own columns."""
    return digest_of(kind, subject, entries, head, facts, at)


def note_content(row: NoteRow) -> str:
    """The digest of a trail row's own columns."""
    return digest_of(*row)


def cut_of(raw: Raw) -> Link:
    """The last seal that retention has let go of, by the trail; place 0 for none."""
    found = raw.execute(_LAST_CUT).fetchone()
    if found is None:
        return Link()
    told = json.loads(found[0])
    return Link(told["through"], told["digest"])


def head_of(raw: Raw) -> Head:
    """The last row of either chain."""
    trail, seals = raw.execute(_LAST_NOTE).fetchone(), raw.execute(_LAST).fetchone()
    return Head(Link(*trail) if trail else Link(), Link(*seals) if seals else Link())


def seal(raw: Raw, run_id: str, entries: int, head: str | None, at: int) -> None:
    """Seal a run that has ended: its row as it stands, and its journal up to the entry `entries`,
    whose digest is `head`."""
    found = raw.execute(_FACTS, (run_id,)).fetchone()
    _append(raw, RUN, run_id, entries, head, facts_digest(found), at)


def seal_message(raw: Raw, delivery_id: str, run_id: str | None, at: int) -> None:
    """Seal a message that arrived, or that is not tried again by itself."""
    found = raw.execute(_MESSAGE, (delivery_id,)).fetchone()
    _append(raw, DELIVERY, delivery_id, None, run_id, facts_digest(found), at)


def repeat(raw: Raw, old: tuple[str, str, int | None, str | None, str | None], at: int) -> None:
    """Say again what an older seal says, which is about to go while its run stays: its kind,
    subject, entries, head and facts."""
    _append(raw, *old, at)


def forget(raw: Raw, run_id: str, at: int) -> None:
    """Say that a sealed run is kept no longer."""
    _append(raw, FORGOTTEN, run_id, None, None, None, at)


def note(raw: Raw, action: str, subject: str, caller: Caller, at: datetime, data: object) -> None:
    """Append to the audit trail."""
    row: NoteRow = (
        to_millis(at),
        action,
        storable(subject),
        storable(caller.actor),
        caller.door,
        dumped(data),
    )
    raw.execute(_NOTE, (*row, note_content(row)))


def note_act(raw: Raw, act: Act | None) -> None:
    """Append an act to the audit trail, where there is one."""
    if act is not None:
        note(raw, act.action, act.subject, act.caller, act.at, dict(act.data))


def _append(
    raw: Raw,
    kind: str,
    subject: str,
    entries: int | None,
    head: str | None,
    facts: str | None,
    at: int,
) -> None:
    row = (kind, subject, entries, head, facts, at)
    raw.execute(_SEAL, (*row, seal_content(*row)))
