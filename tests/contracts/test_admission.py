"""`ports.RunLedger.admit`, sentence by sentence."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import ledger_values as given
import pytest
from ledger_values import DAY, HOUR, MINUTE, NOW

from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.run import RunStatus, SkippedReason, Start
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.ports import Ledger, RunFilter, RunRef, ScheduleState


def ruled(refs: list[RunRef]) -> list[tuple[str, str | None]]:
    return [(ref.status.value, ref.reason) for ref in refs]


PENDING = ("pending", None)
FULL = ("skipped", "concurrency_limit")


async def test_one_ref_per_row_in_order(ledger: Ledger) -> None:
    starts = [given.start("b"), given.start("a"), given.start("b")]

    refs = await ledger.admit(starts)

    assert [(ref.run_id, ref.automation) for ref in refs] == [
        (start.run_id, start.automation) for start in starts
    ]
    assert ruled(refs) == [PENDING] * 3


async def test_nothing_to_admit_is_no_work(ledger: Ledger) -> None:
    assert await ledger.admit([]) == []


async def test_everything_a_start_says_is_in_the_run(ledger: Ledger) -> None:
    start = given.start(
        trigger=TriggerKind.CATCH_UP,
        event_id="evt_1",
        payload={"scheduled_at": "2026-03-02T09:00:00Z"},
        scheduled_for=NOW,
        scheduled_until=NOW + HOUR,
        schedule_key="cron:0",
        count=4,
        depth=2,
        requester="ada@example.com",
        actor="octocat",
        door="cron",
        conversation_key="thread-1",
        order_key="0007#d",
        idempotency_key="once",
        fault="the template prints nothing",
        rehearse=True,
        rule="catchUp last",
    )
    await ledger.admit([start])

    run = await ledger.find_run(start.run_id)

    assert run is not None
    for field in start.__dataclass_fields__:
        if field not in ("skip", "concurrency", "on_limit", "starts_per_hour", "coalesce"):
            assert getattr(run, field) == getattr(start, field), field
    assert (run.status, run.attempt, run.term, run.started_at) == (RunStatus.PENDING, 1, 0, None)


@pytest.mark.parametrize("payload", [None, "", 0, False, [], {}, "null", {"a": None}])
async def test_payload_is_any_json_value(ledger: Ledger, payload: object) -> None:
    start = given.start(payload=payload)
    await ledger.admit([start])

    run = await ledger.find_run(start.run_id)

    assert run is not None
    assert run.payload == payload
    assert type(run.payload) is type(payload)


async def test_a_start_with_skip_becomes_a_skipped_row(ledger: Ledger) -> None:
    start = given.start(skip=SkippedReason.FILTERED, rule="filter action in [opened]")

    refs = await ledger.admit([start])

    assert ruled(refs) == [("skipped", "filtered")]
    run = await ledger.find_run(start.run_id)
    assert run is not None
    assert (run.status, run.reason, run.rule) == (
        RunStatus.SKIPPED,
        "filtered",
        "filter action in [opened]",
    )


async def test_over_its_limit_a_start_that_skips_is_skipped_with_the_rule(ledger: Ledger) -> None:
    starts = [given.start(on_limit=OnLimit.SKIP, concurrency=2) for _ in range(3)]

    refs = await ledger.admit(starts)

    assert ruled(refs) == [PENDING, PENDING, FULL]
    run = await ledger.find_run(starts[2].run_id)
    assert run is not None
    assert run.rule == "limits.concurrency 2"


async def test_running_and_pending_runs_count_against_the_limit(ledger: Ledger) -> None:
    await ledger.admit([given.start(), given.start()])
    await ledger.claim(limit=1, overall=1000, now=NOW)

    refs = await ledger.admit(
        [given.start(on_limit=OnLimit.SKIP), given.start(on_limit=OnLimit.SKIP)]
    )

    assert ruled(refs) == [PENDING, FULL]


@pytest.mark.parametrize("others", [0, 30])
async def test_runs_that_wait_for_their_next_attempt_hold_no_slot_until_it_is_due(
    ledger: Ledger, others: int
) -> None:
    starts = [given.start() for _ in range(3)]
    await ledger.admit(starts)
    for run in await ledger.claim(limit=9, overall=9, now=NOW):
        failed = given.outcome(RunStatus.FAILED)
        await ledger.finish(run, failed, at=NOW, plan=given.nothing, retry_at=NOW + MINUTE)

    def wishes(at: datetime) -> list[Start]:
        names = ["digest", *(f"a{number}" for number in range(others))]
        return [given.start(name, on_limit=OnLimit.SKIP, created_at=at) for name in names]

    early = await ledger.admit(wishes(NOW + MINUTE - timedelta(seconds=1)))
    late = await ledger.admit(wishes(NOW + MINUTE))

    assert ruled(early) == [PENDING] * (1 + others)
    assert ruled(late) == [FULL] + [PENDING] * others


async def test_limits_of_many_automations_are_kept_apart(ledger: Ledger) -> None:
    """More automations than are counted one by one."""
    names = [f"a{number}" for number in range(40)]
    await ledger.admit([given.start(name) for name in names[::2] for _ in range(3)])

    refs = await ledger.admit([given.start(name, on_limit=OnLimit.SKIP) for name in names])

    assert ruled(refs) == [FULL, PENDING] * 20


async def test_over_its_limit_a_start_that_queues_waits(ledger: Ledger) -> None:
    refs = await ledger.admit([given.start(concurrency=1) for _ in range(3)])

    assert ruled(refs) == [PENDING] * 3


async def test_ended_runs_do_not_count_against_the_limit(ledger: Ledger) -> None:
    for _ in range(3):
        await given.finished(ledger)

    assert ruled(await ledger.admit([given.start(on_limit=OnLimit.SKIP)])) == [PENDING]


async def test_over_starts_per_hour_a_start_is_skipped_with_the_rule(ledger: Ledger) -> None:
    limit: dict[str, Any] = {"starts_per_hour": 2}
    await ledger.admit([given.start(created_at=NOW - HOUR, **limit)])
    await ledger.admit([given.start(created_at=NOW - HOUR + MINUTE, **limit)])
    start = given.start(**limit)

    refs = await ledger.admit([given.start(**limit), start])

    assert ruled(refs) == [PENDING, ("skipped", "rate_limit")]
    run = await ledger.find_run(start.run_id)
    assert run is not None
    assert run.rule == "limits.startsPerHour 2"


@pytest.mark.parametrize("kind", [TriggerKind.MANUAL, TriggerKind.WEBHOOK, TriggerKind.EVENT])
async def test_every_start_counts_against_the_rate_however_it_came(
    ledger: Ledger, kind: TriggerKind
) -> None:
    limit: dict[str, Any] = {"starts_per_hour": 2}
    for each in (TriggerKind.MANUAL, TriggerKind.WEBHOOK):
        await ledger.admit([given.start(trigger=each, **limit)])

    refs = await ledger.admit([given.start(trigger=kind, **limit)])

    assert ruled(refs) == [("skipped", "rate_limit")]


async def test_starts_of_a_clock_that_was_ahead_do_not_count_against_the_rate(
    ledger: Ledger,
) -> None:
    limit: dict[str, Any] = {"starts_per_hour": 2}
    await ledger.admit([given.start(created_at=NOW + MINUTE / 2, **limit)])
    for _ in range(2):
        await ledger.admit([given.start(created_at=NOW + DAY, **limit)])

    refs = await ledger.admit([given.start(**limit), given.start(**limit)])

    assert ruled(refs) == [PENDING, ("skipped", "rate_limit")]


async def test_skipped_starts_do_not_count_against_the_rate(ledger: Ledger) -> None:
    paused = given.start(skip=SkippedReason.PAUSED)
    await ledger.admit([paused])

    assert ruled(await ledger.admit([given.start(starts_per_hour=1)])) == [PENDING]


async def test_a_slot_already_taken_adds_no_row_and_gives_no_ref(ledger: Ledger) -> None:
    first = await ledger.admit([given.slot(NOW)])

    again = await ledger.admit([given.slot(NOW), given.slot(NOW + MINUTE)])

    assert len(first) == 1
    assert len(again) == 1
    assert len(await ledger.list_runs(RunFilter())) == 2


async def test_slots_are_taken_once_by_many_who_ask_at_once(ledger: Ledger) -> None:
    batches = [[given.slot(NOW, f"a{number}") for number in range(30)] for _ in range(8)]

    refs = await asyncio.gather(*(ledger.admit(batch) for batch in batches))

    assert sum(map(len, refs)) == 30
    assert len(await ledger.list_runs(RunFilter(limit=1000))) == 30


async def test_one_taken_slot_among_many_leaves_the_others(ledger: Ledger) -> None:
    await ledger.admit([given.slot(NOW, "a7")])

    refs = await ledger.admit([given.slot(NOW, f"a{number}") for number in range(30)])

    assert [ref.automation for ref in refs] == [f"a{n}" for n in range(30) if n != 7]


async def test_one_instant_twice_in_one_call_is_one_slot(ledger: Ledger) -> None:
    refs = await ledger.admit([given.slot(NOW) for _ in range(30)])

    assert len(refs) == 1


async def test_starts_without_slot_are_never_taken(ledger: Ledger) -> None:
    assert len(await ledger.admit([given.start(), given.start()])) == 2


async def test_a_slot_that_was_ruled_on_moves_its_schedule(ledger: Ledger) -> None:
    """Where `last_slot` is the newest slot that was ruled on, a crash cannot part the two."""
    state = ScheduleState(
        automation="digest", key="cron:0", fingerprint="f", counted_from=NOW - HOUR
    )
    await ledger.set_schedule_states([state])

    until = NOW + timedelta(minutes=30)
    await ledger.admit([given.slot(NOW, skip=SkippedReason.MISSED, scheduled_until=until)])
    await ledger.admit([given.slot(NOW - MINUTE)])

    (found,) = await ledger.schedule_states()
    assert found.last_slot == until


async def test_a_failing_start_leaves_none_of_its_call(ledger: Ledger) -> None:
    first = given.start()

    with pytest.raises(Exception, match="refused a row"):
        await ledger.admit([first, given.start(run_id=first.run_id)])

    assert await ledger.find_run(first.run_id) is None


async def test_what_was_expected_is_admitted_as_it_is_wanted_then(ledger: Ledger) -> None:
    first, changed, dropped, other = (given.slot(NOW, each) for each in ("a", "b", "c", "d"))
    ledger.expect([first, changed])
    ledger.expect([dropped])
    now = replace(changed, title="Renamed", skip=SkippedReason.PAUSED, rule="paused")

    refs = await ledger.admit([first, now, other])

    assert ruled(refs) == [PENDING, ("skipped", "paused"), PENDING]
    titles = {each.run_id: each.title for each in await ledger.list_runs(RunFilter(limit=10))}
    assert titles == {each.run_id: each.title for each in (first, now, other)}


async def test_what_was_expected_of_another_instant_can_still_be_admitted(ledger: Ledger) -> None:
    early, late = given.slot(NOW, "a"), given.slot(NOW + HOUR, "a")
    ledger.expect([early])
    ledger.expect([late])

    refs = [*await ledger.admit([early]), *await ledger.admit([late])]

    assert [each.run_id for each in refs] == [early.run_id, late.run_id]
    slots = [each.scheduled_for for each in await ledger.list_runs(RunFilter(limit=10))]
    assert sorted(filter(None, slots)) == [NOW, NOW + HOUR]
