"""`ports.BusLedger`, sentence by sentence."""

import asyncio
from dataclasses import replace
from typing import Any

import ledger_values as given
import pytest
from ledger_values import HOUR, NOW

from amodal_rt.domain.delivery import Plan
from amodal_rt.domain.event import DedupKey
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.run import RunStatus, SkippedReason
from amodal_rt.errors import ConflictError, NotFoundError
from amodal_rt.ports import EventRecord, Ledger, RunFilter

PLENTY = 1000


async def stored(ledger: Ledger, event_id: str) -> EventRecord:
    found = await ledger.find_event(event_id)
    assert found is not None
    return found


async def waiting(ledger: Ledger) -> list[str]:
    return [event.id for event in await ledger.unmatched(limit=PLENTY)]


async def test_an_emitted_event_waits_as_it_was_said(ledger: Ledger) -> None:
    event = given.event(
        type="orders.paid", cause="run_x", order="0007", depth=2, actor="run:run_x", subject="7"
    )

    assert await ledger.emit(event)

    assert await ledger.unmatched(limit=9) == [event]
    assert await stored(ledger, event.id) == EventRecord(event=event, missed=0, runs=())


async def test_an_event_is_emitted_once(ledger: Ledger) -> None:
    event = given.event()
    assert await ledger.emit(event)

    assert not await ledger.emit(replace(event, data="other"))

    assert (await stored(ledger, event.id)).event.data == {"n": 1}
    assert await waiting(ledger) == [event.id]


async def test_an_event_that_was_matched_is_not_emitted_again(ledger: Ledger) -> None:
    event = given.event()
    await ledger.emit(event)
    await ledger.match(event.id, starts=[], missed=0)

    assert not await ledger.emit(event)

    assert await waiting(ledger) == []


async def test_one_of_two_who_emit_at_once_is_first(ledger: Ledger, another: Ledger) -> None:
    event = given.event()

    told = await asyncio.gather(ledger.emit(event), another.emit(event))

    assert sorted(told) == [False, True]
    assert await waiting(another) == [event.id]


async def test_with_a_step_the_journal_of_the_cause_tells_of_it(ledger: Ledger) -> None:
    run = await given.running(ledger)
    event = given.event(type="orders.paid", cause=run.run_id)

    await ledger.emit(event, step="s.1", parent="s", attempt=2, term=run.term)
    await ledger.emit(event, step="s.1", parent="s", attempt=2, term=run.term)

    (entry,) = await ledger.entries(run.run_id)
    assert (entry.type, entry.step, entry.parent) == (EntryType.EVENT_EMITTED, "s.1", "s")
    assert (entry.attempt, entry.at) == (2, event.received_at)
    assert entry.data == {"event_id": event.id, "type": "orders.paid"}


async def test_who_lost_the_run_emits_nothing(ledger: Ledger) -> None:
    run = await given.running(ledger)
    event = given.event(cause=run.run_id)

    with pytest.raises(ConflictError) as refusal:
        await ledger.emit(event, step="s", term=run.term - 1)

    assert refusal.value.code == "fenced"
    assert await ledger.find_event(event.id) is None
    assert await ledger.entries(run.run_id) == []


@pytest.mark.parametrize("given_with", [{"step": "s"}, {"term": 1}])
async def test_a_cause_that_is_not_there_leaves_no_event(
    ledger: Ledger, given_with: dict[str, Any]
) -> None:
    event = given.event(cause="run_gone")

    with pytest.raises(NotFoundError):
        await ledger.emit(event, **given_with)

    assert await ledger.find_event(event.id) is None


async def test_those_that_wait_come_oldest_first_and_no_more_than_asked(ledger: Ledger) -> None:
    events = [given.event() for _ in range(5)]
    for event in events:
        await ledger.emit(event)

    assert await ledger.unmatched(limit=3) == events[:3]


async def test_what_a_sender_delivered_does_not_wait(ledger: Ledger) -> None:
    await ledger.accept(given.event(), dedup=None, starts=[], queue_limit=PLENTY)

    assert await waiting(ledger) == []


