"""`ports.NodeLedger`, and what other ports promise about nodes, sentence by sentence."""

import asyncio
from datetime import timedelta

import ledger_values as given
import pytest
from ledger_values import HOUR, MINUTE, NOW

from amodal_rt.domain.delivery import Attempt, AttemptResult, DeliveryStatus
from amodal_rt.domain.run import RunStatus
from amodal_rt.ports import Ledger
from amodal_rt.storage.sqlite import SqliteLedger


def is_sole(ledger: Ledger) -> bool:
    """Whether only one process can hold it."""
    return isinstance(ledger, SqliteLedger)


# join, renew, leave, list_nodes


async def test_a_life_begins_under_a_fresh_id(ledger: Ledger) -> None:
    before = ledger.node_id

    first = await given.joined(ledger)
    second = await given.joined(ledger)

    assert len({before, first, second}) == 3
    assert second.startswith("node_")
    assert ledger.node_id == second


async def test_a_node_is_listed_with_what_it_said_and_what_it_carries(ledger: Ledger) -> None:
    await ledger.join(host="b.example", pid=4, version="2.0", lease=HOUR)
    await given.running(ledger)
    await given.running(ledger)
    await ledger.admit([given.start()])

    (node,) = await ledger.list_nodes()

    assert (node.node_id, node.host, node.pid) == (ledger.node_id, "b.example", 4)
    assert (node.version, node.running, node.gone_at) == ("2.0", 2, None)
    assert node.started_at == node.seen_at == node.expires_at - HOUR


async def test_the_living_are_listed_before_those_that_are_gone(
    ledger: Ledger, another: Ledger
) -> None:
    await given.joined(ledger)
    await given.outlived(ledger, another)
    await another.leave()
    await given.joined(ledger)

    nodes = await ledger.list_nodes()

    assert [node.gone_at is None for node in nodes] == [True, False, False]
    assert nodes[0].node_id == ledger.node_id


async def test_a_renewal_extends_the_lease(ledger: Ledger) -> None:
    await given.joined(ledger, lease=MINUTE)

    assert await ledger.renew(lease=HOUR)

    (node,) = await ledger.list_nodes()
    assert node.expires_at == node.seen_at + HOUR


async def test_a_retired_life_is_not_renewed(ledger: Ledger, another: Ledger) -> None:
    await given.joined(ledger)
    await given.outlived(ledger, another)

    assert not await ledger.renew(lease=HOUR)
    assert await another.renew(lease=HOUR)
    await given.joined(ledger)
    assert await ledger.renew(lease=HOUR)


async def test_who_leaves_is_gone_at_once(ledger: Ledger, another: Ledger) -> None:
    await given.joined(ledger)
    run = await given.running(ledger)

    await ledger.leave()

    assert not await ledger.renew(lease=HOUR)
    await given.joined(another)
    assert [each.run_id for each in await another.take_orphans()] == [run.run_id]


async def test_nobody_retires_itself(ledger: Ledger) -> None:
    await given.joined(ledger, lease=timedelta(0))

    assert await ledger.retire_lapsed() == []
    assert await ledger.renew(lease=HOUR)


async def test_a_life_that_goes_on_is_not_retired(ledger: Ledger, another: Ledger) -> None:
    await given.joined(another)
    await given.joined(ledger)

    await ledger.retire_lapsed()

    assert await ledger.renew(lease=HOUR)


async def test_joining_anew_ends_the_former_life(ledger: Ledger, another: Ledger) -> None:
    await given.joined(another)
    former = await given.joined(ledger)
    run = await given.running(ledger)

    await given.joined(ledger)

    gone = {node.node_id: node.gone_at is not None for node in await ledger.list_nodes()}
    assert gone[former]
    assert [each.run_id for each in await ledger.take_orphans()] == [run.run_id]


# hold, held_by_others


async def test_what_a_node_holds_is_known_to_the_others(ledger: Ledger, another: Ledger) -> None:
    await given.joined(another)
    await given.joined(ledger)

    await ledger.hold({"digest": ["f1", "f2"], "hook": []})

    held = {"digest": frozenset({"f1", "f2"}), "hook": frozenset[str]()}
    assert await another.held_by_others() == ({} if is_sole(ledger) else held)
    assert await ledger.held_by_others() == {}


