"""Skipped slots of one schedule share a row, and a slot is taken once."""

from typing import Any

import ledger_values as given
import pytest
from ledger_values import HOUR, MINUTE, NOW

from amodal_rt.domain.run import SkippedReason
from amodal_rt.ports import Ledger, RunFilter, RunRef, ScheduleState


def ruled(refs: list[RunRef]) -> list[tuple[str, str | None]]:
    return [(ref.status.value, ref.reason) for ref in refs]


async def test_after_a_stretch_that_begins_with_a_taken_slot_its_schedule_gets_no_row(
    ledger: Ledger,
) -> None:
    """Else the rest of the stretch would lie behind slots that are on record, and be lost."""
    await ledger.admit([given.slot(NOW)])
    stretch = given.slot(NOW, skip=SkippedReason.MISSED, scheduled_until=NOW + MINUTE, count=2)
    later, other = given.slot(NOW + HOUR), given.slot(NOW + HOUR, schedule_key="cron:1")

    refs = await ledger.admit([stretch, later, other])

    assert [ref.run_id for ref in refs] == [other.run_id]
    assert await ledger.admit([given.slot(NOW + MINUTE)]) != []


async def test_slots_within_a_stretch_that_another_put_on_record_get_no_row(
    ledger: Ledger,
) -> None:
    """Only its ends are slots by name; what the schedule has on record tells the rest."""
    state = ScheduleState(
        automation="digest", key="cron:0", fingerprint="f", counted_from=NOW - HOUR
    )
    await ledger.set_schedule_states([state])
    until = NOW + 2 * MINUTE
    await ledger.admit([given.slot(NOW, skip=SkippedReason.PAUSED, scheduled_until=until, count=3)])

    refs = await ledger.admit([given.slot(NOW + k * MINUTE) for k in range(4)])

    assert len(refs) == 1
    (newest, _) = await ledger.list_runs(RunFilter())
    assert newest.scheduled_for == NOW + 3 * MINUTE


async def test_consecutive_skipped_slots_of_one_reason_share_a_row(ledger: Ledger) -> None:
    slots = [given.slot(NOW + k * MINUTE, skip=SkippedReason.PAUSED) for k in range(5)]

    refs = [*await ledger.admit(slots[:2]), *await ledger.admit(slots[2:])]

    assert {ref.run_id for ref in refs} == {slots[0].run_id}
    assert ruled(refs) == [("skipped", "paused")] * 5
    (run,) = await ledger.list_runs(RunFilter())
    assert (run.scheduled_for, run.scheduled_until, run.count) == (NOW, NOW + 4 * MINUTE, 5)


async def test_a_stretch_of_skipped_slots_extends_by_its_count(ledger: Ledger) -> None:
    missed = SkippedReason.MISSED
    await ledger.admit([given.slot(NOW, skip=missed, scheduled_until=NOW + HOUR, count=60)])

    await ledger.admit(
        [given.slot(NOW + 2 * HOUR, skip=missed, scheduled_until=NOW + 3 * HOUR, count=60)]
    )

    (run,) = await ledger.list_runs(RunFilter())
    assert (run.scheduled_until, run.count) == (NOW + 3 * HOUR, 120)


@pytest.mark.parametrize("key", ["cron:0", "cron:1"], ids=["its own", "another schedule's"])
async def test_no_row_grows_over_a_slot_of_its_schedule_that_has_one(
    ledger: Ledger, key: str
) -> None:
    """A clock that was ahead ruled on it before."""
    paused = SkippedReason.PAUSED
    await ledger.admit([given.slot(NOW + MINUTE, schedule_key=key)])
    await ledger.admit([given.slot(NOW, skip=paused)])

    await ledger.admit([given.slot(NOW + 2 * MINUTE, skip=paused)])

    counts = [run.count for run in await ledger.list_runs(RunFilter()) if run.reason == paused]
    assert counts == ([1, 1] if key == "cron:0" else [2])


async def test_slots_that_were_added_to_a_row_are_taken(ledger: Ledger) -> None:
    for number in range(3):
        await ledger.admit([given.slot(NOW + number * MINUTE, skip=SkippedReason.PAUSED)])

    assert await ledger.admit([given.slot(NOW + MINUTE), given.slot(NOW + 2 * MINUTE)]) == []


@pytest.mark.parametrize(
    "between",
    [
        {"skip": SkippedReason.MISSED},
        {"skip": SkippedReason.PAUSED, "rule": "status paused in job.json:2"},
        {"skip": SkippedReason.PAUSED, "definition": "e" * 64},
        {},
    ],
    ids=["another reason", "another rule", "another definition", "a run"],
)
async def test_a_slot_with_another_ruling_ends_the_shared_row(
    ledger: Ledger, between: dict[str, Any]
) -> None:
    paused = SkippedReason.PAUSED
    await ledger.admit([given.slot(NOW, skip=paused)])
    await ledger.admit([given.slot(NOW + MINUTE, **between)])

    await ledger.admit([given.slot(NOW + 2 * MINUTE, skip=paused)])

    assert [run.count for run in await ledger.list_runs(RunFilter())] == [1, 1, 1]


async def test_each_schedule_of_an_automation_has_a_row_of_its_own(ledger: Ledger) -> None:
    paused = SkippedReason.PAUSED
    for number in range(6):
        key = f"cron:{number % 2}"
        await ledger.admit([given.slot(NOW + number * MINUTE, skip=paused, schedule_key=key)])

    runs = await ledger.list_runs(RunFilter())
    assert [(run.schedule_key, run.count) for run in runs] == [("cron:1", 3), ("cron:0", 3)]


async def test_rows_of_other_automations_are_not_shared(ledger: Ledger) -> None:
    paused = SkippedReason.PAUSED

    refs = await ledger.admit(
        [given.slot(NOW, "a", skip=paused), given.slot(NOW + MINUTE, "b", skip=paused)]
    )

    assert len({ref.run_id for ref in refs}) == 2


async def test_skipped_events_between_them_do_not_part_skipped_slots(ledger: Ledger) -> None:
    paused = SkippedReason.PAUSED
    await ledger.admit([given.slot(NOW, skip=paused)])
    await ledger.admit([given.start(skip=paused)])

    await ledger.admit([given.slot(NOW + MINUTE, skip=paused)])

    counts = [run.count for run in await ledger.list_runs(RunFilter()) if run.scheduled_for]
    assert counts == [2]


async def test_slots_skipped_by_the_limit_share_a_row_too(ledger: Ledger) -> None:
    await ledger.admit([given.slot(NOW, concurrency=1)])

    for number in (1, 2, 3):
        await ledger.admit([given.slot(NOW + number * MINUTE, concurrency=1)])

    newest, _ = await ledger.list_runs(RunFilter())
    assert (newest.reason, newest.count) == ("concurrency_limit", 3)
