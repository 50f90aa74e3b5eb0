"""`ports.RunLedger.park` and `answer`: runs that wait on purpose, sentence by sentence."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import ledger_values as given
import pytest
from ledger_values import CALLER, DAY, HOUR, MINUTE, NOW, status_of

from amodal_rt.domain.journal import Entry, EntryType
from amodal_rt.domain.outcome import Waiting
from amodal_rt.domain.run import Run
from amodal_rt.domain.wait import Wait, WaitReason
from amodal_rt.errors import NotFoundError
from amodal_rt.ports import Ledger

YES: Mapping[str, object] = {"approved": True, "by": "ada", "note": None}


async def parked(
    ledger: Ledger, until: datetime | None = None, reason: str = "waiting", **changed: Any
) -> Run:
    run = await given.running(ledger, **changed)
    assert await ledger.park(run, Waiting(reason=reason, until=until), at=NOW)
    found = await ledger.find_run(run.run_id)
    assert found is not None
    return found


async def asked(ledger: Ledger, step: str = "ask") -> Run:
    """A run that waits at `step` for an answer, for a day."""
    run = await given.running(ledger)
    told = {"node": "ask", "reason": "awaiting_approval"}
    await ledger.record(run.run_id, EntryType.NODE_WAITING, at=NOW, step=step, data=told)
    waiting = Waiting(reason="awaiting_approval", until=NOW + DAY)
    assert await ledger.park(run, waiting, at=NOW)
    return run


async def claimed(ledger: Ledger, now: datetime) -> list[str]:
    return [run.run_id for run in await ledger.claim(limit=10, overall=1000, now=now)]


async def newest(ledger: Ledger, run: Run) -> Entry:
    return (await ledger.entries(run.run_id))[-1]


async def test_a_parked_run_is_claimed_at_its_instant_and_goes_on(ledger: Ledger) -> None:
    run = await parked(ledger, NOW + HOUR)

    assert await claimed(ledger, NOW + HOUR - MINUTE) == []
    (again,) = await ledger.claim(limit=10, overall=1000, now=NOW + HOUR)

    assert again.run_id == run.run_id
    assert (again.status.value, again.reason, again.not_before) == ("running", None, None)
    assert (again.attempt, again.resumes, again.term) == (1, 1, 2)
    assert again.started_at == NOW


async def test_the_journal_says_that_a_run_waits_and_until_when(ledger: Ledger) -> None:
    run = await parked(ledger, NOW + HOUR)

    entry = await newest(ledger, run)

    assert (entry.type, entry.attempt) == (EntryType.RUN_WAITING, 1)
    assert entry.data == {"reason": "waiting", "until": "2026-03-02T10:00:00Z"}


async def test_the_instant_of_a_parked_run_wakes_the_engine(ledger: Ledger) -> None:
    await parked(ledger, reason="awaiting_approval")
    assert await ledger.next_claimable_at() is None

    await parked(ledger, NOW + HOUR)

    assert await ledger.next_claimable_at() == NOW + HOUR


async def test_it_says_until_when_it_is_parked_and_then_that_it_is_next(ledger: Ledger) -> None:
    run = await parked(ledger, NOW + HOUR)

    early = await ledger.waits([run.run_id], overall=9, now=NOW)
    late = await ledger.waits([run.run_id], overall=9, now=NOW + HOUR)
    full = await ledger.waits([run.run_id], overall=0, now=NOW + HOUR)

    assert early[run.run_id] == Wait(reason=WaitReason.PARKED, until=NOW + HOUR)
    assert late[run.run_id] == Wait(reason=WaitReason.NEXT)
    assert full[run.run_id] == Wait(reason=WaitReason.GLOBAL_LIMIT, limit=0)


async def test_a_run_that_is_due_again_obeys_the_limits_of_its_automation(ledger: Ledger) -> None:
    run = await parked(ledger, NOW + HOUR, concurrency=1)
    other = await given.running(ledger, concurrency=1)

    assert await claimed(ledger, NOW + HOUR) == []
    found = await ledger.waits([run.run_id], overall=9, now=NOW + HOUR)

    assert found[run.run_id].runs == (other.run_id,)


async def test_a_run_that_is_due_again_is_never_skipped_for_waiting_too_long(
    ledger: Ledger,
) -> None:
    run = await parked(ledger, NOW + HOUR)

    assert await ledger.held_back(overall=0, now=NOW + DAY) == []
    assert await ledger.expire([run.run_id], at=NOW + DAY) == []


async def test_a_due_run_takes_its_place_in_its_conversation(ledger: Ledger) -> None:
    keyed: dict[str, Any] = {"conversation_key": "k", "concurrency": 9}
    first = await parked(ledger, NOW + HOUR, order_key="1", **keyed)
    second = given.start(order_key="2", **keyed)
    await ledger.admit([second])

    assert await claimed(ledger, NOW + HOUR) == [first.run_id]


async def test_a_clock_that_was_ahead_lets_a_parked_run_wait_no_longer(ledger: Ledger) -> None:
    run = await given.running(ledger)
    waiting = Waiting(reason="waiting", until=NOW + 2 * DAY)
    await ledger.park(run, waiting, at=NOW + DAY)

    await ledger.shorten_waits(now=NOW, pauses=(MINUTE,), kept=DAY, seen=False)

    found = await ledger.find_run(run.run_id)
    assert found is not None
    assert found.not_before == NOW + DAY


async def test_a_paused_automation_cancels_what_is_parked(ledger: Ledger) -> None:
    run = await parked(ledger, NOW + HOUR)

    await ledger.set_paused("digest", paused=True, reason=None, caller=CALLER, at=NOW)

    assert (await status_of(ledger, run.run_id))[0] == "cancelled"
    assert await claimed(ledger, NOW + HOUR) == []


async def test_a_parked_run_that_somebody_ended_while_it_ran_is_cancelled(ledger: Ledger) -> None:
    run = await given.running(ledger)
    await ledger.cancel(run.run_id, caller=CALLER, at=NOW)

    await ledger.park(run, Waiting(reason="waiting", until=NOW + HOUR), at=NOW)

    assert (await status_of(ledger, run.run_id))[0] == "cancelled"


async def test_an_answer_stands_in_the_journal_and_makes_the_run_due(ledger: Ledger) -> None:
    run = await asked(ledger)

    assert await ledger.answer(run.run_id, step="ask", data=YES, at=NOW + MINUTE)

    entry = await newest(ledger, run)
    assert (entry.type, entry.step, entry.data) == (EntryType.APPROVAL_ANSWERED, "ask", YES)
    assert await claimed(ledger, NOW + MINUTE) == [run.run_id]


async def test_only_the_first_answer_counts(ledger: Ledger) -> None:
    run = await asked(ledger)

    assert await ledger.answer(run.run_id, step="ask", data=YES, at=NOW)
    assert not await ledger.answer(run.run_id, step="ask", data={"approved": False}, at=NOW)

    assert (await newest(ledger, run)).data == YES


@pytest.mark.parametrize("step", ["other", "ask#2"])
async def test_an_answer_to_another_question_is_refused(ledger: Ledger, step: str) -> None:
    run = await asked(ledger)

    assert not await ledger.answer(run.run_id, step=step, data=YES, at=NOW)

    assert await claimed(ledger, NOW) == []


async def test_what_waits_for_time_alone_or_runs_takes_no_answer(ledger: Ledger) -> None:
    waiting = await parked(ledger, NOW + HOUR)
    running = await given.running(ledger, "other")

    for run in (waiting, running):
        assert not await ledger.answer(run.run_id, step="ask", data=YES, at=NOW)
    with pytest.raises(NotFoundError):
        await ledger.answer("run_none", step="ask", data=YES, at=NOW)
