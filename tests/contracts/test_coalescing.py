"""Starts of one key that follow each other become one: the newest runs, and says how many."""

import asyncio
from datetime import datetime, timedelta

import ledger_values as given
from ledger_values import DAY, HOUR, MINUTE, NOW

from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.run import Coalesce, Run, RunStatus, SkippedReason, Start
from amodal_rt.ports import Ledger, RunFilter

SECOND = timedelta(seconds=1)
RULE = Coalesce(key="k", window=30 * SECOND, longest=2 * MINUTE)
COALESCED = (RunStatus.SKIPPED, SkippedReason.COALESCED.value)


def joining(at: datetime = NOW, key: str = "k", **changed: object) -> Start:
    rule = Coalesce(key=key, window=RULE.window, longest=RULE.longest)
    return given.start(**{"coalesce": rule, "created_at": at, **changed})


async def run_of(ledger: Ledger, start: Start) -> Run:
    found = await ledger.find_run(start.run_id)
    assert found is not None
    return found


async def admitted(ledger: Ledger, *starts: Start) -> Run:
    """The run of the last of the starts, which came one by one."""
    for start in starts:
        await ledger.admit([start])
    return await run_of(ledger, starts[-1])


async def pending(ledger: Ledger) -> list[str]:
    runs = await ledger.list_runs(RunFilter(status=RunStatus.PENDING))
    return [run.run_id for run in runs]


async def test_the_first_waits_for_the_window(ledger: Ledger) -> None:
    run = await admitted(ledger, joining())

    assert (run.status, run.coalesce_key, run.superseded) == (RunStatus.PENDING, "k", 0)
    assert run.not_before == NOW + RULE.window
    assert await ledger.next_claimable_at() == run.not_before
    assert await ledger.claim(limit=9, overall=9, now=NOW + 29 * SECOND) == []
    (claimed,) = await ledger.claim(limit=9, overall=9, now=NOW + 30 * SECOND)
    assert claimed.run_id == run.run_id


async def test_the_newest_runs_and_counts_those_before_it(ledger: Ledger) -> None:
    starts = [joining(NOW + number * SECOND) for number in range(4)]

    run = await admitted(ledger, *starts)

    assert (run.superseded, run.not_before) == (3, NOW + 33 * SECOND)
    assert await pending(ledger) == [starts[-1].run_id]
    before = await run_of(ledger, starts[0])
    assert (before.status, before.reason) == COALESCED
    assert (before.rule, before.finished_at) == (
        f"coalesced into {starts[1].run_id}",
        starts[1].created_at,
    )
    (entry,) = await ledger.entries(before.run_id)
    assert entry.type is EntryType.RUN_FINISHED
    assert entry.data == {"status": "skipped", "reason": "coalesced", "rule": before.rule}


async def test_starts_of_one_call_become_one(ledger: Ledger) -> None:
    starts = [joining(concurrency=2, on_limit=OnLimit.SKIP) for _ in range(5)]

    refs = await ledger.admit([given.start(), *starts, given.start("other")])

    assert [ref.status for ref in refs] == [RunStatus.PENDING] * 7
    assert (await run_of(ledger, starts[-1])).superseded == 4
    assert len(await pending(ledger)) == 3


async def test_the_first_of_them_waits_no_longer_than_the_longest(ledger: Ledger) -> None:
    starts = [joining(NOW + number * 25 * SECOND) for number in range(6)]

    run = await admitted(ledger, *starts)

    assert run.created_at == NOW + 125 * SECOND
    assert run.not_before == run.created_at, "it is late already"
    before = [await run_of(ledger, start) for start in starts[3:5]]
    assert [each.not_before for each in before] == [NOW + 105 * SECOND, NOW + 2 * MINUTE]


async def test_one_that_began_is_not_superseded(ledger: Ledger) -> None:
    first = await admitted(ledger, joining())
    (claimed,) = await ledger.claim(limit=9, overall=9, now=NOW + MINUTE)
    at = NOW + MINUTE

    run = await admitted(ledger, joining(at))

    assert (await ledger.list_runs(RunFilter(status=RunStatus.RUNNING)))[0].run_id == first.run_id
    assert (run.superseded, run.not_before) == (0, at + RULE.window)
    failed = given.outcome(RunStatus.FAILED)
    await ledger.finish(claimed, failed, at=at, plan=given.nothing, retry_at=at + HOUR)
    again = await admitted(ledger, joining(at))
    assert (again.superseded, len(await pending(ledger))) == (1, 2)


async def test_keys_and_automations_stay_apart(ledger: Ledger) -> None:
    starts = [joining(), joining(key="K"), given.start(), joining(automation="other")]

    await ledger.admit(starts)

    assert len(await pending(ledger)) == 4


