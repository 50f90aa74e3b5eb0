"""What models cost: held back before a request, counted after it, shared by all nodes."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta

import ledger_values as given
import pytest
from ledger_values import NOW

from amodal_rt.domain.budget import Amount, Budget, Hold, Measure, Spent
from amodal_rt.domain.run import Run
from amodal_rt.errors import ConflictError, NotFoundError
from amodal_rt.ports import Ledger

DAY = date(2026, 3, 2)
SHARED = Budget(automation=None, measure=Measure.COST, limit=1.0, rule="r")
OWN = Budget(automation="digest", measure=Measure.TOKENS, limit=100, rule="r")
UNPRICED = Budget(automation=None, measure=Measure.UNPRICED, limit=50, rule="r")


def hold(run: Run, cost: float = 0.4, step: str = "turn:1", **amounts: int) -> Hold:
    return Hold(
        run_id=run.run_id,
        term=run.term,
        step=step,
        automation=run.automation,
        model="a:b",
        day=DAY,
        wanted=Amount(cost_usd=cost, **amounts),
    )


def used(cost: float, **changed: object) -> Spent:
    spent = Spent(day=DAY, automation="digest", model="a:b", cost_usd=cost)
    return replace(spent, **changed)


async def test_what_is_held_is_no_room_for_others_until_it_is_settled(ledger: Ledger) -> None:
    one, other = await given.running(ledger), await given.running(ledger)

    [before] = await ledger.reserve(hold(one, 0.7), [SHARED])
    [beside] = await ledger.reserve(hold(other, 0.7), [SHARED])
    [full] = await ledger.reserve(hold(one, 0.1, "turn:2"), [SHARED])
    await ledger.charge(hold(other), used(0.2))
    [after] = await ledger.reserve(hold(one, 0.1, "turn:2"), [SHARED])

    assert (before.spent, before.held) == (0, 0)
    assert beside.held == pytest.approx(0.7)
    # The second took what was left, and so the third found nothing.
    assert (full.held, full.left) == (pytest.approx(1.0), pytest.approx(0))
    assert (after.spent, after.held) == (pytest.approx(0.2), pytest.approx(0.7))


async def test_ten_at_once_never_hold_more_than_there_is(ledger: Ledger) -> None:
    runs = [await given.running(ledger, concurrency=100) for _ in range(10)]

    stood = await asyncio.gather(*(ledger.reserve(hold(each), [SHARED]) for each in runs))

    granted = [min(0.4, each.left) for [each] in stood if each.left > 0]
    assert sum(granted) == pytest.approx(1.0)
    assert len(granted) == 3


async def test_a_second_node_sees_what_the_first_holds_and_spent(
    ledger: Ledger, another: Ledger
) -> None:
    run = await given.running(ledger)
    await ledger.reserve(hold(run, 0.3), [SHARED])
    await another.charge(hold(run, step="turn:9"), used(0.5))

    [seen] = await another.reserve(hold(run, 0.1, "turn:2"), [SHARED])

    assert (seen.spent, seen.held) == (pytest.approx(0.5), pytest.approx(0.3))


async def test_what_a_run_held_that_is_not_running_is_counted_once_as_used(
    ledger: Ledger,
) -> None:
    dead, other = await given.running(ledger), await given.running(ledger)
    await ledger.charge(hold(dead), used(0.1, input_tokens=5))
    await ledger.reserve(hold(dead, 0.3, tokens=40, unpriced_tokens=7), [SHARED])
    await ledger.reserve(hold(dead, 0.2, "turn:2", tokens=10), [SHARED])
    await ledger.resume(dead, at=NOW)

    [seen] = await ledger.reserve(hold(other, 0.0), [SHARED])
    [again] = await ledger.reserve(hold(other, 0.0, "turn:2"), [SHARED])

    assert (seen.spent, seen.held) == (pytest.approx(0.6), 0)
    assert again.spent == pytest.approx(0.6)
    [row] = await ledger.spending(since=DAY)
    assert (row.requests, row.input_tokens, row.unpriced_tokens) == (3, 55, 7)
    assert row.cost_usd == pytest.approx(0.6)
    with pytest.raises(ConflictError) as fenced:
        await ledger.reserve(hold(dead), [SHARED])
    assert fenced.value.code == "fenced"
    with pytest.raises(NotFoundError):
        await ledger.reserve(replace(hold(dead), run_id="run_none"), [SHARED])


async def test_a_request_that_is_made_again_holds_once(ledger: Ledger) -> None:
    run = await given.running(ledger)
    await ledger.reserve(hold(run, 0.3), [SHARED])

    [seen] = await ledger.reserve(hold(run, 0.5), [SHARED])
    [beside] = await ledger.reserve(hold(run, 0.1, "turn:2"), [SHARED])

    assert (seen.held, beside.held) == (0, pytest.approx(0.5))


async def test_budgets_of_an_automation_count_what_is_its_own(ledger: Ledger) -> None:
    mine = await given.running(ledger)
    await ledger.charge(hold(mine), used(0.1, input_tokens=30, output_tokens=20))
    theirs = used(0.1, automation="other", input_tokens=70, unpriced_tokens=70)
    await ledger.charge(hold(mine), theirs)

    stood = await ledger.reserve(hold(mine, 0.0, tokens=10), [OWN, SHARED, UNPRICED])

    assert [each.spent for each in stood] == [50, pytest.approx(0.2), 70]
    assert [each.is_spent for each in stood] == [False, False, True]


async def test_what_a_request_does_not_use_is_no_bound_to_it(ledger: Ledger) -> None:
    run, other = await given.running(ledger), await given.running(ledger)
    await ledger.charge(hold(run), used(2.0))

    await ledger.reserve(hold(run, 0.0, tokens=60), [SHARED, OWN])
    [_, own] = await ledger.reserve(hold(other, 0.0, tokens=60), [SHARED, OWN])

    assert own.held == 60


async def test_each_day_has_its_own_rows_newest_first(ledger: Ledger) -> None:
    run = await given.running(ledger)
    for each in (used(0.1), used(0.2), used(0.3, model="c:d"), used(0.4, day=DAY + timedelta(1))):
        await ledger.charge(hold(run), each)
    await ledger.charge(hold(run), None)

    rows = await ledger.spending(since=DAY)

    assert [(each.day.day, each.model, each.requests) for each in rows] == [
        (3, "a:b", 1), (2, "a:b", 2), (2, "c:d", 1),
    ]  # fmt: skip
    assert [each.cost_usd for each in rows] == pytest.approx([0.4, 0.3, 0.3])
    assert len(await ledger.spending(since=DAY, until=DAY)) == 2
    assert await ledger.spending(since=DAY, automation="other") == []
