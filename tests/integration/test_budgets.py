"""Money: what a request may use is held back before it is sent, and a budget that is spent stops
the next one."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from agent_house import AgentHouse, request

from amodal_rt.domain.automation import Automation, Limits, Retry
from amodal_rt.domain.budget import Amount, Hold, Spent, day_of, workspace_budgets
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.price import Price
from amodal_rt.domain.run import FailedReason, RunStatus
from amodal_rt.domain.workspace import ProviderType, WorkspaceLimits
from amodal_rt.engine.ending import retry_at
from amodal_rt.executors.agent.purse import ANSWER_TOKENS
from amodal_rt.testing.model_server import Turn

MILLION = 1_000_000
DEAR, CHEAP = Price(input=0, output=1.0), Price(input=0, output=0.001)
"""The first: an answer of a million tokens for a dollar."""


def _priced(house: AgentHouse, **limits: Any) -> None:
    house.settings["prices"] = {"local:small": DEAR, "local:tiny": CHEAP}
    house.settings["limits"] = WorkspaceLimits(**limits)


def _costing(dollars: float, **changes: Any) -> Turn:
    return Turn(**({"text": "done", "output_tokens": round(dollars * MILLION)} | changes))


def _auto(house: AgentHouse, **limits: Any) -> Automation:
    return house.automation(limits=Limits(**limits))


async def _spent(house: AgentHouse) -> list[tuple[str, str, float]]:
    rows = await house.ledger.spending(since=datetime.now(UTC).date() - timedelta(1))
    return [(each.automation, each.model, each.cost_usd) for each in rows]


async def test_what_an_answer_cost_stands_on_the_run_its_journal_and_the_day(
    house: AgentHouse,
) -> None:
    _priced(house)
    house.model.script(_costing(0.25))

    outcome = await house.run()

    assert outcome.usage.cost_usd == pytest.approx(0.25)
    assert house.of(EntryType.TURN_FINISHED)[0].data["cost_usd"] == pytest.approx(0.25)
    assert await _spent(house) == [("auto", "local:small", pytest.approx(0.25))]


async def test_a_model_of_a_known_provider_has_the_price_of_the_table(house: AgentHouse) -> None:
    provider = replace(house.provider("openai", ProviderType.OPENAI), name="openai")
    house.settings |= {"model": ("openai:gpt-4o",), "providers": {"openai": provider}}
    house.model.script(Turn(text="done", input_tokens=MILLION, output_tokens=0))

    outcome = await house.run()

    assert outcome.usage.cost_usd == pytest.approx(2.5)


async def test_a_run_stops_before_the_next_request_once_its_own_budget_is_used(
    house: AgentHouse,
) -> None:
    _priced(house)
    house.rest()
    house.model.script(_costing(0.6, calls=(request(),)), _costing(0.6, calls=(request(),)))

    outcome = await house.run(_auto(house, max_cost_usd=1.0))

    assert (outcome.status, outcome.reason) == (RunStatus.FAILED, "budget_exceeded")
    assert "$1.20 of $1.00 (limits.maxCostUsd, automations/auto.json)" in (outcome.error or "")
    assert len(house.model.requests) == 2


@pytest.mark.parametrize(
    ("workspace", "own", "rule"),
    [
        ({"max_cost_usd_per_day": 1.0}, {}, "limits.maxCostUsdPerDay, amodal.json"),
        ({}, {"max_cost_usd_per_day": 1.0}, "limits.maxCostUsdPerDay, automations/auto.json"),
        ({"max_tokens_per_day": 1000}, {}, "limits.maxTokensPerDay, amodal.json"),
        ({}, {"max_tokens_per_day": 1000}, "limits.maxTokensPerDay, automations/auto.json"),
    ],
)
async def test_a_budget_of_the_day_that_is_spent_stops_the_next_run_before_a_request(
    house: AgentHouse, workspace: dict[str, Any], own: dict[str, Any], rule: str
) -> None:
    _priced(house, **workspace)
    house.model.script(_costing(1.5))
    first = await house.run(_auto(house, **own))
    second = await house.run(_auto(house, **own))

    assert first.status is RunStatus.COMPLETED
    assert (second.status, second.reason) == (RunStatus.FAILED, "budget_exceeded")
    assert rule in (second.error or "")
    assert "more from" in (second.error or "")
    assert len(house.model.requests) == 1


async def test_five_dollars_a_day_are_the_default(house: AgentHouse) -> None:
    _priced(house)
    house.model.script(_costing(5.0))

    first, second = await house.run(), await house.run()

    assert (first.status, second.reason) == (RunStatus.COMPLETED, "budget_exceeded")
    assert "$5.00 of $5.00" in (second.error or "")


async def test_a_model_without_a_price_is_held_to_tokens(house: AgentHouse) -> None:
    house.settings["limits"] = WorkspaceLimits(max_unpriced_tokens_per_day=100)
    house.model.script(Turn(text="done", output_tokens=200))

    first, second = await house.run(), await house.run()

    assert (first.usage.cost_usd, second.reason) == (None, "budget_exceeded")
    assert "tokens of models without a price" in (second.error or "")


async def test_ten_runs_at_once_do_not_overspend_together(house: AgentHouse) -> None:
    _priced(house, max_cost_usd_per_day=0.0035)
    # Each answer is as long as an answer is taken to be.
    house.model.answer(lambda _: Turn(text="done", input_tokens=0, output_tokens=1_000))
    contexts = [await house.context() for _ in range(10)]

    outcomes = await asyncio.gather(*(house.execute(each) for each in contexts))

    done = [each for each in outcomes if each.status is RunStatus.COMPLETED]
    assert len(house.model.requests) == len(done) == 4
    assert {each.reason for each in outcomes if each not in done} == {"budget_exceeded"}


async def test_a_request_waits_while_only_others_hold_what_is_left(house: AgentHouse) -> None:
    _priced(house, max_cost_usd_per_day=1.0)
    other, waiting = await house.context(), await house.context()
    now = datetime.now(UTC)
    held = Hold(
        run_id=other.run.run_id, term=other.run.term, step="turn:1", automation="auto",
        model="local:small",
        day=day_of(waiting.snapshot.settings, now), wanted=Amount(cost_usd=1.0),
    )  # fmt: skip
    await house.ledger.reserve(held, workspace_budgets(house.snapshot().settings))

    task = asyncio.create_task(house.execute(waiting))
    while not any(each.type is EntryType.PROMPT for each in await _journal(house, waiting)):
        await house.clock.sleep(0.01)
    assert house.model.requests == []
    await house.ledger.charge(held, None)

    assert (await task).status is RunStatus.COMPLETED


async def _journal(house: AgentHouse, context: Any) -> list[Any]:
    return await house.ledger.entries(context.run.run_id)


async def test_a_cheaper_model_serves_once_the_budget_is_nearly_spent(house: AgentHouse) -> None:
    _priced(house, max_cost_usd_per_day=1.0, budget_models=("local:tiny",))
    house.model.script(_costing(0.85), _costing(0.1))

    first, second = await house.run(), await house.run()

    assert [each.model for each in (first, second)] == ["local:small", "local:tiny"]
    assert [each.body["model"] for each in house.model.requests] == ["small", "tiny"]


async def test_a_cheaper_model_is_no_fallback_and_stops_where_the_budget_ends(
    house: AgentHouse,
) -> None:
    _priced(house, max_cost_usd_per_day=1.0, budget_models=("local:tiny",))
    house.model.script(Turn(status=401), _costing(1.5))

    refused, first, second = [await house.run() for _ in range(3)]

    assert refused.reason == FailedReason.ERROR
    assert first.model == "local:small"
    assert second.reason == "budget_exceeded"
    assert "limits.maxCostUsdPerDay" in (second.error or "")
    assert len(house.model.requests) == 2


async def test_a_cheaper_model_that_costs_nothing_goes_on(house: AgentHouse) -> None:
    _priced(house, max_cost_usd_per_day=1.0, budget_models=("local:tiny",))
    house.settings["prices"] |= {"local:tiny": Price(input=0, output=0)}
    house.model.script(_costing(1.5))

    await house.run()
    second = await house.run()

    assert (second.status, second.model) == (RunStatus.COMPLETED, "local:tiny")


async def test_that_a_budget_is_nearly_spent_is_noted_once(house: AgentHouse) -> None:
    _priced(house, max_cost_usd_per_day=1.0)
    house.rest()
    house.model.script(_costing(0.85), _costing(0.01, calls=(request(),)), Turn(text="done"))

    await house.run()
    await house.run()

    notes = [str(each.data["note"]) for each in house.of(EntryType.RUN_NOTE)]
    assert notes == ["nearly spent today: $0.85 of $1.00 (limits.maxCostUsdPerDay, amodal.json)"]


async def test_what_a_crashed_run_paid_for_is_counted_and_so_is_what_it_held(
    house: AgentHouse,
) -> None:
    _priced(house, max_cost_usd_per_day=2.0)
    context = await house.context()
    run, day = context.run, day_of(context.snapshot.settings, datetime.now(UTC))
    hold = Hold(
        run_id=run.run_id, term=run.term, step="turn:1", automation="auto", day=day,
        model="local:small", wanted=Amount(cost_usd=1.0),
    )  # fmt: skip
    await house.ledger.reserve(hold, workspace_budgets(context.snapshot.settings))
    spent = Spent(day=day, automation="auto", model="local:small", cost_usd=0.25)
    await house.ledger.charge(replace(hold, step="turn:0"), spent)
    after = await house.context()
    await house.ledger.resume(run, at=datetime.now(UTC))

    outcome = await house.execute(after)

    assert outcome.status is RunStatus.COMPLETED
    assert (await _spent(house))[0][2] == pytest.approx(1.25, abs=0.01)


EXPECTED = ANSWER_TOKENS / MILLION * DEAR.output
"""What an answer of the dear model is taken to cost before it is there, in USD."""


async def test_a_request_whose_answer_nobody_saw_is_counted_as_it_was_expected(
    house: AgentHouse,
) -> None:
    _priced(house, max_cost_usd_per_day=EXPECTED)
    house.model.answer(lambda _: Turn(drop=True))

    first = await house.run()
    failed = house.of(EntryType.TURN_FAILED)[0].data
    second = await house.run()

    assert first.usage.cost_usd == pytest.approx(EXPECTED)
    assert (first.reason, second.reason) == (FailedReason.ERROR, FailedReason.BUDGET_EXCEEDED)
    assert (failed["unanswered"], failed["cost_usd"]) == (True, pytest.approx(EXPECTED))


async def test_a_request_that_was_given_up_at_the_deadline_is_counted(house: AgentHouse) -> None:
    _priced(house)
    house.model.script(Turn(text="late", seconds=60))
    task = asyncio.create_task(house.run())
    while not house.model.requests:
        await house.clock.sleep(0.01)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await _spent(house) == [("auto", "local:small", pytest.approx(EXPECTED))]


async def test_a_request_that_was_refused_or_never_left_costs_nothing(house: AgentHouse) -> None:
    _priced(house)
    house.model.answer(lambda _: Turn(status=400))
    away = replace(house.provider("away", ProviderType.OPENAI_COMPATIBLE))
    away = replace(away, base_url="http://127.0.0.1:1/v1")
    house.settings["prices"] |= {"away:small": DEAR}

    await house.run()
    house.settings |= {"providers": {"away": away}, "model": ("away:small",)}
    lost = await house.run()

    assert (lost.reason, lost.usage.cost_usd) == (FailedReason.ERROR, None)
    assert await _spent(house) == []


async def test_a_model_that_is_passed_over_for_a_cheaper_one_costs_nothing(
    house: AgentHouse,
) -> None:
    _priced(house, max_cost_usd_per_day=1.0, budget_models=("local:tiny",))
    house.model.script(_costing(0.85), Turn(status=400))
    await house.run()
    await house.run()

    await house.run()

    rows = {model: cost for _, model, cost in await _spent(house)}
    assert rows["local:small"] == pytest.approx(0.85)


@pytest.mark.parametrize(
    ("turn", "again"),
    [
        (Turn(status=400), False),
        (Turn(status=401), False),
        (Turn(status=404), False),
        (Turn(drop=True), True),
        (Turn(text="half", cut=True), True),
    ],
)
async def test_only_what_may_pass_is_tried_again_by_rule(
    house: AgentHouse, turn: Turn, again: bool
) -> None:
    house.model.answer(lambda _: turn)
    context = await house.context(house.automation(retry=Retry(attempts=1)))

    outcome = await house.execute(context)

    assert outcome.status is RunStatus.FAILED
    now = datetime.now(UTC)
    planned = retry_at(context.run, outcome, context.definition, tries=1, wrote=False, now=now)
    assert (planned is not None) is again


@pytest.mark.parametrize(("status", "served"), [(400, None), (401, "p1:small"), (503, "p1:small")])
async def test_the_next_model_is_asked_where_another_may_answer(
    house: AgentHouse, status: int, served: str | None
) -> None:
    providers = {
        name: house.provider(name, ProviderType.OPENAI_COMPATIBLE) for name in ("p0", "p1")
    }
    house.settings |= {"providers": providers, "model": ("p0:small", "p1:small")}
    house.model.script(Turn(status=status), Turn(text="second"))

    outcome = await house.run()

    assert isinstance(outcome, Outcome)
    assert outcome.model == served
