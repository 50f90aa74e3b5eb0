"""What a gate saw, runs that it stopped, and completed runs that owe nothing."""

import asyncio

import ledger_values as given
import pytest
from ledger_values import MINUTE, NOW

from amodal_rt.domain.delivery import Plan
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import GateValue, Outcome
from amodal_rt.domain.run import Run, RunStatus, Usage
from amodal_rt.ports import Ledger


def saw(value: str, since: int = 0, until: int | None = None, over: str | None = None) -> GateValue:
    """What a gate saw that read from `since` to `until`, in minutes."""
    ends = since if until is None else until
    return GateValue(value=value, since=NOW + since * MINUTE, until=NOW + ends * MINUTE, over=over)


STOPPED = Outcome(
    status=RunStatus.SKIPPED, reason="filtered", error="when: nothing new", gate=saw('"e2"')
)


async def kept(ledger: Ledger, automation: str) -> str | None:
    return (await ledger.gate_value(automation)).value


async def ended(ledger: Ledger, outcome: Outcome, plan: Plan = Plan(), **changed: object) -> Run:  # noqa: B008
    run = await given.running(ledger, **changed)  # pyright: ignore[reportArgumentType]
    assert await ledger.finish(run, outcome, at=NOW + MINUTE, plan=lambda _: plan)
    found = await ledger.find_run(run.run_id)
    assert found is not None
    return found


async def test_a_gate_that_never_saw_anything_has_no_value(ledger: Ledger) -> None:
    assert await kept(ledger, "digest") is None
    await ended(ledger, given.outcome())
    assert await kept(ledger, "digest") is None


async def test_the_value_moves_when_a_run_completed_and_only_then(ledger: Ledger) -> None:
    await ended(ledger, given.outcome(gate=saw('"e1"')))
    assert await kept(ledger, "digest") == '"e1"'

    for status in (RunStatus.FAILED, RunStatus.CANCELLED):
        await ended(ledger, given.outcome(status, gate=saw('"e2"')))
    await ended(ledger, STOPPED)
    await ended(ledger, given.outcome())
    assert await kept(ledger, "digest") == '"e1"'

    await ended(ledger, given.outcome(gate=saw("null", since=1)))
    assert await kept(ledger, "digest") == "null"
    assert await kept(ledger, "other") is None


async def test_a_value_names_the_run_that_kept_it_and_the_instant(
    ledger: Ledger, clock: given.HeldClock
) -> None:
    before = await ledger.gate_value("digest")
    run = await ended(ledger, given.outcome(gate=saw('"e1"')))
    clock.instant += MINUTE
    after = await ledger.gate_value("digest")

    assert (before.value, before.run_id) == (None, None)
    assert (after.value, after.run_id) == ('"e1"', run.run_id)
    # PostgreSQL counts by its own clock, which no test moves.
    assert after.at >= before.at


OLDER, NEWER = saw('"older"', since=1, until=2), saw('"newer"', since=3, until=4)


@pytest.mark.parametrize("order", [(OLDER, NEWER), (NEWER, OLDER)])
async def test_of_two_runs_side_by_side_the_one_that_read_last_is_kept(
    ledger: Ledger, another: Ledger, order: tuple[GateValue, GateValue]
) -> None:
    first, last = [await given.running(each) for each in (ledger, another)]

    await ledger.finish(first, given.outcome(gate=order[0]), at=NOW, plan=given.nothing)
    await another.finish(last, given.outcome(gate=order[1]), at=NOW, plan=given.nothing)

    assert await kept(ledger, "digest") == '"newer"'


async def test_two_runs_that_end_at_once_keep_the_newer(ledger: Ledger, another: Ledger) -> None:
    for turn in range(8):
        runs = [await given.running(each, automation=f"a{turn}") for each in (ledger, another)]
        gates = (OLDER, NEWER) if turn % 2 else (NEWER, OLDER)

        await asyncio.gather(
            *(
                each.finish(run, given.outcome(gate=gate), at=NOW, plan=given.nothing)
                for each, run, gate in zip((ledger, another), runs, gates, strict=True)
            )
        )

        assert await kept(ledger, f"a{turn}") == '"newer"'


async def test_of_two_readings_at_once_the_one_kept_first_stays(ledger: Ledger) -> None:
    await ended(ledger, given.outcome(gate=saw('"a"', since=1, until=3)))
    await ended(ledger, given.outcome(gate=saw('"b"', since=2, until=4)))
    assert await kept(ledger, "digest") == '"a"'

    await ended(ledger, given.outcome(gate=saw('"c"', since=4, until=5)))
    assert await kept(ledger, "digest") == '"c"'


