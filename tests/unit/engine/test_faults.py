"""Runs that can only fail, and runs that their gate stops: no model, one row, the right count."""

from dataclasses import replace

import pytest

from amodal_rt.domain.outcome import GateValue, Outcome
from amodal_rt.domain.run import RunStatus
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.ids import SystemIds
from amodal_rt.ports import RUNS_PENDING
from amodal_rt.triggers.starts import start_for

FAULT = "template_render_failed: payload.issue is undefined"
TOLD = {"targets": [{"type": "callback", "name": "ops"}]}


async def _faulty(desk, definition) -> str:
    start = start_for(
        definition, TriggerKind.EVENT, ids=SystemIds(desk.clock), now=desk.clock.now()
    )
    (ref,) = await desk.ledger.admit([replace(start, fault=FAULT)])
    desk.signals.notify(RUNS_PENDING)
    return ref.run_id


async def test_a_run_with_a_fault_fails_at_once_and_no_executor_sees_it(desk):
    definition = desk.put("job", retry={"attempts": 3}, failureAlert=TOLD)

    async with desk.running():
        run_id = await _faulty(desk, definition)
        await desk.clock.settle()

    run = await desk.run(run_id)
    assert (run.status, run.reason, run.error) == ("failed", "error", FAULT)
    assert (run.attempt, run.usage.turns, run.model) == (1, 0, None)
    assert desk.executor.contexts == []


async def test_it_counts_as_a_failure_and_is_told_of(desk):
    definition = desk.put("job", failureAlert={**TOLD, "after": 2})

    async with desk.running():
        for _ in range(2):
            await _faulty(desk, definition)
            await desk.clock.settle()

    (alert,) = await desk.ledger.list_messages(limit=9)
    assert alert.message.body["consecutive_failures"] == 2
    assert alert.message.body["error"] == FAULT


RULE = "when: GET /status is as the last completed run saw it"


async def _stopped(_context) -> Outcome:
    return Outcome(status=RunStatus.SKIPPED, reason="filtered", error=RULE)


@pytest.mark.parametrize("failures", [0, 1])
async def test_a_run_that_its_gate_stops_is_skipped_owes_nothing_and_counts_nowhere(desk, failures):
    definition = desk.put(
        "job", delivery=TOLD, failureAlert={**TOLD, "after": 2}, retry={"attempts": 1}
    )
    desk.executor.work = _stopped
    async with desk.running():
        for _ in range(failures):
            await _faulty(desk, definition)
            await desk.clock.settle()
        run_id = await desk.start(definition, TriggerKind.CRON)
        await desk.clock.settle()
        for _ in range(failures):
            await _faulty(desk, definition)
            await desk.clock.settle()

    run = await desk.run(run_id)
    assert (run.status, run.reason, run.error) == ("skipped", "filtered", None)
    assert run.rule == RULE
    assert (run.started_at, run.attempt) == (None, 1)
    # The one alert that there may be tells of two failures in a row: what came between is none.
    owed = await desk.ledger.list_messages(limit=9)
    assert [each.message.body["consecutive_failures"] for each in owed] == [2] * failures


async def test_what_a_gate_saw_is_kept_by_the_run_that_completed(desk):
    definition = desk.put("job")

    def saw(value: str) -> GateValue:
        return GateValue(value=value, since=desk.clock.now(), until=desk.clock.now())

    ends = [
        Outcome(status=RunStatus.FAILED, reason="error", error="no", gate=saw("1")),
        Outcome(status=RunStatus.COMPLETED, text="done", gate=saw("2")),
        Outcome(status=RunStatus.SKIPPED, reason="filtered", error="when", gate=saw("3")),
    ]
    seen: list[str | None] = []

    async def work(context) -> Outcome:
        return ends[len(seen)]

    desk.executor.work = work
    async with desk.running():
        for _ in ends:
            await desk.start(definition, TriggerKind.CRON)
            await desk.clock.settle()
            seen.append((await desk.ledger.gate_value("job")).value)

    assert seen == [None, "2", "2"]


async def test_a_result_that_is_held_back_is_a_success_and_quiet(desk):
    definition = desk.put("job", delivery={**TOLD, "when": {"data.new": {"neq": 0}}})

    async def work(context) -> Outcome:
        return Outcome(status=RunStatus.COMPLETED, text='{"new": 0}', model="test:model")

    desk.executor.work = work
    async with desk.running():
        run_id = await desk.start(definition)
        await desk.clock.settle()

    run = await desk.run(run_id)
    assert (run.status, run.reason) == ("completed", "quiet")
    assert await desk.ledger.list_messages(limit=9) == []
