"""The checker itself: each promise that is broken on purpose is seen to be."""

import copy
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from invariants import changed, leaked, read_ledger, violations
from lives import Zygote
from story import CANARIES, Story
from world import World

Tables = dict[str, list[dict[str, Any]]]
Arrived = list[dict[str, Any]]


@pytest.fixture(scope="module")
def played(
    tmp_path_factory: pytest.TempPathFactory, world: World, zygote: Zygote
) -> tuple[Story, Tables, Arrived]:
    story = Story(tmp_path_factory.mktemp("s"), "checked", world=world, zygote=zygote)
    try:
        story.play()
    finally:
        story.end()
    return story, read_ledger(story.ledger), story.arrived()


def _check(story: Story, tables: Tables, arrived: Arrived) -> list[str]:
    return violations(
        story.history,
        tables,
        arrived,
        slot_ms=int(story.slot.timestamp() * 1000),
        promised=True,
        deaths=0,
    )


def _run_of(tables: Tables, automation: str) -> dict[str, Any]:
    return next(row for row in tables["runs"] if row["automation"] == automation)


def _drop_a_run(tables: Tables, arrived: Arrived) -> None:
    tables["runs"].remove(_run_of(tables, "hook"))


def _drop_an_event(tables: Tables, arrived: Arrived) -> None:
    gone = _run_of(tables, "hook")["event_id"]
    tables["events"] = [row for row in tables["events"] if row["id"] != gone]


def _repeat_an_event(tables: Tables, arrived: Arrived) -> None:
    tables["events"].append({**tables["events"][0], "id": "evt_other"})


def _repeat_a_run(tables: Tables, arrived: Arrived) -> None:
    tables["runs"].append({**_run_of(tables, "flaky"), "id": "run_other"})


def _leave_a_run_running(tables: Tables, arrived: Arrived) -> None:
    _run_of(tables, "slot")["status"] = "running"


def _leave_a_message_sending(tables: Tables, arrived: Arrived) -> None:
    tables["outbox"][0]["status"] = "sending"


def _end_before_the_beginning(tables: Tables, arrived: Arrived) -> None:
    _run_of(tables, "slot")["finished_at"] = 1


def _lose_an_entry(tables: Tables, arrived: Arrived) -> None:
    run = _run_of(tables, "hook")["id"]
    first = next(row for row in tables["journal"] if row["run_id"] == run)
    tables["journal"].remove(first)


def _miss_the_slot(tables: Tables, arrived: Arrived) -> None:
    tables["runs"].remove(_run_of(tables, "slot"))


def _double_the_slot(tables: Tables, arrived: Arrived) -> None:
    tables["runs"].append({**_run_of(tables, "slot"), "id": "run_other"})


def _owe_nothing(tables: Tables, arrived: Arrived) -> None:
    run = _run_of(tables, "hook")["id"]
    tables["outbox"] = [row for row in tables["outbox"] if row["run_id"] != run]


def _alert_twice(tables: Tables, arrived: Arrived) -> None:
    alert = next(row for row in tables["outbox"] if row["kind"] == "failure_alert")
    tables["outbox"].append({**alert, "id": "msg_other", "status": "expired"})


def _repeat_a_write(tables: Tables, arrived: Arrived) -> None:
    arrived.append(next(each for each in arrived if each.get("key")))


def _write_unannounced(tables: Tables, arrived: Arrived) -> None:
    arrived.append({"at": "POST deals", "key": "run_x:call"})


def _record_what_never_arrived(tables: Tables, arrived: Arrived) -> None:
    arrived[:] = [each for each in arrived if not each.get("message")]


def _deliver_again_and_again(tables: Tables, arrived: Arrived) -> None:
    arrived += [next(each for each in arrived if each.get("message"))] * 3


def _send_what_nobody_owes(tables: Tables, arrived: Arrived) -> None:
    arrived.append({"at": "POST results", "message": "msg_stranger"})


def _damage_the_file(tables: Tables, arrived: Arrived) -> None:
    tables["integrity"].append({"integrity_check": "row 3 missing from index"})


BREAKS: dict[str, list[Callable[[Tables, Arrived], None]]] = {
    "I1": [_drop_a_run, _drop_an_event],
    "I2": [_repeat_an_event, _repeat_a_run],
    "I4": [_end_before_the_beginning, _lose_an_entry],
    "I5": [_miss_the_slot, _double_the_slot],
    "I6": [_leave_a_run_running, _leave_a_message_sending],
    "I7": [_owe_nothing, _record_what_never_arrived, _deliver_again_and_again,
           _send_what_nobody_owes],
    "I9": [_alert_twice],
    "I10": [_damage_the_file],
    "a write was repeated": [_repeat_a_write],
    "unannounced": [_write_unannounced],
}  # fmt: skip


def test_what_is_whole_breaks_nothing(played: tuple[Story, Tables, Arrived]) -> None:
    assert _check(*played) == []


@pytest.mark.parametrize(
    ("sign", "broken"), [(sign, each) for sign, breaks in BREAKS.items() for each in breaks]
)
def test_a_broken_promise_is_seen(
    played: tuple[Story, Tables, Arrived],
    sign: str,
    broken: Callable[[Tables, Arrived], None],
) -> None:
    story, tables, arrived = played
    tables, arrived = copy.deepcopy(tables), copy.deepcopy(arrived)
    broken(tables, arrived)

    assert any(sign in each for each in _check(story, tables, arrived))


def test_a_changed_table_is_seen(played: tuple[Story, Tables, Arrived]) -> None:
    _, tables, _ = played

    assert changed(tables, {**tables, "runs": tables["runs"][1:]})
    assert changed(tables, {**tables, "nodes": []}) == []


def test_a_heartbeat_changes_no_fact_that_lasts(played: tuple[Story, Tables, Arrived]) -> None:
    """A start lives to its first one, or not."""
    _, tables, _ = played
    beat = {"key": "written_at", "value": "1"}
    facts = [row for row in tables["facts"] if row["key"] != "written_at"]
    other = [{**row, "value": "another"} for row in facts]

    assert facts
    for before in (facts, [*facts, {**beat, "value": "0"}]):
        now = {**tables, "facts": before}
        assert changed(now, {**tables, "facts": [beat, *facts]}) == []
        assert changed(now, {**tables, "facts": [*other, beat]})


def test_a_secret_is_seen(played: tuple[Story, Tables, Arrived], tmp_path: Path) -> None:
    story, _, _ = played
    assert leaked(story.folder, CANARIES) == []

    state = tmp_path / "w" / ".amodal-rt"
    state.mkdir(parents=True)
    with closing(sqlite3.connect(state / "ledger.sqlite")) as ledger:
        ledger.execute("CREATE TABLE t (x TEXT)")
        ledger.execute("INSERT INTO t VALUES (?)", (f"before {CANARIES[0]} after",))
        ledger.commit()
    assert leaked(tmp_path, CANARIES)
