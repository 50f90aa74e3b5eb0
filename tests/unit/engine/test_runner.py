"""A run leaves exactly once and always with an outcome, within its limits."""

import asyncio
from datetime import timedelta

from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import RunStatus
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.domain.workspace import WorkspaceLimits
from amodal_rt.errors import InvalidError


async def test_a_pending_run_is_carried_to_its_outcome(desk):
    definition = desk.put("job")
    async with desk.running():
        run_id = await desk.start(definition)
        await desk.clock.settle()

    run = await desk.run(run_id)
    assert (run.status, run.result_text, run.model) == ("completed", "done", "test:model")
    assert run.definition == definition.hash
    types = [each.type for each in await desk.ledger.entries(run_id)]
    assert types == ["run.started", "run.finished"]


async def test_an_automation_runs_at_most_as_often_as_its_limit_at_once(desk):
    definition = desk.put("job", limits={"concurrency": 3})
    gate = asyncio.Event()

    async def wait(context) -> Outcome:
        await gate.wait()
        return Outcome(status=RunStatus.COMPLETED)

    desk.executor.work = wait
    async with desk.running():
        for _ in range(8):
            await desk.start(definition)
        await desk.clock.settle()
        assert desk.executor.running == 3
        gate.set()
        for _ in range(5):
            await desk.clock.settle()

    assert desk.executor.most == 3
    assert {run.status for run in await desk.runs()} == {"completed"}


async def test_the_workspace_runs_at_most_ten_at_once(desk):
    definitions = [desk.put(f"job-{number}") for number in range(15)]
    gate = asyncio.Event()

    async def wait(context) -> Outcome:
        await gate.wait()
        return Outcome(status=RunStatus.COMPLETED)

    desk.executor.work = wait
    async with desk.running():
        for definition in definitions:
            await desk.start(definition)
        await desk.clock.settle()
        assert desk.executor.running == 10
        gate.set()
        for _ in range(5):
            await desk.clock.settle()

    assert desk.executor.most == 10
    assert [run.status for run in await desk.runs()] == ["completed"] * 15


async def test_over_its_limit_a_slot_is_skipped_and_a_person_waits(desk):
    definition = desk.put("job", limits={"concurrency": 1})

    first = await desk.start(definition, TriggerKind.MANUAL)
    slot = await desk.start(definition, TriggerKind.CRON)
    person = await desk.start(definition, TriggerKind.MANUAL)

    found = [await desk.run(each) for each in (first, slot, person)]
    assert [(run.status, run.reason) for run in found] == [
        ("pending", None),
        ("skipped", "concurrency_limit"),
        ("pending", None),
    ]


async def test_what_raises_has_failed_with_one_line_without_secrets(desk):
    definition = desk.put("job")

    async def fail(context) -> Outcome:
        raise RuntimeError("the token s3cret\nis wrong")

    desk.executor.work = fail
    async with desk.running():
        run_id = await desk.start(definition)
        await desk.clock.settle()

    run = await desk.run(run_id)
    assert (run.status, run.reason) == ("failed", "error")
    assert run.error == "RuntimeError: the token [secret] is wrong"


async def test_an_error_of_ours_shows_its_own_words(desk):
    definition = desk.put("job")

    async def fail(context) -> Outcome:
        raise InvalidError("the connection crm does not exist")

    desk.executor.work = fail
    async with desk.running():
        run_id = await desk.start(definition)
        await desk.clock.settle()

    assert (await desk.run(run_id)).error == "the connection crm does not exist"


async def test_a_run_past_its_deadline_is_timed_out(desk):
    definition = desk.put("job", limits={"timeoutSeconds": 60})

    async def hang(context) -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError

    desk.executor.work = hang
    async with desk.running():
        run_id = await desk.start(definition)
        await desk.clock.settle()
        await desk.clock.advance(59)
        assert (await desk.run(run_id)).status == "running"
        await desk.clock.advance(2)

        run = await desk.run(run_id)
        assert (run.status, run.reason) == ("failed", "timed_out")


async def test_a_run_that_swallows_its_cancellation_frees_its_slot_all_the_same(desk):
    """Five seconds after the deadline at the latest the next run of the automation is on."""
    definition = desk.put("job", limits={"timeoutSeconds": 60, "concurrency": 1})
    release = asyncio.Event()
    late: list[BaseException] = []

    async def swallow(context) -> Outcome:
        if context.run.run_id != stubborn:
            return Outcome(status=RunStatus.COMPLETED)
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        try:
            await context.journal.record(EntryType.RUN_NOTE, data={"note": "too late"})
        except Exception as error:  # noqa: BLE001
            late.append(error)
        return Outcome(status=RunStatus.COMPLETED, text="too late")

    desk.executor.work = swallow
    stubborn = await desk.start(definition)
    waiting = await desk.start(definition)
    async with desk.running():
        await desk.clock.advance(65)
        assert (await desk.run(stubborn)).reason == "timed_out"
        assert (await desk.run(waiting)).status == "completed"
        release.set()
        await desk.clock.settle()

    assert (await desk.run(stubborn)).reason == "timed_out"
    assert [getattr(each, "code", None) for each in late] == ["run_ended"]
    assert not [
        each for each in await desk.ledger.entries(stubborn) if each.data.get("note") == "too late"
    ]


