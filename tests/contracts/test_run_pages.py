"""`ports.RunLedger.list_runs`: pages of runs, and what a filter leaves out."""

import ledger_values as given

from amodal_rt.domain.run import RunStatus, SkippedReason
from amodal_rt.ports import Ledger, RunFilter


async def _ids(ledger: Ledger, **wanted: object) -> list[str]:
    found = await ledger.list_runs(RunFilter(**wanted))  # pyright: ignore[reportArgumentType]
    return [each.run_id for each in found]


async def test_older_runs_follow_one_newest_first(ledger: Ledger) -> None:
    ids = [(await ledger.admit([given.start()]))[0].run_id for _ in range(5)]

    assert await _ids(ledger, older_than=ids[3], limit=2) == [ids[2], ids[1]]
    assert await _ids(ledger, older_than=ids[0]) == []


async def test_of_the_newer_runs_those_come_that_are_nearest_newest_first(ledger: Ledger) -> None:
    ids = [(await ledger.admit([given.start()]))[0].run_id for _ in range(5)]

    assert await _ids(ledger, newer_than=ids[1], limit=2) == [ids[3], ids[2]]
    assert await _ids(ledger, newer_than=ids[4]) == []


async def test_a_page_holds_only_what_is_wanted(ledger: Ledger) -> None:
    mine, other, last = [
        (await ledger.admit([given.start(name)]))[0].run_id for name in ("a", "b", "a")
    ]

    assert await _ids(ledger, automation="a", older_than=last) == [mine]
    assert await _ids(ledger, automation="a", newer_than=mine) == [last]
    assert await _ids(ledger, automation="b", older_than=last, newer_than=mine) == [other]


async def test_nothing_stands_beside_a_run_that_is_not_there(ledger: Ledger) -> None:
    await ledger.admit([given.start()])

    assert await _ids(ledger, older_than="run_unknown") == []
    assert await _ids(ledger, newer_than="run_unknown") == []


async def test_a_status_is_left_out(ledger: Ledger) -> None:
    skipped = given.start(skip=SkippedReason.PAUSED, rule="paused")
    kept, _ = await ledger.admit([given.start(), skipped])

    assert await _ids(ledger, without=RunStatus.SKIPPED) == [kept.run_id]
    assert len(await _ids(ledger)) == 2


async def test_runs_of_a_reason_are_found(ledger: Ledger) -> None:
    paused = given.start(skip=SkippedReason.PAUSED, rule="paused")
    _, skipped = await ledger.admit([given.start(), paused])

    assert await _ids(ledger, reason="paused") == [skipped.run_id]
    assert await _ids(ledger, reason="awaiting_approval") == []


async def test_how_the_newest_runs_of_each_automation_ended(ledger: Ledger) -> None:
    for name, status in (("a", "completed"), ("a", "failed"), ("a", "completed"), ("b", "failed")):
        await given.finished(ledger, name, status=RunStatus(status))
    skipped = given.start("a", skip=SkippedReason.PAUSED, rule="paused")
    await ledger.admit([given.start("a"), skipped, given.start("c")])

    assert await ledger.recent_ends(["a", "b", "c", "gone"], limit=2) == {
        "a": [RunStatus.COMPLETED, RunStatus.FAILED],
        "b": [RunStatus.FAILED],
    }
    assert await ledger.recent_ends([], limit=2) == {}
