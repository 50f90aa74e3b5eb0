"""A run that is resumed: its version, its time, its attempts."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from amodal_rt.domain.delivery import Target, TargetType
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome, failed
from amodal_rt.domain.run import FailedReason, RunStatus
from amodal_rt.domain.workspace import WorkspaceAlerts
from amodal_rt.errors import UnavailableError


async def cut_off(desk, definition, *entries: EntryType, after: float = 0) -> str:
    """A run that did something and whose process is gone; time passes before it is found."""
    run_id = await desk.start(definition)
    (run,) = await desk.ledger.claim(limit=1, overall=1000, now=desk.clock.now())
    await desk.ledger.bind(run_id, term=run.term, definition=definition.hash)
    for each in entries or (EntryType.RUN_STARTED, EntryType.TURN_STARTED):
        await desk.ledger.record(
            run_id, each, at=desk.clock.now(), attempt=run.attempt, step="turn:1"
        )
    await desk.ledger.join(host="a", pid=1, version="1", lease=timedelta(hours=1))
    await desk.clock.advance(after)
    return run_id


def target(label: str) -> Target:
    return Target(type=TargetType.WEBHOOK, label=label, url=f"https://{label}.example/x")


async def carried(desk) -> None:
    async with desk.running():
        await desk.clock.settle()


async def test_it_is_carried_again_as_a_resume(desk):
    run_id = await cut_off(desk, desk.put("job"))

    await carried(desk)

    run = await desk.run(run_id)
    assert (run.status, run.attempt, run.resumes) == ("completed", 2, 1)
    (context,) = desk.executor.contexts
    assert context.run.resumes == 1


async def test_an_hour_later_it_fails_and_says_why(desk):
    run_id = await cut_off(desk, desk.put("job"), after=3601)

    await carried(desk)

    run = await desk.run(run_id)
    assert (run.status, run.reason) == ("failed", "interrupted")
    assert "60 minutes" in (run.error or "")
    assert desk.executor.contexts == []


async def test_cut_off_a_fourth_time_it_fails(desk):
    run_id = await cut_off(desk, desk.put("job"))
    for _ in range(3):
        await desk.engine().recover()
        assert (await desk.run(run_id)).status == "pending"
        await desk.ledger.claim(limit=1, overall=1000, now=desk.clock.now())
        await desk.ledger.join(host="a", pid=1, version="1", lease=timedelta(hours=1))

    await desk.engine().recover()

    run = await desk.run(run_id)
    assert (run.status, run.reason, run.resumes) == ("failed", "interrupted", 3)
    assert "3 times" in (run.error or "")


async def test_it_goes_on_with_the_version_that_it_began_with(desk):
    before = desk.put("job", model="old:one", writeEnabled=True)
    run_id = await cut_off(desk, before)
    desk.shelf.versions["job", before.hash] = before
    desk.put("job", model="new:one", writeEnabled=True)

    await carried(desk)

    (context,) = desk.executor.contexts
    assert context.definition == before
    assert (await desk.run(run_id)).definition == before.hash


async def test_what_the_file_does_not_allow_any_more_is_not_done(desk):
    before = desk.put("job", writeEnabled=True)
    await cut_off(desk, before)
    desk.shelf.versions["job", before.hash] = before
    desk.put("job", writeEnabled=False)

    await carried(desk)

    (context,) = desk.executor.contexts
    assert not context.definition.automation.write_enabled
    assert context.definition.hash == before.hash


async def test_without_that_version_it_fails(desk):
    run_id = await cut_off(desk, desk.put("job", prompt="one"))
    desk.put("job", prompt="two")

    await carried(desk)

    run = await desk.run(run_id)
    assert (run.status, run.reason) == ("failed", "interrupted")
    assert "version" in (run.error or "")
    assert desk.executor.contexts == []


async def test_it_has_the_rest_of_its_time(desk):
    """Two of five minutes were used before the process ended, and an idle half hour is free."""
    definition = desk.put("job", limits={"timeoutSeconds": 300})
    run_id = await desk.start(definition)
    (run,) = await desk.ledger.claim(limit=1, overall=1000, now=desk.clock.now())
    await desk.ledger.bind(run_id, term=run.term, definition=definition.hash)
    await desk.ledger.record(run_id, EntryType.RUN_STARTED, at=desk.clock.now())
    await desk.clock.advance(120)
    await desk.ledger.record(run_id, EntryType.TURN_STARTED, at=desk.clock.now(), step="turn:1")
    await desk.ledger.join(host="a", pid=1, version="1", lease=timedelta(hours=1))
    await desk.clock.advance(1800)

    async def hang(context) -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError

    desk.executor.work = hang
    async with desk.running():
        await desk.clock.settle()
        await desk.clock.advance(170)
        assert (await desk.run(run_id)).status == "running"
        await desk.clock.advance(20)

    run = await desk.run(run_id)
    assert (run.status, run.reason) == ("failed", "timed_out")


async def test_a_resume_is_none_of_the_tries_that_a_retry_counts(desk):
    run_id = await cut_off(desk, desk.put("job", retry={"attempts": 1, "backoffSeconds": 1}))
    outcomes = [failed(FailedReason.ERROR, "no"), Outcome(status=RunStatus.COMPLETED)]

    async def next_one(context) -> Outcome:
        return outcomes.pop(0)

    desk.executor.work = next_one
    async with desk.running():
        await desk.clock.settle()
        await desk.clock.advance(2)

    run = await desk.run(run_id)
    assert (run.status, run.attempt, run.resumes) == ("completed", 3, 1)


async def test_one_that_is_claimed_while_stopping_keeps_its_journal(desk):
    """Sent back to begin afresh, it would do again what is done."""
    run_id = await cut_off(desk, desk.put("job"))
    engine = desk.engine()
    await engine.recover()
    (run,) = await desk.ledger.claim(limit=1, overall=1000, now=desk.clock.now())
    await engine._recovery.give_back(run)

    types = [each.type for each in await desk.ledger.entries(run_id)]
    assert types.count(EntryType.RUN_RESUMED) == 2
    assert EntryType.RUN_RETRIED not in types


async def test_recovery_that_was_refused_half_way_goes_on_with_the_rest(desk):
    """The ledger gives an orphan once; what could not be settled is not forgotten."""
    for name in ("one", "two"):
        await desk.start(desk.put(name))
    for run in await desk.ledger.claim(limit=9, overall=1000, now=desk.clock.now()):
        await desk.ledger.record(run.run_id, EntryType.TURN_STARTED, at=desk.clock.now())
    await desk.ledger.join(host="a", pid=1, version="1", lease=timedelta(hours=1))
    desk.ledger = ledger = RefusesOnce(desk.ledger)
    engine = desk.engine()
    try:
        await engine.recover()
    except UnavailableError:
        ledger.refused = True

    await engine.recover()

    assert ledger.refused
    assert [run.status for run in await desk.runs()] == ["pending", "pending"]
    assert [run.resumes for run in await desk.runs()] == [1, 1]


class RefusesOnce:
    """A ledger that fails the first resume."""

    def __init__(self, ledger) -> None:
        self._ledger = ledger
        self.refused = False
        self._first = True

    def __getattr__(self, name: str):
        return getattr(self._ledger, name)

    async def resume(self, run, *, at):
        if self._first:
            self._first = False
            raise UnavailableError("away", code="ledger")
        return await self._ledger.resume(run, at=at)


async def test_a_run_without_its_definition_is_still_settled(desk):
    """The file went away in between: the run ends, and nothing is owed."""
    definition = desk.put("job")
    run_id = await cut_off(desk, definition, EntryType.RUN_STARTED, EntryType.WRITE_STARTED)
    desk.take("job")

    await carried(desk)

    run = await desk.run(run_id)
    assert (run.status, run.reason) == ("failed", "interrupted")
    assert replace(run, error=None).finished_at is not None


async def test_a_write_of_unknown_outcome_alerts_below_the_threshold_and_in_the_cooldown(desk):
    alert = {"targets": [{"type": "webhook", "url": "https://alerts.example/x"}], "after": 5}
    definition = desk.put("job", failureAlert=alert)
    for _ in range(2):
        await cut_off(desk, definition, EntryType.RUN_STARTED, EntryType.WRITE_STARTED)
        await desk.engine().recover()

    messages = await desk.ledger.list_messages(limit=9)

    assert [each.message.body["reason"] for each in messages] == ["interrupted"] * 2
    assert all("whether that happened" in str(each.message.body["error"]) for each in messages)


async def told_of_an_unknown_write(desk, definition, *, gone: bool = False) -> list[str]:
    """Kind and label of what a run owes that was cut off in a write."""
    workspace = WorkspaceAlerts(targets=(target("workspace"),))
    await cut_off(desk, definition, EntryType.RUN_STARTED, EntryType.WRITE_STARTED)
    if gone:
        desk.take("job")
    settings = replace(desk.shelf.current.settings, alerts=workspace)
    desk.shelf.current = replace(desk.shelf.current, settings=settings)
    await desk.engine().recover()
    messages = [each.message for each in await desk.ledger.list_messages(limit=9)]
    assert all("whether that happened" in str(each.body["error"]) for each in messages)
    assert len({each.run_id for each in messages}) == 1
    return [f"{each.kind} {each.body.get('condition')} {each.target.label}" for each in messages]


async def test_whom_to_tell_of_an_unknown_write_is_known_when_the_file_is_gone(desk):
    """Deleted, or renamed: the version that the run names still says it."""
    alert = {"targets": [{"type": "webhook", "url": "https://alerts.example/x", "label": "ops"}]}
    definition = desk.put("job", failureAlert=alert)
    desk.shelf.versions["job", definition.hash] = definition

    told = await told_of_an_unknown_write(desk, definition, gone=True)

    assert told == ["failure_alert None ops"]


@pytest.mark.parametrize("gone", [True, False])
async def test_where_an_automation_tells_nobody_the_workspace_hears_of_an_unknown_write(desk, gone):
    """The version is not kept, or has no `failureAlert`."""
    told = await told_of_an_unknown_write(desk, desk.put("job"), gone=gone)

    assert told == ["workspace_alert unknown_write workspace"]


async def test_a_version_that_cannot_be_read_keeps_no_run_from_its_end(desk):
    async def broken(name: str, hash: str) -> None:
        raise ZeroDivisionError

    desk.shelf.find_version = broken

    told = await told_of_an_unknown_write(desk, desk.put("job"), gone=True)

    assert told == ["workspace_alert unknown_write workspace"]


async def test_any_other_interruption_counts_like_every_failure(desk):
    alert = {"targets": [{"type": "webhook", "url": "https://alerts.example/x"}], "after": 2}
    definition = desk.put("job", failureAlert=alert)
    await cut_off(desk, definition, after=3601)
    await desk.engine().recover()
    assert await desk.ledger.list_messages(limit=9) == []

    await cut_off(desk, definition, after=3601)
    await desk.engine().recover()

    assert len(await desk.ledger.list_messages(limit=9)) == 1