async def test_what_a_plan_says_happened_waits_with_its_outcome(ledger: Ledger) -> None:
    run = await given.running(ledger)
    known = given.event()
    await ledger.emit(known)
    new = given.event(type="run.completed", cause=run.run_id, depth=1)

    plan = Plan(events=(new, replace(known, data="other")))
    assert await ledger.finish(run, given.outcome(), at=NOW, plan=lambda _: plan)

    assert await ledger.unmatched(limit=9) == [known, new]


async def test_what_a_fenced_outcome_planned_did_not_happen(ledger: Ledger) -> None:
    run = await given.running(ledger)
    plan = Plan(events=(given.event(),))

    stale = replace(run, term=run.term - 1)
    assert not await ledger.finish(stale, given.outcome(), at=NOW, plan=lambda _: plan)

    assert await waiting(ledger) == []


async def test_matching_rules_on_the_starts_and_counts_what_it_missed(ledger: Ledger) -> None:
    event = given.event()
    await ledger.emit(event)
    full = given.start("b", event_id=event.id, skip=SkippedReason.PAUSED, rule="paused")
    start = given.start("a", event_id=event.id)

    refs = await ledger.match(event.id, starts=[start, full], missed=998)

    assert refs is not None
    assert [(ref.run_id, ref.status, ref.reason) for ref in refs] == [
        (start.run_id, RunStatus.PENDING, None),
        (full.run_id, RunStatus.SKIPPED, "paused"),
    ]
    record = await stored(ledger, event.id)
    assert (record.missed, record.runs) == (998, tuple(refs))
    assert await waiting(ledger) == []


async def test_what_does_not_wait_is_not_matched(ledger: Ledger) -> None:
    """A second answer to one event, as after a crash between the commit and its answer."""
    event, delivered = given.event(), given.event()
    await ledger.emit(event)
    await ledger.accept(delivered, dedup=None, starts=[], missed=1, queue_limit=PLENTY)
    await ledger.match(event.id, starts=[given.start(event_id=event.id)], missed=3)

    again = [given.start(event_id=event.id)]
    assert await ledger.match(event.id, starts=again, missed=3) is None
    assert await ledger.match(delivered.id, starts=again, missed=3) is None
    assert await ledger.match("evt_none", starts=again, missed=3) is None

    assert (await stored(ledger, event.id)).missed == 3
    assert (await stored(ledger, delivered.id)).missed == 1
    assert len(await ledger.list_runs(RunFilter())) == 1


async def test_of_two_nodes_one_matches_each_event(ledger: Ledger, another: Ledger) -> None:
    events = [given.event() for _ in range(20)]
    for event in events:
        await ledger.emit(event)

    async def match_all(node: Ledger) -> list[object]:
        return await asyncio.gather(
            *(
                node.match(event.id, starts=[given.start(event_id=event.id)], missed=1)
                for event in events
            )
        )

    first, second = await asyncio.gather(match_all(ledger), match_all(another))

    assert [(a is None) + (b is None) for a, b in zip(first, second, strict=True)] == [1] * 20
    assert len(await ledger.list_runs(RunFilter(limit=PLENTY))) == 20
    assert {(await stored(ledger, event.id)).missed for event in events} == {1}


async def test_a_start_that_cannot_be_kept_leaves_the_event_waiting(ledger: Ledger) -> None:
    event = given.event()
    await ledger.emit(event)
    start = given.start()
    await ledger.admit([start])

    with pytest.raises(Exception, match="refused a row"):
        await ledger.match(event.id, starts=[given.start(), start], missed=5)

    assert await waiting(ledger) == [event.id]
    assert (await stored(ledger, event.id)).missed == 0
    assert len(await ledger.list_runs(RunFilter())) == 1