async def test_an_older_fact_that_comes_late_becomes_one_with_the_newer(ledger: Ledger) -> None:
    newer = joining(order_key="2")
    late, latest = joining(order_key="1"), joining(order_key="3")

    await ledger.admit([newer])
    (ref,) = await ledger.admit([late])

    assert (ref.status, ref.reason) == COALESCED
    assert (await run_of(ledger, late)).rule == f"coalesced into {newer.run_id}"
    assert (await run_of(ledger, newer)).superseded == 1
    assert (await admitted(ledger, latest)).superseded == 2
    assert await pending(ledger) == [latest.run_id]


async def test_who_is_superseded_uses_up_no_limit(ledger: Ledger) -> None:
    limits = {"concurrency": 1, "on_limit": OnLimit.SKIP, "starts_per_hour": 1}
    starts = [joining(NOW + number * SECOND, **limits) for number in range(4)]

    run = await admitted(ledger, *starts)

    assert (run.status, run.superseded) == (RunStatus.PENDING, 3)


async def test_a_start_over_a_limit_supersedes_nobody(ledger: Ledger) -> None:
    first = joining()
    await ledger.admit([first, given.start()])

    limits = {"concurrency": 1, "on_limit": OnLimit.SKIP}
    (over,) = await ledger.admit([joining(**limits)])
    (often,) = await ledger.admit([joining(starts_per_hour=1)])
    (paused,) = await ledger.admit([joining(skip=SkippedReason.PAUSED)])

    assert [over.reason, often.reason, paused.reason] == [
        "concurrency_limit",
        "rate_limit",
        "paused",
    ]
    assert first.run_id in await pending(ledger)
    assert (await run_of(ledger, first)).superseded == 0


async def test_starts_that_wait_for_their_window_hold_no_slot(ledger: Ledger) -> None:
    """Five branches within one second; nothing runs."""
    limits = {"concurrency": 3, "on_limit": OnLimit.SKIP}
    together = [joining(key=f"a{number}", **limits) for number in range(5)]
    apart = [joining(key=f"b{number}", **limits) for number in range(5)]

    refs = await ledger.admit(together)
    refs += [ref for start in apart for ref in await ledger.admit([start])]

    assert [ref.status for ref in refs] == [RunStatus.PENDING] * 10
    assert len(await ledger.claim(limit=99, overall=99, now=NOW + RULE.window)) == 3
    (over,) = await ledger.admit([joining(NOW + RULE.window, key="c", **limits)])
    assert over.reason == "concurrency_limit"


async def test_one_whose_window_is_over_gives_its_place_to_the_start_that_supersedes_it(
    ledger: Ledger,
) -> None:
    limits = {"concurrency": 1, "on_limit": OnLimit.SKIP}
    at = NOW + RULE.window
    await ledger.admit([joining(**limits)])

    another = given.start(created_at=at, **limits)
    (over, newer, now_free) = await ledger.admit(
        [another, joining(at, **limits), given.start(created_at=at, **limits)]
    )

    assert [over.reason, newer.reason, now_free.reason] == ["concurrency_limit", None, None]


async def test_what_was_started_long_ago_does_not_make_room(ledger: Ledger) -> None:
    """The hour's own starts count, whatever else is superseded."""
    old = joining(NOW - DAY)
    await ledger.admit([old, given.start()])

    (ref,) = await ledger.admit([joining(starts_per_hour=1)])

    assert ref.reason == "rate_limit"


async def test_one_that_was_superseded_gives_its_idempotency_key_back(ledger: Ledger) -> None:
    await ledger.admit([joining(idempotency_key="a"), joining(idempotency_key="b")])

    refs = await ledger.admit([joining(idempotency_key="b"), joining(idempotency_key="a")])

    assert [ref.reason for ref in refs] == ["duplicate", None]


async def test_starts_that_come_at_once_leave_one(ledger: Ledger, another: Ledger) -> None:
    async def accept(node: Ledger) -> None:
        event = given.event()
        start = joining(event_id=event.id)
        await node.accept(event, dedup=None, starts=[start], queue_limit=1000)

    await asyncio.gather(*(accept(node) for node in (ledger, another) * 10))

    (left,) = await ledger.list_runs(RunFilter(status=RunStatus.PENDING))
    assert left.superseded == 19


async def test_a_clock_that_was_ahead_makes_nobody_wait_for_it(ledger: Ledger) -> None:
    ahead = await admitted(ledger, joining(NOW + 365 * DAY))

    await ledger.shorten_waits(now=NOW, pauses=[MINUTE], kept=DAY, seen=True)

    assert (await run_of(ledger, joining(run_id=ahead.run_id))).not_before == NOW + RULE.window
    run = await admitted(ledger, joining())
    assert (run.superseded, run.not_before) == (1, NOW + RULE.window)
