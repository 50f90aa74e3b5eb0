"""`ports.EventLedger`, sentence by sentence."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import ledger_values as given
import pytest
from ledger_values import NOW

from amodal_rt.domain.event import DedupKey, Rejection
from amodal_rt.domain.run import RunStatus, SkippedReason
from amodal_rt.errors import UnavailableError
from amodal_rt.ports import DEDUP_RETENTION, Ledger, RunFilter

PLENTY = 1000


async def test_accept_stores_the_event_and_its_runs(ledger: Ledger) -> None:
    event = given.event(
        subject="issue/7",
        actor="octocat",
        depth=2,
        address="digest",
        delivery_id="d-1",
        cause="run_1",
        order="0007",
        headers={"content-type": "application/json"},
        data={"a": [1, None, "ü"]},
    )
    start = given.start(event_id=event.id)

    receipt = await ledger.accept(event, dedup=None, starts=[start], missed=4, queue_limit=PLENTY)

    assert (receipt.event_id, receipt.duplicate) == (event.id, False)
    assert [(ref.run_id, ref.status) for ref in receipt.runs] == [(start.run_id, RunStatus.PENDING)]
    found = await ledger.find_event(event.id)
    assert found is not None
    assert (found.event, found.missed, found.runs) == (event, 4, receipt.runs)


@pytest.mark.parametrize("data", [None, "plain text", "\ud83d lone", 0, False, [], {"a": 1.5}])
async def test_event_data_is_any_json_value(ledger: Ledger, data: object) -> None:
    event = given.event(data=data)
    await ledger.accept(event, dedup=None, starts=[], queue_limit=PLENTY)

    found = await ledger.find_event(event.id)

    assert found is not None
    assert found.event.data == data
    assert type(found.event.data) is type(data)


async def test_text_that_is_no_unicode_refuses_no_event(ledger: Ledger) -> None:
    event = given.event(subject="caf\udce9", delivery_id="\udcff")
    dedup = DedupKey(endpoint="e", keys=("\udcff",))

    await ledger.accept(event, dedup=dedup, starts=[], queue_limit=PLENTY)
    again = await ledger.accept(given.event(), dedup=dedup, starts=[], queue_limit=PLENTY)

    assert again.event_id == event.id


async def test_a_key_seen_within_seven_days_writes_nothing_and_names_the_first_event(
    ledger: Ledger,
) -> None:
    first, second = given.event(), given.event(received_at=NOW + DEDUP_RETENTION)
    dedup = DedupKey(endpoint="e", keys=("k",))
    told = await ledger.accept(
        first, dedup=dedup, starts=[given.start(event_id=first.id)], queue_limit=PLENTY
    )
    late = given.event(received_at=NOW + DEDUP_RETENTION - timedelta(milliseconds=1))

    again = await ledger.accept(
        late, dedup=dedup, starts=[given.start(event_id=late.id)], queue_limit=PLENTY
    )
    after = await ledger.accept(second, dedup=dedup, starts=[], queue_limit=PLENTY)

    assert (again.event_id, again.duplicate, again.runs) == (first.id, True, told.runs)
    assert await ledger.find_event(late.id) is None
    assert len(await ledger.list_runs(RunFilter())) == 1
    assert (after.event_id, after.duplicate) == (second.id, False)


async def test_any_one_of_the_keys_is_enough_and_the_others_stay_free(ledger: Ledger) -> None:
    first, second, third = given.event(), given.event(), given.event()

    async def accept(event, *keys: str):
        dedup = DedupKey(endpoint="e", keys=keys)
        return await ledger.accept(event, dedup=dedup, starts=[], queue_limit=PLENTY)

    await accept(first, "id-1", "body-1")
    assert (await accept(second, "id-2", "body-1")).event_id == first.id
    assert (await accept(third, "id-2")).event_id == third.id


async def test_a_key_named_twice_is_one_key(ledger: Ledger) -> None:
    event = given.event()
    dedup = DedupKey(endpoint="e", keys=("k", "k"))

    receipt = await ledger.accept(event, dedup=dedup, starts=[], queue_limit=PLENTY)

    assert not receipt.duplicate


async def test_keys_belong_to_their_endpoint(ledger: Ledger) -> None:
    for endpoint in ("one", "two"):
        dedup = DedupKey(endpoint=endpoint, keys=("k",))
        receipt = await ledger.accept(given.event(), dedup=dedup, starts=[], queue_limit=PLENTY)
        assert not receipt.duplicate


async def test_without_keys_every_event_is_new(ledger: Ledger) -> None:
    for dedup in (None, DedupKey(endpoint="e", keys=()), DedupKey(endpoint="e", keys=())):
        receipt = await ledger.accept(given.event(), dedup=dedup, starts=[], queue_limit=PLENTY)
        assert not receipt.duplicate


async def test_64_concurrent_deliveries_of_one_key_yield_one_event(ledger: Ledger) -> None:
    dedup = DedupKey(endpoint="e", keys=("delivery", "body"))

    async def deliver():
        event = given.event()
        return await ledger.accept(
            event, dedup=dedup, starts=[given.start(event_id=event.id)], queue_limit=PLENTY
        )

    receipts = await asyncio.gather(*(deliver() for _ in range(64)))

    assert sum(not receipt.duplicate for receipt in receipts) == 1
    assert len({receipt.event_id for receipt in receipts}) == 1
    assert len({receipt.runs for receipt in receipts}) == 1
    assert len(await ledger.list_events(limit=100)) == 1
    assert len(await ledger.list_runs(RunFilter())) == 1


async def test_accept_is_refused_when_queue_limit_runs_are_pending(ledger: Ledger) -> None:
    await ledger.admit([given.start(), given.start()])
    refused, kept = given.event(), given.event()
    dedup = DedupKey(endpoint="e", keys=("k",))

    with pytest.raises(UnavailableError) as error:
        await ledger.accept(refused, dedup=dedup, starts=[given.start()], queue_limit=2)

    assert error.value.code == "queue_full"
    assert await ledger.find_event(refused.id) is None
    # The key was not taken by what was refused, and room is seen as soon as there is some.
    await ledger.claim(limit=1, overall=1000, now=NOW)
    receipt = await ledger.accept(kept, dedup=dedup, starts=[given.start()], queue_limit=2)
    assert receipt.event_id == kept.id


async def test_a_run_that_went_back_to_the_queue_counts_against_the_limit(ledger: Ledger) -> None:
    await ledger.accept(given.event(), dedup=None, starts=[given.start()], queue_limit=2)
    (run,) = await ledger.claim(limit=1, overall=1000, now=NOW)
    await ledger.accept(given.event(), dedup=None, starts=[given.start()], queue_limit=2)
    await ledger.requeue(run, at=NOW)

    with pytest.raises(UnavailableError):
        await ledger.accept(given.event(), dedup=None, starts=[given.start()], queue_limit=2)


async def test_a_duplicate_is_answered_though_the_queue_is_full(ledger: Ledger) -> None:
    event, dedup = given.event(), DedupKey(endpoint="e", keys=("k",))
    await ledger.accept(event, dedup=dedup, starts=[given.start()], queue_limit=1)

    receipt = await ledger.accept(given.event(), dedup=dedup, starts=[given.start()], queue_limit=1)

    assert receipt.duplicate


async def test_what_an_automation_was_told_of_starts_it_no_second_time(ledger: Ledger) -> None:
    """Two deliveries of one event, each to some: whom both reach is started by the first."""

    async def accept(key: str, *names: str):
        event = given.event()
        dedup = DedupKey(endpoint="e", keys=(key,), apiece={each: (each, "k") for each in names})
        starts = [given.start(each, event_id=event.id) for each in names]
        # As many as are new have room, and no more.
        return await ledger.accept(event, dedup=dedup, starts=starts, queue_limit=3)

    first = await accept("one", "a", "b")
    both = await accept("two", "a", "c")
    again = await accept("three", "c")

    said = [(ref.automation, ref.status, ref.reason) for ref in (*both.runs, *again.runs)]
    assert said == [
        ("a", RunStatus.SKIPPED, "duplicate"),
        ("c", RunStatus.PENDING, None),
        ("c", RunStatus.SKIPPED, "duplicate"),
    ]
    rules = [await ledger.find_run(ref.run_id) for ref in (both.runs[0], again.runs[0])]
    assert [run and run.rule for run in rules] == [
        f"id: the first is {each.event_id}" for each in (first, both)
    ]
    assert (await accept("two", "a", "c")).duplicate


async def test_what_was_refused_was_told_to_nobody(ledger: Ledger) -> None:
    dedup = DedupKey(endpoint="e", keys=(), apiece={"a": ("a", "k")})
    with pytest.raises(UnavailableError):
        await ledger.accept(given.event(), dedup=dedup, starts=[given.start("a")], queue_limit=0)

    receipt = await ledger.accept(
        given.event(), dedup=dedup, starts=[given.start("a")], queue_limit=1
    )

    assert [ref.status for ref in receipt.runs] == [RunStatus.PENDING]


async def test_a_start_that_was_ruled_out_is_stored_with_its_reason(ledger: Ledger) -> None:
    event = given.event()
    start = given.start(event_id=event.id, skip=SkippedReason.PAUSED, rule="paused: repair")

    receipt = await ledger.accept(event, dedup=None, starts=[start], queue_limit=PLENTY)

    assert [(ref.status, ref.reason) for ref in receipt.runs] == [(RunStatus.SKIPPED, "paused")]
    run = await ledger.find_run(start.run_id)
    assert run is not None
    assert (run.status, run.rule) == (RunStatus.SKIPPED, "paused: repair")


async def test_unknown_events_are_none(ledger: Ledger) -> None:
    assert await ledger.find_event("evt_none") is None


async def test_events_are_listed_newest_first(ledger: Ledger) -> None:
    events = [given.event() for _ in range(4)]
    for event in events:
        await ledger.accept(event, dedup=None, starts=[], queue_limit=PLENTY)

    listed = await ledger.list_events(limit=3)

    assert [record.event.id for record in listed] == [event.id for event in events[:0:-1]]


async def test_events_of_an_automation_are_those_sent_to_it_or_that_started_it(
    ledger: Ledger,
) -> None:
    addressed, started, other = given.event(address="digest"), given.event(), given.event()
    for event, starts in (
        (addressed, []),
        (started, [given.start("digest", event_id=started.id)]),
        (other, [given.start("other", event_id=other.id)]),
    ):
        await ledger.accept(event, dedup=None, starts=starts, queue_limit=PLENTY)

    listed = await ledger.list_events(limit=10, automation="digest")

    assert [record.event.id for record in listed] == [started.id, addressed.id]


async def test_events_are_listed_by_what_their_sender_calls_them(ledger: Ledger) -> None:
    first, second, other = (
        given.event(address="digest", delivery_id="72d3162e"),
        given.event(address="other", delivery_id="72d3162e"),
        given.event(address="digest", delivery_id="else"),
    )
    for event in (first, second, other, given.event(address="digest")):
        await ledger.accept(event, dedup=None, starts=[], queue_limit=PLENTY)

    named = await ledger.list_events(limit=10, delivery_id="72d3162e")
    both = await ledger.list_events(limit=10, automation="digest", delivery_id="72d3162e")

    assert [record.event.id for record in named] == [second.id, first.id]
    assert [record.event.id for record in both] == [first.id]


async def test_the_newest_hundred_rejections_of_each_endpoint_are_kept(ledger: Ledger) -> None:
    quiet = Rejection(endpoint="quiet", automation=None, reason="signature", at=NOW)
    await ledger.reject(quiet)
    loud = [
        Rejection(endpoint="loud", automation="a", reason="too_large", at=NOW + k * given.MINUTE)
        for k in range(103)
    ]
    for rejection in loud:
        await ledger.reject(rejection)

    listed = await ledger.list_rejections(limit=1000)

    assert listed == [*reversed(loud[3:]), quiet]
    assert await ledger.list_rejections(limit=2) == [loud[-1], loud[-2]]


async def test_a_rejection_may_stand_in_the_place_of_one_before(ledger: Ledger) -> None:
    first = Rejection(endpoint="e", automation=None, reason="full", at=NOW)
    longer = replace(first, reason="full: 2 requests", at=NOW + given.MINUTE)
    other = Rejection(endpoint="e", automation="a", reason="full", at=NOW)
    await ledger.reject(first)
    await ledger.reject(other)

    await ledger.reject(longer, counted_as="full", instead_of=first)
    assert await ledger.list_rejections(limit=9) == [other, longer]

    await ledger.reject(first, instead_of=first)
    assert await ledger.list_rejections(limit=9) == [first, other, longer]


async def test_the_event_that_has_a_key_is_found_by_any_of_its_keys(ledger: Ledger) -> None:
    event = given.event()
    start = given.start(event_id=event.id)
    dedup = DedupKey(endpoint="e", keys=("k", "l"))
    receipt = await ledger.accept(event, dedup=dedup, starts=[start], queue_limit=PLENTY)

    async def first(endpoint: str, *keys: str, after: timedelta = timedelta()) -> str | None:
        asked = DedupKey(endpoint=endpoint, keys=keys)
        found = await ledger.find_first(asked, now=NOW + after)
        assert found is None or found.runs == receipt.runs
        return found.event.id if found else None

    assert await first("e", "x", "l") == event.id
    assert await first("e", "k", after=DEDUP_RETENTION - timedelta(milliseconds=1)) == event.id
    assert await first("e", "k", after=DEDUP_RETENTION) is None
    assert [await first("e", "x"), await first("f", "k"), await first("e")] == [None] * 3
    assert [each.event.id for each in await ledger.list_events(limit=9)] == [event.id]
