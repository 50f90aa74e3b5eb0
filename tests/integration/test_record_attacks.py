"""Whoever can write into the database cannot change the record without its showing."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import postgres_server
import pytest
import record_scene as scene

from amodal_rt.domain.chain import Head
from amodal_rt.storage import sealing
from amodal_rt.storage.dialect import Raw

_SWAP = (
    "UPDATE {table} SET {key} = -1 WHERE {key} = 2 {of}",
    "UPDATE {table} SET {key} = 2 WHERE {key} = 3 {of}",
    "UPDATE {table} SET {key} = 3 WHERE {key} = -1 {of}",
)


def _swap(table: str, key: str, of: str = "") -> tuple[str, ...]:
    return tuple(each.format(table=table, key=key, of=of) for each in _SWAP)


_JOURNAL_OF = "AND run_id = 'run_2'"
_ENTRY = "INSERT INTO journal (run_id, sequence, type, attempt, at{more}) VALUES ('run_2', 6"
_RUN = (
    "INSERT INTO runs (number, id, automation, title, trigger, status, definition, concurrency,"
    " on_limit, created_at) VALUES (99, 'run_new', 'digest', 'Digest', 'manual', 'completed',"
    " 'd', 1, 'queue', 5)"
)

SEEN: dict[str, tuple[tuple[str, ...], tuple[str, str]]] = {
    "an entry is changed": (
        ("UPDATE journal SET data = '{}' WHERE run_id = 'run_2' AND sequence = 3",),
        ("journal", "run_2#3"),
    ),
    "an entry of a run under way is changed": (
        ("UPDATE journal SET at = 7 WHERE run_id = 'run_open' AND sequence = 2",),
        ("journal", "run_open#2"),
    ),
    "an entry is deleted": (
        ("DELETE FROM journal WHERE run_id = 'run_2' AND sequence = 3",),
        ("journal", "run_2#4"),
    ),
    "the last entry is deleted": (
        ("DELETE FROM journal WHERE run_id = 'run_2' AND sequence = 5",),
        ("journal", "run_2#5"),
    ),
    "a whole journal is deleted": (
        ("DELETE FROM journal WHERE run_id = 'run_2'",),
        ("journal", "run_2#1"),
    ),
    "an entry is put in": (
        (_ENTRY.format(more="") + ", 'turn.text', 1, 5)",),
        ("journal", "run_2#6"),
    ),
    "an entry is put in that fits the one before": (
        (
            (
                "INSERT INTO journal SELECT 'run_2', 6, type, step, parent, attempt, at, data,"
                " digest FROM journal WHERE run_id = 'run_2' AND sequence = 5"
            ),
        ),
        ("journal", "run_2#6"),
    ),
    "two entries change places": (
        _swap("journal", "sequence", _JOURNAL_OF),
        ("journal", "run_2#2"),
    ),
    "an entry loses its digest": (
        ("UPDATE journal SET digest = NULL WHERE run_id = 'run_2' AND sequence = 1",),
        ("journal", "run_2#1"),
    ),
    "a result is changed": (
        ("UPDATE runs SET result_text = 'sold nothing' WHERE id = 'run_2'",),
        ("runs", "run_2"),
    ),
    "a status is changed": (
        ("UPDATE runs SET status = 'failed' WHERE id = 'run_2'",),
        ("runs", "run_2"),
    ),
    "a run is opened again": (
        ("UPDATE runs SET status = 'running' WHERE id = 'run_2'",),
        ("runs", "run_2"),
    ),
    "a run is deleted with its journal": (
        ("DELETE FROM runs WHERE id = 'run_2'",),
        ("runs", "run_2"),
    ),
    "a run is deleted with its seal": (
        ("DELETE FROM runs WHERE id = 'run_2'", "DELETE FROM seals WHERE subject = 'run_2'"),
        ("seals", "3"),
    ),
    "a run is put in": ((_RUN,), ("runs", "run_new")),
    "a message is changed": (
        ("UPDATE outbox SET body = '{}' WHERE id = 'msg_run_2'",),
        ("outbox", "msg_run_2"),
    ),
    "a message is said to have failed": (
        ("UPDATE outbox SET status = 'dead' WHERE id = 'msg_run_2'",),
        ("outbox", "msg_run_2"),
    ),
    "a message is deleted": (
        ("DELETE FROM outbox WHERE id = 'msg_run_2'",),
        ("outbox", "msg_run_2"),
    ),
    "a seal is changed": (("UPDATE seals SET entries = 4 WHERE number = 2",), ("seals", "2")),
    "the first seal is deleted": (("DELETE FROM seals WHERE number = 1",), ("seals", "2")),
    "the last seals are deleted": (("DELETE FROM seals WHERE number > 2",), ("runs", "run_3")),
    "two seals change places": (_swap("seals", "number"), ("seals", "2")),
    "an act is changed": (("UPDATE audit SET actor = 'bob' WHERE number = 2",), ("audit", "2")),
    "an act is deleted": (("DELETE FROM audit WHERE number = 2",), ("audit", "3")),
    "the first act is deleted": (("DELETE FROM audit WHERE number = 1",), ("audit", "2")),
    "two acts change places": (_swap("audit", "number"), ("audit", "2")),
    "an act is put in": (
        (
            (
                "INSERT INTO audit (number, at, action, subject, actor, door, data)"
                " VALUES (9, 5, 'a', 's', 'bob', 'cli', '{}')"
            ),
        ),
        ("audit", "9"),
    ),
    "an act is put in as if from before the chain": (
        (
            (
                "INSERT INTO audit (number, at, action, subject, actor, door, data)"
                " VALUES (0, 5, 'a', 's', 'bob', 'cli', '{}')"
            ),
        ),
        ("audit", "0"),
    ),
    "the trail is said to be older than the chain": (
        ("UPDATE audit SET place = NULL, digest = NULL",),
        ("audit", "3"),
    ),
    "a run is put in with a seal before all others": (
        (
            _RUN,
            (
                "INSERT INTO seals (number, kind, subject, at, digest)"
                " VALUES (-1, 'run', 'run_new', 5, '')"
            ),
        ),
        ("seals", "-1"),
    ),
    "an entry is put in before all others": (
        (_ENTRY.format(more="").replace("6", "-3") + ", 'turn.text', 1, 5)",),
        ("journal", "run_2#-3"),
    ),
    "retention is said to have let go of a seal": (
        (
            "DELETE FROM seals WHERE number = 1",
            (
                "INSERT INTO audit (number, at, action, subject, actor, door, data, place, digest)"
                " VALUES (9, 5, 'history.forgotten', 'chain', 'x', 'x',"
                ' \'{"through":2,"digest":""}\', 4, \'0\')'
            ),
        ),
        ("audit", "9"),
    ),
}
"""What is done, and the first row that does not fit."""

BY_HEAD: dict[str, tuple[tuple[str, ...], tuple[str, str]]] = {
    "the last act is cut off": (("DELETE FROM audit WHERE number = 3",), ("audit", "2")),
    "the last run is cut off with its seal": (
        ("DELETE FROM runs WHERE id = 'run_3'", "DELETE FROM seals WHERE number > 2"),
        ("seals", "2"),
    ),
    "the trail is emptied": (("DELETE FROM audit",), ("audit", "0")),
    "all ended runs are gone": (
        ("DELETE FROM runs WHERE status = 'completed'", "DELETE FROM seals"),
        ("seals", "0"),
    ),
}
"""What only a head shows that somebody kept."""

ANEW: dict[str, tuple[str, str]] = {
    "UPDATE journal SET data = '{}' WHERE run_id = 'run_2' AND sequence = 3": ("seals", "4"),
    "UPDATE runs SET result_text = 'sold nothing' WHERE id = 'run_1'": ("seals", "4"),
    "UPDATE audit SET actor = 'bob' WHERE number = 1": ("audit", "3"),
}
"""Changes after which every digest is computed anew, and where a head then does not fit."""


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    if request.param == "sqlite":
        yield None
        return
    with postgres_server.fresh_ledger() as found:
        yield found


@pytest.fixture
async def raw(url: str | None, tmp_path: Path) -> AsyncIterator[Raw]:
    async with scene.record(tmp_path, url) as raw:
        yield raw


async def test_what_is_changed_is_named(raw: Raw) -> None:
    untouched = scene.verified(raw)
    kept = sealing.head_of(raw)
    found: dict[str, object] = {}
    for name, (statements, _) in SEEN.items():
        with scene.taken_back(raw):
            for each in statements:
                raw.execute(each)
            misfits = scene.verified(raw).misfits
        found[name] = (misfits[0].table, misfits[0].id) if misfits else "nothing"

    assert found == {name: where for name, (_, where) in SEEN.items()}
    assert (untouched.wrong, untouched.sealed, untouched.trail) == (0, 3, 3)
    assert scene.verified(raw, kept).wrong == 0


async def test_what_is_cut_off_is_named_by_the_head_that_was_kept(raw: Raw) -> None:
    kept = sealing.head_of(raw)
    found: dict[str, object] = {}
    for name, (statements, _) in BY_HEAD.items():
        with scene.taken_back(raw):
            for each in statements:
                raw.execute(each)
            assert scene.verified(raw).wrong == 0, name
            misfits = scene.verified(raw, kept).misfits
        found[name] = (misfits[0].table, misfits[0].id) if misfits else "nothing"

    assert found == {name: where for name, (_, where) in BY_HEAD.items()}


async def test_what_is_written_anew_is_found_by_the_head_that_was_kept(raw: Raw) -> None:
    kept = sealing.head_of(raw)
    found: dict[str, object] = {}
    for statement in ANEW:
        with scene.taken_back(raw):
            raw.execute(statement)
            scene.write_anew(raw)
            assert scene.verified(raw).wrong == 0, statement
            misfits = scene.verified(raw, kept).misfits
        found[statement] = (misfits[0].table, misfits[0].id) if misfits else "nothing"

    assert found == ANEW


async def test_an_honest_continuation_fits_every_head_of_before(raw: Raw) -> None:
    kept = sealing.head_of(raw)
    early = Head(trail=scene.verified(raw).head.trail)

    with scene.taken_back(raw):
        sealing.forget(raw, "run_9", 5)
        assert [scene.verified(raw, each).wrong for each in (kept, early, Head())] == [0, 0, 0]
