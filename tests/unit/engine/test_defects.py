"""A run leaves with an outcome even where another part of the program is at fault."""

import random

from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.run import RunStatus
from amodal_rt.domain.trigger import TriggerKind

ALERTING = {"targets": [{"type": "webhook", "url": "https://alerts.example/x"}]}


class BrokenPlanner:
    def plan(self, run, outcome, definition, state, now):
        raise ZeroDivisionError


async def test_a_planner_that_raises_does_not_keep_the_outcome_from_the_ledger(desk):
    desk.planner = BrokenPlanner()
    definition = desk.put("job")
    async with desk.running():
        run_id = await desk.start(definition)
        await desk.clock.settle()

    assert (await desk.run(run_id)).status == "completed"
    said = [(each.type, each.data.get("note")) for each in await desk.ledger.entries(run_id)]
    note = "nothing is delivered: ZeroDivisionError in planning"
    assert said == [("run.started", None), ("run.note", note), ("run.finished", None)]


async def test_what_keeps_a_result_from_being_sent_is_told_once_and_without_secrets(desk):
    async def tell(context) -> Outcome:
        return Outcome(status=RunStatus.COMPLETED, text="the s3cret")

    desk.executor.work = tell
    when = {"result": {"neq": "the [secret]"}}
    definition = desk.put("job", delivery={**ALERTING, "when": when})
    async with desk.running():
        run_id = await desk.start(definition)
        await desk.clock.settle()

    (note,) = [each for each in await desk.ledger.entries(run_id) if each.type == "run.note"]
    assert "result neq" in note.data["note"]
    assert "s3cret" not in note.data["note"]
    assert (await desk.run(run_id)).reason == "quiet"


async def test_an_outcome_that_cannot_be_stored_is_a_failed_run_and_frees_its_slot(desk):
    async def odd(context) -> Outcome:
        return Outcome(status=RunStatus.COMPLETED, payload={"odd": object()})

    desk.executor.work = odd
    definition = desk.put("job", limits={"concurrency": 1}, failureAlert=ALERTING)
    async with desk.running():
        first = await desk.start(definition)
        await desk.start(definition)
        await desk.clock.settle()

    run = await desk.run(first)
    assert (run.status, run.reason) == ("failed", "error")
    assert "could not be recorded" in (run.error or "")
    assert [each.status for each in await desk.runs()] == ["failed", "failed"]
    assert len(await desk.ledger.list_messages(limit=9)) == 1


async def test_a_run_of_what_became_invalid_in_its_claim_fails_with_its_problem_and_alerts(desk):
    definition = desk.put("job", failureAlert=ALERTING)
    problem = Problem(
        file="automations/job.json", line=3, code="env_missing", message="TOKEN is not set"
    )
    claim = desk.ledger.claim

    async def claim_then_block(**wanted):
        found = await claim(**wanted)
        if found:
            desk.block("job", problem)
        return found

    desk.ledger.claim = claim_then_block
    run_id = await desk.start(definition)
    async with desk.running():
        await desk.clock.settle()

    run = await desk.run(run_id)
    assert (run.status, run.reason) == ("failed", "error")
    assert run.error == "the automation is invalid: automations/job.json:3: TOKEN is not set"
    assert len(await desk.ledger.list_messages(limit=9)) == 1


async def test_bursts_at_random_exceed_no_limit(desk):
    """Five automations, 1 to 5 at once each, ten overall, every kind of start."""
    dice = random.Random(7)
    definitions = [
        desk.put(f"job-{most}", limits={"concurrency": most, "onLimit": "queue"})
        for most in range(1, 6)
    ]
    running = dict.fromkeys((each.automation.name for each in definitions), 0)
    excess = []

    async def work(context) -> Outcome:
        automation = context.definition.automation
        running[automation.name] += 1
        if running[automation.name] > automation.limits.concurrency or sum(running.values()) > 10:
            excess.append(dict(running))
        await desk.clock.sleep(dice.uniform(0.1, 9))
        running[automation.name] -= 1
        return Outcome(status=RunStatus.COMPLETED)

    desk.executor.work = work
    kinds = (TriggerKind.CRON, TriggerKind.WEBHOOK, TriggerKind.MANUAL)
    async with desk.running():
        for _ in range(12):
            for _ in range(dice.randint(0, 25)):
                await desk.start(dice.choice(definitions), dice.choice(kinds))
            await desk.clock.advance(dice.uniform(0.5, 10))
        for _ in range(30):
            await desk.clock.advance(5)

    assert excess == []
    assert desk.executor.most == 10
    assert {run.status for run in await desk.runs()} == {"completed"}