async def test_what_is_said_last_stands(ledger: Ledger, another: Ledger) -> None:
    await given.joined(another)
    await given.joined(ledger)
    await ledger.hold({"digest": ["f1"], "hook": []})

    await ledger.hold({"digest": ["f2"]})

    held = {} if is_sole(ledger) else {"digest": frozenset({"f2"})}
    assert await another.held_by_others() == held


async def test_a_life_holds_from_its_start_what_was_said_before(
    ledger: Ledger, another: Ledger
) -> None:
    await given.joined(another)
    await ledger.hold({"digest": ["f1"]})
    held = {} if is_sole(ledger) else {"digest": frozenset({"f1"})}

    for _ in range(2):
        await given.joined(ledger)

        assert await another.held_by_others() == held


async def test_who_left_or_was_retired_holds_nothing(ledger: Ledger, another: Ledger) -> None:
    await given.joined(ledger)
    await ledger.hold({"digest": ["f1"]})
    await given.outlived(ledger, another)
    assert await another.held_by_others() == {}

    await given.joined(ledger)
    await ledger.leave()

    assert await another.held_by_others() == {}


async def test_who_was_seen_a_short_time_ago_still_tells_who_asks_for_it(
    ledger: Ledger, another: Ledger
) -> None:
    await given.joined(ledger)
    await ledger.hold({"digest": ["f1"]})
    await given.outlived(ledger, another)
    held = {} if is_sole(ledger) else {"digest": frozenset({"f1"})}

    assert await another.held_by_others(seen_within=HOUR) == held
    assert await another.held_by_others(seen_within=-HOUR) == {}


async def test_whose_lease_has_long_ended_holds_nothing(ledger: Ledger, another: Ledger) -> None:
    await given.joined(another)
    await given.joined(ledger, lease=-HOUR)
    await ledger.hold({"digest": ["f1"]})

    assert await another.held_by_others() == {}
    await given.joined(ledger, lease=timedelta(0))
    assert await another.held_by_others() == (
        {} if is_sole(ledger) else {"digest": frozenset({"f1"})}
    )


# claim


async def test_a_claim_names_the_node(ledger: Ledger) -> None:
    node = await given.joined(ledger)

    run = await given.running(ledger)

    assert run.node == node


async def test_no_more_than_overall_run_at_once_on_all_nodes(
    ledger: Ledger, another: Ledger
) -> None:
    await ledger.admit([given.start(f"a{number}") for number in range(9)])

    first = await ledger.claim(limit=3, overall=5, now=NOW)
    second = await another.claim(limit=3, overall=5, now=NOW)

    assert [len(first), len(second)] == [3, 2]
    assert await ledger.claim(limit=3, overall=5, now=NOW) == []
    assert await ledger.claim(limit=3, overall=4, now=NOW) == []
    await ledger.finish(first[0], given.outcome(), at=NOW, plan=given.nothing)
    assert len(await another.claim(limit=3, overall=5, now=NOW)) == 1


async def test_no_run_is_claimed_by_two_nodes(ledger: Ledger, another: Ledger) -> None:
    await ledger.admit([given.start(f"a{number}") for number in range(50)])

    claims = await asyncio.gather(
        *(
            each.claim(limit=2, overall=1000, now=NOW)
            for _ in range(20)
            for each in (ledger, another)
        )
    )

    claimed = [run.run_id for claim in claims for run in claim]
    assert len(claimed) == len(set(claimed)) == 50


async def test_a_retired_life_claims_nothing(ledger: Ledger, another: Ledger) -> None:
    await given.joined(ledger)
    await given.outlived(ledger, another)
    run = await given.running(another)
    await another.owe("digest", given.owing(given.message(run.run_id)))
    await another.admit([given.start()])

    assert await ledger.claim(limit=9, overall=9, now=NOW) == []
    assert await ledger.claim_messages(limit=9, now=NOW) == []
    assert len(await another.claim(limit=9, overall=9, now=NOW)) == 1


# take_orphans


async def test_the_runs_of_a_node_that_is_gone_are_taken_under_a_raised_term(
    ledger: Ledger, another: Ledger
) -> None:
    await given.joined(ledger)
    runs = [await given.running(ledger) for _ in range(3)]
    await ledger.finish(runs[1], given.outcome(), at=NOW, plan=given.nothing)
    await given.outlived(ledger, another)
    mine = await given.running(another)

    taken = await another.take_orphans()

    assert [run.run_id for run in taken] == [runs[0].run_id, runs[2].run_id]
    assert all(run.term == 2 and run.node == another.node_id for run in taken)
    assert all(run.status is RunStatus.RUNNING for run in taken)
    assert await another.take_orphans() == []
    assert await another.find_run(mine.run_id) == mine


