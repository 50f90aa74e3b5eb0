"""Events that are stored before they are matched."""

from collections.abc import Sequence

from amodal_rt.domain.event import Event
from amodal_rt.storage import tables
from amodal_rt.storage.bulk import Insert
from amodal_rt.storage.dialect import Raw
from amodal_rt.storage.rows import EVENT_COLUMNS, event_row

_WAITING = Insert(tables.events, (*EVENT_COLUMNS, "unmatched"), rule="ON CONFLICT (id) DO NOTHING")


def store(raw: Raw, events: Sequence[Event]) -> int:
    """Keep events that are still to be matched; how many of them are new."""
    return _WAITING.send(raw, [(*event_row(event, 0), 1) for event in events])
