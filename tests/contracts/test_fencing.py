"""Nothing is written about a run by whom it was taken from, and who ends a run of another."""

import ledger_values as given
import pytest
from ledger_values import CALLER, HOUR, MINUTE, NOW

from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Waiting
from amodal_rt.domain.run import Run, RunStatus
from amodal_rt.errors import ConflictError, NotFoundError
from amodal_rt.ports import Ledger, StoreItem


async def taken_from(ledger: Ledger, another: Ledger) -> tuple[Run, Run]:
    """A run as the old node knows it, and as the new one does."""
    await given.joined(ledger)
    old = await given.running(ledger)
    await given.outlived(ledger, another)
    (new,) = await another.take_orphans()
    return old, new


async def item(run: Run) -> StoreItem:
    return StoreItem(key="k", value=1, updated_at=NOW, run_id=run.run_id)


async def test_an_entry_with_a_term_is_written_while_the_run_runs_under_it(
    ledger: Ledger,
) -> None:
    run = await given.running(ledger)

    assert await ledger.record(run.run_id, EntryType.PROMPT, at=NOW, term=run.term) == 1

    assert [entry.type for entry in await ledger.entries(run.run_id)] == [EntryType.PROMPT]


async def test_nothing_of_the_former_node_is_written_after_a_takeover(
    ledger: Ledger, another: Ledger
) -> None:
    old, new = await taken_from(ledger, another)

    with pytest.raises(ConflictError, check=lambda error: error.code == "fenced"):
        await ledger.record(old.run_id, EntryType.WRITE_STARTED, at=NOW, step="s", term=old.term)
    with pytest.raises(ConflictError, check=lambda error: error.code == "fenced"):
        await ledger.put("notes", await item(old), expires_at=None, step="s", term=old.term)
    await ledger.bind(old.run_id, term=old.term, definition="e" * 64)
    assert not await ledger.finish(old, given.outcome(), at=NOW, plan=given.nothing)
    assert not await ledger.finish(
        old, given.outcome(RunStatus.FAILED), at=NOW, plan=given.nothing, retry_at=NOW
    )
    assert not await ledger.park(old, Waiting(reason="waiting"), at=NOW)
    assert not await ledger.requeue(old, at=NOW)
    assert not await ledger.resume(old, at=NOW)

    assert await another.find_run(new.run_id) == new
    assert await another.entries(new.run_id) == []
    assert await another.query("notes", now=NOW) == []
    assert await another.finish(new, given.outcome(), at=NOW, plan=given.nothing)


async def test_a_run_that_ended_takes_no_entry_with_its_term(ledger: Ledger) -> None:
    run = await given.running(ledger)
    await ledger.finish(run, given.outcome(), at=NOW, plan=given.nothing)

    with pytest.raises(ConflictError, check=lambda error: error.code == "fenced"):
        await ledger.record(run.run_id, EntryType.RUN_NOTE, at=NOW, term=run.term)
    with pytest.raises(ConflictError, check=lambda error: error.code == "fenced"):
        await ledger.put("notes", await item(run), expires_at=None, step=None, term=run.term)

    assert len(await ledger.entries(run.run_id)) == 1
    assert await ledger.query("notes", now=NOW) == []


@pytest.mark.parametrize("term", [None, 1])
async def test_a_run_that_is_not_there_has_no_journal(ledger: Ledger, term: int | None) -> None:
    with pytest.raises(NotFoundError):
        await ledger.record("run_none", EntryType.RUN_NOTE, at=NOW, term=term)


async def test_a_value_with_a_term_is_put_while_the_run_runs_under_it(ledger: Ledger) -> None:
    run = await given.running(ledger)

    await ledger.put("notes", await item(run), expires_at=None, step="s", term=run.term)

    assert [found.key for found in await ledger.query("notes", now=NOW)] == ["k"]
    assert len(await ledger.entries(run.run_id)) == 1


# resume


async def test_resume_makes_a_run_pending_to_continue_its_journal(ledger: Ledger) -> None:
    run = await given.running(ledger)
    await ledger.record(run.run_id, EntryType.PROMPT, at=NOW, term=run.term)

    assert await ledger.resume(run, at=NOW + MINUTE)

    found = await ledger.find_run(run.run_id)
    assert found is not None
    assert (found.status, found.attempt, found.resumes) == (RunStatus.PENDING, 2, 1)
    entries = await ledger.entries(run.run_id)
    assert [entry.type for entry in entries] == [EntryType.PROMPT, EntryType.RUN_RESUMED]
    assert not await ledger.resume(run, at=NOW + MINUTE)
    (again,) = await ledger.claim(limit=1, overall=1, now=NOW + MINUTE)
    assert (again.term, again.resumes, again.started_at) == (2, 1, run.started_at)


async def test_a_resumed_run_counts_in_the_queue(ledger: Ledger) -> None:
    run = await given.running(ledger)
    await ledger.accept(given.event(), dedup=None, starts=[given.start()], queue_limit=2)

    await ledger.resume(run, at=NOW)

    with pytest.raises(Exception, match="2 runs are pending"):
        await ledger.accept(given.event(), dedup=None, starts=[given.start()], queue_limit=2)


# cancel


async def test_a_running_run_is_asked_to_end_where_it_runs(ledger: Ledger, another: Ledger) -> None:
    await given.joined(another)
    run = await given.running(ledger)
    await given.running(ledger)
    assert await ledger.cancels_asked() == []

    found = await another.cancel(run.run_id, caller=CALLER, at=NOW)

    assert found is RunStatus.RUNNING
    assert await ledger.find_run(run.run_id) == run
    assert await ledger.cancels_asked() == [run.run_id]
    assert await another.cancels_asked() == []
    await ledger.finish(run, given.outcome(RunStatus.CANCELLED), at=NOW, plan=given.nothing)
    assert await ledger.cancels_asked() == []


async def test_the_wish_to_end_a_run_goes_with_it_to_another_node(
    ledger: Ledger, another: Ledger
) -> None:
    await given.joined(ledger)
    run = await given.running(ledger)
    await ledger.cancel(run.run_id, caller=CALLER, at=NOW)
    await given.outlived(ledger, another)

    await another.take_orphans()

    assert await another.cancels_asked() == [run.run_id]
    assert await ledger.cancels_asked() == []


@pytest.mark.parametrize("way", ["retry", "park", "requeue", "resume"])
async def test_a_run_that_somebody_ended_does_not_go_back_to_the_queue(
    ledger: Ledger, way: str
) -> None:
    run = await given.running(ledger)
    await ledger.cancel(run.run_id, caller=CALLER, at=NOW)

    if way == "retry":
        failed = given.outcome(RunStatus.FAILED)
        assert await ledger.finish(run, failed, at=NOW, plan=given.nothing, retry_at=NOW + HOUR)
    elif way == "park":
        assert await ledger.park(run, Waiting(reason="waiting"), at=NOW)
    else:
        assert await (ledger.requeue if way == "requeue" else ledger.resume)(run, at=NOW)

    found = await ledger.find_run(run.run_id)
    assert found is not None
    assert (found.status, found.finished_at) == (RunStatus.CANCELLED, NOW)
    assert (await ledger.entries(run.run_id))[-1].type is EntryType.RUN_FINISHED