async def test_the_runs_of_the_living_are_left_alone(ledger: Ledger, another: Ledger) -> None:
    await given.joined(ledger)
    run = await given.running(ledger)

    assert await ledger.take_orphans() == []
    assert await another.take_orphans(carried=()) == []
    assert await ledger.find_run(run.run_id) == run


async def test_two_nodes_never_take_the_same_run(ledger: Ledger, another: Ledger) -> None:
    for number in range(20):
        await given.running(ledger, f"a{number}")
    for each in (another, ledger):
        await given.joined(each)

    taken = await asyncio.gather(*(each.take_orphans() for each in (ledger, another) * 5))

    ids = [run.run_id for each in taken for run in each]
    assert len(ids) == len(set(ids)) == 20


async def test_a_retired_life_takes_nothing_over(ledger: Ledger, another: Ledger) -> None:
    await given.running(another)
    await given.joined(ledger)
    await given.outlived(ledger, another)

    assert await ledger.take_orphans() == []
    assert len(await another.take_orphans()) == 1


async def test_a_node_takes_what_it_has_without_knowing(ledger: Ledger) -> None:
    """The answer to its claim was lost: the run would be running for ever."""
    await given.joined(ledger)
    known, unknown = await given.running(ledger), await given.running(ledger)

    taken = await ledger.take_orphans(carried={known.run_id})

    assert [(run.run_id, run.term) for run in taken] == [(unknown.run_id, unknown.term + 1)]
    assert await ledger.take_orphans(carried={known.run_id, unknown.run_id}) == []
    assert await ledger.find_run(known.run_id) == known


# messages


async def claimed_message(ledger: Ledger) -> str:
    run = await given.running(ledger)
    message = given.message(run.run_id)
    await given.owed(ledger, message)
    await ledger.claim_messages(limit=9, now=NOW)
    return message.delivery_id


async def status_of(ledger: Ledger, delivery_id: str) -> DeliveryStatus:
    found = await ledger.find_message(delivery_id)
    assert found is not None
    return found.status


async def test_only_messages_of_nodes_that_are_gone_are_due_again(
    ledger: Ledger, another: Ledger
) -> None:
    await given.joined(ledger)
    lost = await claimed_message(ledger)
    assert await ledger.release_claims() == 0
    await given.outlived(ledger, another)
    kept = await claimed_message(another)

    assert await another.release_claims() == 1

    assert await status_of(another, lost) is DeliveryStatus.PENDING
    assert await status_of(another, kept) is DeliveryStatus.SENDING


async def test_a_message_that_a_node_has_without_knowing_is_due_again(ledger: Ledger) -> None:
    await given.joined(ledger)
    known, unknown = await claimed_message(ledger), await claimed_message(ledger)

    assert await ledger.release_claims(sending={known}) == 1

    assert await status_of(ledger, unknown) is DeliveryStatus.PENDING
    assert await status_of(ledger, known) is DeliveryStatus.SENDING


@pytest.mark.parametrize("result", [AttemptResult.DEAD, AttemptResult.RETRY])
async def test_an_attempt_on_a_message_that_another_node_claimed_since_is_ignored(
    ledger: Ledger, another: Ledger, result: AttemptResult
) -> None:
    await given.joined(ledger)
    message = await claimed_message(ledger)
    await given.outlived(ledger, another)
    await another.release_claims()
    await another.claim_messages(limit=9, now=NOW)

    await ledger.record_attempt(
        Attempt(delivery_id=message, at=NOW, result=result, error="HTTP 500", retry_at=NOW)
    )

    assert await status_of(another, message) is DeliveryStatus.SENDING
    found = await another.find_message(message)
    assert found is not None
    assert (found.attempts, found.last_error) == (0, None)


async def test_an_attempt_of_a_former_life_still_counts_while_nobody_claimed_the_message(
    ledger: Ledger, another: Ledger
) -> None:
    await given.joined(ledger)
    message = await claimed_message(ledger)
    await given.joined(ledger)

    await ledger.record_attempt(
        Attempt(delivery_id=message, at=NOW, result=AttemptResult.DELIVERED)
    )

    assert await status_of(ledger, message) is DeliveryStatus.DELIVERED
