"""Events of many senders accepted in one go, each ruled on as if it came alone, in its turn."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from sqlalchemy import Connection

from amodal_rt.clock import from_millis, to_millis
from amodal_rt.domain.event import DedupKey, Event
from amodal_rt.domain.run import RunStatus, SkippedReason, Start
from amodal_rt.errors import AmodalError, UnavailableError
from amodal_rt.ports import DEDUP_RETENTION, Act, Receipt, RunRef
from amodal_rt.storage import sealing, tables
from amodal_rt.storage.admission import Admission, Wish, wishes
from amodal_rt.storage.bulk import Insert, Values
from amodal_rt.storage.dialect import Listed, Raw, driver
from amodal_rt.storage.rows import EVENT_COLUMNS, event_row, storable

_EVENTS = Insert(tables.events, EVENT_COLUMNS)
_KEYS = Insert(
    tables.dedup_keys,
    ("endpoint", "key", "event_id", "seen_at"),
    rule="ON CONFLICT (endpoint, key) DO UPDATE SET event_id = excluded.event_id,"
    " seen_at = excluded.seen_at",
)
_SEEN = (
    "SELECT seen.endpoint, seen.key, seen.event_id, seen.seen_at"
    " FROM json_each(?) AS asked CROSS JOIN dedup_keys AS seen"
    " WHERE seen.endpoint = json_extract(asked.value, '$[0]')"
    " AND seen.key = json_extract(asked.value, '$[1]')"
)
_RUNS_OF = "SELECT id, automation, status, reason FROM runs WHERE event_id = ? ORDER BY number"
_RETENTION = to_millis(from_millis(0) + DEDUP_RETENTION)

_Key = tuple[str, str]
"""Endpoint and key."""
_Memory = dict[_Key, tuple[str, int]]
"""The event that has a key, and when it took it."""


class Offer(NamedTuple):
    """One event with its rows, made outside the writer's thread."""

    event_id: str
    row: Values
    keys: Sequence[_Key]
    apiece: Mapping[str, _Key]
    seen_at: int
    wishes: Sequence[Wish]
    queues: bool
    queue_limit: int
    act: Act | None = None


def offer(
    event: Event,
    dedup: DedupKey | None,
    starts: Sequence[Start],
    *,
    missed: int,
    queue_limit: int,
    act: Act | None = None,
) -> Offer:
    """The event, ready for `Acceptance.accept_all`."""
    row = event_row(event, missed)
    return Offer(
        event.id,
        row,
        _keys(dedup) if dedup else (),
        _apiece(dedup) if dedup else {},
        to_millis(event.received_at),
        wishes(starts),
        any(start.skip is None for start in starts),
        queue_limit,
        act,
    )


class Acceptance:
    """What `EventLedger.accept` promises, for many events at once."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def accept_all(
        self, connection: Connection, offers: Sequence[Offer]
    ) -> list[Receipt | AmodalError]:
        """The receipt of each, in order, or the error that it is refused with."""
        raw = driver(connection)
        asked = [key for each in offers for key in (*each.keys, *each.apiece.values())]
        memory = _remembered(raw, asked)
        sitting = self._admission.sit(raw, [wish for each in offers for wish in each.wishes])
        answers: list[Receipt | AmodalError] = []
        events: list[Values] = []
        keys: dict[_Key, Values] = {}
        for each in offers:
            first = _first(each.keys, each.seen_at, memory)
            if first is not None:
                answers.append(Receipt(event_id=first, duplicate=True, runs=()))
                continue
            if each.apiece:
                each = _told_apiece(each, memory)
            if each.queues and self._admission.is_full(sitting, each.queue_limit):
                answers.append(_full(each.queue_limit))
                continue
            events.append(each.row)
            if each.act is not None:
                sealing.note_act(raw, each.act)
            for key in each.keys:
                memory[key] = each.event_id, each.seen_at
                keys[key] = (*key, each.event_id, each.seen_at)
            refs = sitting.rule_on(each.wishes)
            answers.append(Receipt(event_id=each.event_id, duplicate=False, runs=tuple(refs)))
        _KEYS.send(raw, list(keys.values()))
        _EVENTS.send(raw, events)
        sitting.write()
        return [_with_runs(raw, each) for each in answers]


def refs_of(raw: Raw, event_id: str) -> Iterable[RunRef]:
    """The runs that an event led to, oldest first."""
    for run_id, automation, status, reason in raw.execute(_RUNS_OF, (event_id,)):
        yield RunRef(run_id=run_id, automation=automation, status=RunStatus(status), reason=reason)


def first_of(raw: Raw, dedup: DedupKey, seen_at: int) -> str | None:
    """The event that one of these keys would be a duplicate of, or None."""
    keys = _keys(dedup)
    return _first(keys, seen_at, _remembered(raw, keys))


def _keys(dedup: DedupKey) -> list[_Key]:
    endpoint = storable(dedup.endpoint)
    # A key that is named twice would make the event a duplicate of itself.
    return [(endpoint, storable(key)) for key in dict.fromkeys(dedup.keys)]


def _apiece(dedup: DedupKey) -> Mapping[str, _Key]:
    return {
        automation: (storable(endpoint), storable(key))
        for automation, (endpoint, key) in dedup.apiece.items()
    }


def _told_apiece(each: Offer, memory: _Memory) -> Offer:
    """The offer without starts of automations that were told of the event before, and with the
    keys of those that were not."""
    keys, wishes = list(each.keys), list[Wish]()
    for wish in each.wishes:
        key = each.apiece.get(wish.start.automation)
        first = _first((key,), each.seen_at, memory) if key else None
        if first is not None:
            rule = f"id: the first is {first}"
            known = replace(wish.start, skip=SkippedReason.DUPLICATE, rule=rule)
            wishes.append(wish._replace(start=known))
            continue
        if key is not None:
            keys.append(key)
        wishes.append(wish)
    queues = any(wish.start.skip is None for wish in wishes)
    return each._replace(keys=keys, wishes=wishes, queues=queues)


def _remembered(raw: Raw, keys: Sequence[_Key]) -> _Memory:
    if not keys:
        return {}
    found = raw.execute(_SEEN, (Listed(keys),)).fetchall()
    return {(endpoint, key): (event_id, seen_at) for endpoint, key, event_id, seen_at in found}


def _first(keys: Iterable[_Key], seen_at: int, memory: _Memory) -> str | None:
    """The event that took one of the keys before, or None."""
    for key in keys:
        known = memory.get(key)
        # Past the retention, another may take the key.
        if known is not None and known[1] > seen_at - _RETENTION:
            return known[0]
    return None


def _with_runs(raw: Raw, answer: Receipt | AmodalError) -> Receipt | AmodalError:
    """A duplicate's receipt names the runs of the first event, which now are all written."""
    if isinstance(answer, AmodalError) or not answer.duplicate:
        return answer
    runs = tuple(refs_of(raw, answer.event_id))
    return Receipt(event_id=answer.event_id, duplicate=True, runs=runs)


def _full(limit: int) -> UnavailableError:
    return UnavailableError(
        f"{limit} runs are pending already",
        code="queue_full",
        hint="limits.queue of amodal.json; `ops runs list` shows what waits",
    )
