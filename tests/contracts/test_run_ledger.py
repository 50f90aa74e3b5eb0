"""`ports.RunLedger.cancel`, `skip_pending` and what it answers, sentence by sentence."""

import ledger_values as given
import pytest
from ledger_values import CALLER, HOUR, MINUTE, NOW, ids, status_of

from amodal_rt.domain.delivery import FailureState, MessageKind
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.run import Run, RunStatus, SkippedReason
from amodal_rt.errors import NotFoundError
from amodal_rt.ports import Ledger

# cancel and skip


async def test_cancel_ends_a_pending_run_and_says_what_it_was(ledger: Ledger) -> None:
    start = given.start()
    await ledger.admit([start])

    assert await ledger.cancel(start.run_id, caller=CALLER, at=NOW) is RunStatus.PENDING
    assert await ledger.cancel(start.run_id, caller=CALLER, at=NOW) is RunStatus.CANCELLED

    run = await ledger.find_run(start.run_id)
    assert run is not None
    assert (run.status, run.finished_at) == (RunStatus.CANCELLED, NOW)
    assert run.rule == "cancelled by ada (cli)"
    assert await ledger.claim(limit=1, overall=1000, now=NOW) == []
    assert [entry.type for entry in await ledger.entries(start.run_id)] == [EntryType.RUN_FINISHED]


async def test_cancel_leaves_a_running_run_to_its_supervisor(ledger: Ledger) -> None:
    run = await given.running(ledger)

    assert await ledger.cancel(run.run_id, caller=CALLER, at=NOW) is RunStatus.RUNNING
    assert await ledger.find_run(run.run_id) == run


async def test_cancel_of_an_unknown_run_is_not_found(ledger: Ledger) -> None:
    with pytest.raises(NotFoundError):
        await ledger.cancel("run_none", caller=CALLER, at=NOW)


async def test_cancel_pending_ends_all_pending_runs_of_an_automation(ledger: Ledger) -> None:
    running = await given.running(ledger)
    mine, other = [given.start(), given.start()], given.start("other")
    await ledger.admit([*mine, other])

    cancelled = await ledger.cancel_pending("digest", rule="deleted", caller=CALLER, at=NOW)

    assert cancelled == [start.run_id for start in mine]
    assert [await status_of(ledger, run_id) for run_id in cancelled] == [("cancelled", None)] * 2
    assert await status_of(ledger, other.run_id) == ("pending", None)
    assert await status_of(ledger, running.run_id) == ("running", None)


async def test_skip_pending_ends_one_pending_run_as_skipped(ledger: Ledger) -> None:
    start = given.start()
    await ledger.admit([start])
    reason = SkippedReason.STALE

    assert await ledger.skip_pending(start.run_id, reason=reason, rule="too old", at=NOW)
    assert not await ledger.skip_pending(start.run_id, reason=reason, rule="too old", at=NOW)

    run = await ledger.find_run(start.run_id)
    assert run is not None
    assert (run.status, run.reason, run.rule) == (RunStatus.SKIPPED, "stale", "too old")


# questions


async def test_unknown_runs_are_none(ledger: Ledger) -> None:
    assert await ledger.find_run("run_none") is None


async def test_runs_are_listed_newest_first_up_to_the_limit(ledger: Ledger) -> None:
    starts = [given.start() for _ in range(4)]
    await ledger.admit(starts)

    assert await ids(ledger, limit=3) == [start.run_id for start in starts[:0:-1]]


async def test_each_filter_keeps_what_it_names(ledger: Ledger) -> None:
    await given.finished(ledger, "done")
    early = given.start("early", created_at=NOW - HOUR)
    caused = given.start("caused", event_id="evt_9")
    await ledger.admit([early, caused])

    assert await ids(ledger, automation="early") == [early.run_id]
    assert await ids(ledger, status=RunStatus.PENDING) == [caused.run_id, early.run_id]
    assert await ids(ledger, event_id="evt_9") == [caused.run_id]
    assert early.run_id not in await ids(ledger, since=NOW)
    assert await ids(ledger, automation="caused", status=RunStatus.FAILED) == []