async def test_a_clock_that_was_set_back_keeps_nothing_from_being_kept(ledger: Ledger) -> None:
    first = await ended(ledger, given.outcome(gate=saw('"e1"', since=9)))

    await ended(ledger, given.outcome(gate=saw('"e2"', since=1, over=first.run_id)))
    assert await kept(ledger, "digest") == '"e2"'

    await ended(ledger, given.outcome(gate=saw('"e3"', over=first.run_id)))
    assert await kept(ledger, "digest") == '"e2"', "another run has kept one since"


async def test_a_rehearsal_moves_no_value(ledger: Ledger) -> None:
    await ended(ledger, given.outcome(gate=saw('"e1"'), model="rehearsal"))
    await ended(ledger, given.outcome(gate=saw('"e1"')), rehearse=True)

    assert await kept(ledger, "digest") is None


async def test_a_run_that_is_tried_again_moves_no_value(ledger: Ledger) -> None:
    run = await given.running(ledger)
    failed = given.outcome(RunStatus.FAILED, gate=saw('"e1"'))
    await ledger.finish(run, failed, at=NOW, plan=given.nothing, retry_at=NOW + MINUTE)

    assert await kept(ledger, "digest") is None


async def test_who_lost_the_run_moves_no_value(ledger: Ledger) -> None:
    run = await given.running(ledger)
    await ledger.finish(run, given.outcome(gate=saw('"e1"')), at=NOW, plan=given.nothing)

    assert not await ledger.finish(run, given.outcome(gate=saw('"e2"')), at=NOW, plan=given.nothing)

    assert await kept(ledger, "digest") == '"e1"'


async def test_a_run_that_its_gate_stopped_is_skipped(ledger: Ledger) -> None:
    run = await ended(ledger, STOPPED)

    assert (run.status, run.reason, run.rule) == (
        RunStatus.SKIPPED,
        "filtered",
        "when: nothing new",
    )
    assert (run.error, run.started_at, run.finished_at) == (None, None, NOW + MINUTE)
    (entry,) = await ledger.entries(run.run_id)
    assert entry.type is EntryType.RUN_FINISHED
    assert (entry.data["status"], entry.data["reason"], entry.data["rule"]) == (
        "skipped",
        "filtered",
        "when: nothing new",
    )
    assert run.run_id not in {each.run_id for each in (await ledger.last_runs()).values()}


async def test_a_skipped_run_owes_nothing_and_counts_nothing(ledger: Ledger) -> None:
    await ended(ledger, given.outcome(RunStatus.FAILED))
    owed = Plan((given.message(None),), ("a note",), (given.event(),))

    run = await ended(ledger, STOPPED, owed)

    assert await ledger.unmatched(limit=9) == []
    assert len(await ledger.entries(run.run_id)) == 1
    seen: list[int] = []
    last = await given.running(ledger)

    def look(state: object) -> Plan:
        seen.append(state.consecutive)  # pyright: ignore[reportAttributeAccessIssue]
        return Plan()

    await ledger.finish(last, given.outcome(RunStatus.FAILED), at=NOW, plan=look)
    assert seen == [2], "neither a failure nor a success"


async def test_a_skipped_run_is_not_tried_again(ledger: Ledger) -> None:
    run = await given.running(ledger)

    await ledger.finish(run, STOPPED, at=NOW, plan=given.nothing, retry_at=NOW + MINUTE)

    assert await ledger.claim(limit=9, overall=9, now=NOW + 2 * MINUTE) == []


async def test_a_skipped_run_says_what_it_cost(ledger: Ledger) -> None:
    spent = Outcome(status=RunStatus.SKIPPED, reason="filtered", usage=Usage(input_tokens=3))

    assert (await ended(ledger, spent)).usage.input_tokens == 3


async def test_a_completed_run_takes_the_reason_of_its_plan(ledger: Ledger) -> None:
    run = await ended(ledger, given.outcome(), Plan(reason="quiet"))

    assert (run.status, run.reason) == (RunStatus.COMPLETED, "quiet")
    (entry,) = await ledger.entries(run.run_id)
    assert entry.data["reason"] == "quiet"


async def test_a_failed_run_keeps_its_own_reason(ledger: Ledger) -> None:
    failed = given.outcome(RunStatus.FAILED, reason="error")

    assert (await ended(ledger, failed, Plan(reason="quiet"))).reason == "error"