async def test_a_replay_starts_nothing_twice(ledger: Ledger) -> None:
    event = given.event()
    first = given.start("a", event_id=event.id)
    filtered = given.start("b", event_id=event.id, skip=SkippedReason.FILTERED)
    await ledger.accept(event, dedup=None, starts=[first, filtered], queue_limit=PLENTY)
    names = ("a", "b", "c")

    refs = await ledger.replay(event.id, starts=[given.start(n, event_id=event.id) for n in names])
    again = await ledger.replay(event.id, starts=[given.start(n, event_id=event.id) for n in names])

    assert [(ref.status, ref.reason) for ref in refs] == [
        (RunStatus.SKIPPED, "duplicate"),
        (RunStatus.PENDING, None),
        (RunStatus.PENDING, None),
    ]
    assert [(ref.status, ref.reason) for ref in again] == [(RunStatus.SKIPPED, "duplicate")] * 3
    run = await ledger.find_run(refs[0].run_id)
    assert run is not None
    assert run.rule == f"the event started {first.run_id}"


async def test_two_who_replay_at_once_start_one_run(ledger: Ledger, another: Ledger) -> None:
    event = given.event()
    await ledger.accept(event, dedup=None, starts=[], queue_limit=PLENTY)

    await asyncio.gather(
        *(
            node.replay(event.id, starts=[given.start(event_id=event.id)])
            for node in (ledger, another)
        )
    )

    runs = await ledger.list_runs(RunFilter(status=RunStatus.PENDING))
    assert len(runs) == 1


async def test_a_replay_of_one_that_waits_is_its_match(ledger: Ledger) -> None:
    event = given.event()
    await ledger.emit(event)

    await ledger.replay(event.id, starts=[given.start(event_id=event.id)])

    assert await waiting(ledger) == []
    assert await ledger.match(event.id, starts=[], missed=0) is None


async def test_a_replay_of_nothing_is_refused(ledger: Ledger) -> None:
    with pytest.raises(NotFoundError):
        await ledger.replay("evt_none", starts=[given.start()])

    assert await ledger.list_runs(RunFilter()) == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("github.issues.opened", ["github.issues.opened"]),
        ("github.*", ["github.issues.closed", "github.issues.opened"]),
        ("*.opened", ["gitlab.opened", "github.issues.opened"]),
        ("git*.issues.*", ["github.issues.closed", "github.issues.opened"]),
        ("*iss*open*", ["github.issues.opened"]),
        ("*", ["a_b", "A[B", "gitlab.opened", "github.issues.closed", "github.issues.opened"]),
        ("GitHub.*", []),
        ("a?*", []),
        ("a_*", ["a_b"]),
        ("A[*", ["A[B"]),
        ("%", []),
        ("github", []),
    ],
)
async def test_events_are_listed_by_their_type(
    ledger: Ledger, wanted: str, found: list[str]
) -> None:
    for type in ("github.issues.opened", "github.issues.closed", "gitlab.opened", "A[B", "a_b"):
        await ledger.emit(given.event(type=type))

    listed = await ledger.list_events(limit=9, type=wanted)

    assert [record.event.type for record in listed] == found


async def test_filters_of_the_list_hold_together(ledger: Ledger) -> None:
    for type, address in (("a.x", "one"), ("a.y", "two"), ("b.x", "one")):
        event = given.event(type=type, address=address)
        await ledger.accept(event, dedup=None, starts=[], queue_limit=PLENTY)

    (record,) = await ledger.list_events(limit=9, type="a.*", automation="one")

    assert record.event.type == "a.x"
    assert len(await ledger.list_events(limit=1, type="a.*")) == 1


async def test_what_comes_again_after_exactly_a_week_is_known(ledger: Ledger) -> None:
    key = DedupKey(endpoint="e", keys=("k",))
    first = given.event()
    await ledger.accept(first, dedup=key, starts=[], queue_limit=PLENTY)

    late = given.event(received_at=NOW + 7 * 24 * HOUR)
    receipt = await ledger.accept(late, dedup=key, starts=[], queue_limit=PLENTY)

    assert (receipt.duplicate, receipt.event_id) == (True, first.id)
