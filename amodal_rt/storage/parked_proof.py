"""What binds a parked write to the audit trail, as it waits in a row that can be written over.

Each change of a parked write has a row in the trail, and that row holds the digest of what the
write is from then on. Whether anybody was asked, and by which links, is not part of it.
"""

import json
from collections.abc import Sequence
from typing import Any

from amodal_rt.domain.chain import digest_of, linked
from amodal_rt.storage import sealing
from amodal_rt.storage.dialect import Raw

COLUMNS = (
    "id", "run_id", "automation", "status", "edited", "expires_at", "finished_at", "node", "data",
)  # fmt: skip
ALTERED = "altered"
"""Stands for the digest of one that was changed before: it never fits again."""
_CHANGE_UNTOLD = ("told", "links")

_ROW = f"SELECT {', '.join(COLUMNS)} FROM parked_writes WHERE id = ?"  # noqa: S608  constants
_TOLD_LAST = (
    "SELECT place, digest, at, action, subject, actor, door, data FROM audit"
    " WHERE subject = ? ORDER BY number DESC LIMIT 1"
)
_BEFORE = "SELECT digest FROM audit WHERE place = ?"


def digest(raw: Raw, write_id: str) -> str:
    """The digest (hex) of a parked write as its row stands."""
    return _digest(raw.execute(_ROW, (write_id,)).fetchone())


def misfit(raw: Raw, row: Sequence[Any]) -> str | None:
    """In words, where the row (`COLUMNS`) is not what the trail says it is. What was parked
    before the trail kept digests fits."""
    found = raw.execute(_TOLD_LAST, (row[0],)).fetchone()
    if found is None:
        return "the audit trail does not know it"
    place, kept, *note = found
    if place is not None and linked(_before(raw, place), sealing.note_content(tuple(note))) != kept:
        return f"the row of the audit trail that tells of it ({place}) was changed"
    told = json.loads(note[-1]).get("digest")
    if told is None or told == _digest(row):
        return None
    if told == ALTERED:
        return f"its row had been changed before {note[1]}, of which the audit trail tells"
    return f"its row was changed after {note[1]}, of which the audit trail tells"


def misfit_of(raw: Raw, write_id: str) -> str | None:
    """The same of the row with that id."""
    return misfit(raw, raw.execute(_ROW, (write_id,)).fetchone())


def _before(raw: Raw, place: int) -> str:
    found = raw.execute(_BEFORE, (place - 1,)).fetchone()
    return found[0] if found else ""


def _digest(row: Sequence[Any]) -> str:
    data = {key: value for key, value in json.loads(row[-1]).items() if key not in _CHANGE_UNTOLD}
    return digest_of(*row[:-1], json.dumps(data, sort_keys=True))