async def test_at_keeps_runs_whose_slots_cover_the_instant(ledger: Ledger) -> None:
    made = NOW + 5 * HOUR
    stretch = given.slot(
        NOW, skip=SkippedReason.MISSED, scheduled_until=NOW + HOUR, created_at=made
    )
    one = given.slot(NOW + 2 * HOUR, created_at=made, skip=SkippedReason.PAUSED)
    await ledger.admit([stretch, one])

    for minutes, expected in ((-1, []), (0, [stretch]), (30, [stretch]), (60, [stretch])):
        at = NOW + minutes * MINUTE
        assert await ids(ledger, at=at) == [start.run_id for start in expected]
    assert await ids(ledger, at=NOW + 2 * HOUR) == [one.run_id]
    assert await ids(ledger, at=NOW + 3 * HOUR) == []


async def test_at_keeps_runs_that_were_made_or_under_way_at_the_instant(ledger: Ledger) -> None:
    run = await given.finished(ledger, at=NOW + HOUR)
    skipped = given.start(skip=SkippedReason.FILTERED, created_at=NOW + HOUR)
    await ledger.admit([skipped])
    still = await given.running(ledger, "still", created_at=NOW + HOUR)

    assert await ids(ledger, at=NOW - MINUTE) == []
    assert await ids(ledger, at=NOW) == [run.run_id]
    assert await ids(ledger, at=NOW + 30 * MINUTE) == [run.run_id]
    assert await ids(ledger, at=NOW + HOUR) == [still.run_id, skipped.run_id, run.run_id]
    assert await ids(ledger, at=NOW + 2 * HOUR) == [still.run_id]


async def test_last_runs_are_the_newest_of_each_automation_that_are_not_skipped(
    ledger: Ledger,
) -> None:
    await given.finished(ledger, "a")
    newest = given.start("a")
    skipped = given.start("a", skip=SkippedReason.PAUSED)
    only_skipped = given.start("b", skip=SkippedReason.PAUSED)
    other = given.start("c")
    await ledger.admit([newest, skipped, only_skipped, other])

    last = await ledger.last_runs()

    assert {name: run.run_id for name, run in last.items()} == {
        "a": newest.run_id,
        "c": other.run_id,
    }
    assert all(isinstance(run, Run) for run in last.values())


async def test_previous_is_the_last_completed_run_that_no_rehearsal_served(
    ledger: Ledger,
) -> None:
    assert await ledger.previous("digest", None) is None
    await given.finished(ledger, text="first", at=NOW + MINUTE)
    told = await given.finished(ledger, text="second", at=NOW + 2 * MINUTE)
    await given.finished(ledger, text="pretend", model="rehearsal", at=NOW + 3 * MINUTE)
    await given.finished(ledger, status=RunStatus.FAILED, at=NOW + 4 * MINUTE)
    await given.finished(ledger, "other", text="elsewhere", at=NOW + 5 * MINUTE)

    previous = await ledger.previous("digest", None)

    assert previous is not None
    assert (previous.run_id, previous.summary) == (told.run_id, "second")
    assert previous.finished_at == NOW + 2 * MINUTE


async def test_previous_of_a_conversation_is_of_that_conversation(ledger: Ledger) -> None:
    run = await given.running(ledger, conversation_key="k")
    await ledger.finish(run, given.outcome(text="in k"), at=NOW, plan=given.nothing)
    await given.finished(ledger, text="outside", at=NOW + MINUTE)

    previous = await ledger.previous("digest", "k")

    assert previous is not None
    assert previous.summary == "in k"
    assert await ledger.previous("digest", "l") is None


async def test_writes_since_counts_writes_that_the_automations_runs_started(
    ledger: Ledger,
) -> None:
    one, two, other = [await given.running(ledger, name) for name in ("digest", "digest", "other")]
    for run, minutes in ((one, -2), (one, 0), (two, 1), (other, 1)):
        at = NOW + minutes * MINUTE
        await ledger.record(run.run_id, EntryType.WRITE_STARTED, at=at, step="s")
        await ledger.record(run.run_id, EntryType.WRITE_FINISHED, at=at, step="s")

    assert await ledger.writes_since("digest", NOW) == 2
    assert await ledger.writes_since("digest", NOW - HOUR) == 3
    assert await ledger.writes_since("digest", NOW - HOUR, until=NOW) == 2
    assert await ledger.writes_since("digest", NOW - HOUR, until=NOW - MINUTE) == 1
    assert await ledger.writes_since("none", NOW - HOUR) == 0


async def test_messages_of_kinds_stay_apart_in_the_failure_state(ledger: Ledger) -> None:
    """An owed result is no open alert."""
    run = await given.running(ledger)
    plan = given.owing(given.message(run.run_id, kind=MessageKind.RESULT))
    await ledger.finish(run, given.outcome(), at=NOW, plan=plan)

    assert await ledger.failure_state("digest") == FailureState()