async def test_a_person_cancels_a_running_run(desk):
    definition = desk.put("job")

    async def hang(context) -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError

    desk.executor.work = hang
    async with desk.running() as engine:
        run_id = await desk.start(definition)
        await desk.clock.settle()
        assert engine.cancel_running(run_id)
        await desk.clock.settle()

        assert (await desk.run(run_id)).status == "cancelled"
        assert not engine.cancel_running(run_id)


async def failing(context) -> Outcome:
    return Outcome(status=RunStatus.FAILED, reason="error", error="no")


async def writing(context) -> Outcome:
    await context.journal.record(EntryType.WRITE_STARTED, step="call-1")
    raise RuntimeError("the connection broke")


async def test_a_failed_run_is_tried_again_under_its_own_id_with_growing_pauses(desk):
    definition = desk.put("job", retry={"attempts": 2, "backoffSeconds": 30})
    desk.executor.work = failing
    async with desk.running():
        run_id = await desk.start(definition)
        await desk.clock.settle()
        run = await desk.run(run_id)
        assert (run.status, run.attempt) == ("pending", 2)

        await desk.clock.advance(31)
        assert (await desk.run(run_id)).attempt == 3
        await desk.clock.advance(61)

        run = await desk.run(run_id)
        assert (run.status, run.attempt) == ("failed", 3)
    assert len(desk.executor.contexts) == 3


async def test_what_may_have_written_is_not_tried_again(desk):
    definition = desk.put("job", retry={"attempts": 2})
    desk.executor.work = writing
    async with desk.running():
        run_id = await desk.start(definition)
        await desk.clock.settle()

    run = await desk.run(run_id)
    assert (run.status, run.attempt) == ("failed", 1)


async def test_after_writes_allows_what_was_just_refused(desk):
    definition = desk.put("job", retry={"attempts": 1, "afterWrites": True})
    desk.executor.work = writing
    async with desk.running():
        run_id = await desk.start(definition)
        await desk.clock.settle()
        assert (await desk.run(run_id)).attempt == 2


async def test_a_run_whose_automation_was_deleted_is_cancelled(desk):
    definition = desk.put("job")
    run_id = await desk.start(definition)
    desk.take("job")

    async with desk.running():
        await desk.clock.advance(30)

    run = await desk.run(run_id)
    assert (run.status, run.rule) == ("cancelled", "the file was deleted (workspace, file)")
    assert desk.executor.contexts == []


async def test_a_run_that_waits_too_long_for_a_global_slot_is_skipped(desk):
    desk.limits = WorkspaceLimits(concurrency=1, start_within=timedelta(minutes=10))
    first, second = desk.put("first", limits={"timeoutSeconds": 7200}), desk.put("second")

    async def hang(context) -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError

    desk.executor.work = hang
    async with desk.running():
        await desk.start(first)
        await desk.clock.settle()
        run_id = await desk.start(second)
        await desk.clock.advance(11 * 60)

        run = await desk.run(run_id)
        assert (run.status, run.reason) == ("skipped", "global_limit")


async def test_the_context_holds_the_last_result_as_it_was(desk):
    definition = desk.put("job")
    async with desk.running():
        first = await desk.start(definition)
        await desk.clock.settle()
        await desk.start(definition)
        await desk.clock.settle()

    before, after = desk.executor.contexts
    assert before.previous is None
    assert (after.previous.run_id, after.previous.summary) == (first, "done")


async def test_secrets_are_masked_in_results_and_journal(desk):
    definition = desk.put("job")

    async def tell(context) -> Outcome:
        await context.journal.record(
            EntryType.RUN_NOTE, data={"note": {"deep": ["a s3cret", {"s3cret": 1}]}}
        )
        return Outcome(status=RunStatus.COMPLETED, text="the s3cret", output=("s3cret",))

    desk.executor.work = tell
    async with desk.running():
        run_id = await desk.start(definition)
        await desk.clock.settle()

    run = await desk.run(run_id)
    assert (run.result_text, run.output) == ("the [secret]", ("[secret]",))
    notes = [each.data for each in await desk.ledger.entries(run_id) if each.data.get("note")]
    assert notes == [{"note": {"deep": ["a [secret]", {"[secret]": 1}]}}]
