"""`ports.FactLedger`, sentence by sentence."""

import asyncio
from dataclasses import replace

import ledger_values as given
import pytest
from ledger_values import CALLER, HOUR, NOW

from amodal_rt.domain.run import RunStatus
from amodal_rt.ports import AutomationFacts, Intent, Ledger


async def test_automations_without_facts_are_absent(ledger: Ledger) -> None:
    assert await ledger.automation_facts() == {}


async def test_paused_is_kept_with_its_reason_and_time(ledger: Ledger) -> None:
    told = await ledger.set_paused("a", paused=True, reason="repair", caller=CALLER, at=NOW)

    assert told == AutomationFacts(name="a", paused=True, paused_reason="repair", paused_at=NOW)
    assert await ledger.automation_facts() == {"a": told}


async def test_resumed_is_kept_with_its_time(ledger: Ledger) -> None:
    await ledger.set_paused("a", paused=True, reason="repair", caller=CALLER, at=NOW)

    told = await ledger.set_paused("a", paused=False, reason=None, caller=CALLER, at=NOW + HOUR)

    assert told == AutomationFacts(name="a", resumed_at=NOW + HOUR)
    assert await ledger.automation_facts() == {"a": told}


async def test_pausing_cancels_pending_runs_of_that_automation(ledger: Ledger) -> None:
    running = await given.running(ledger)
    pending, other = given.start(), given.start("other")
    await ledger.admit([pending, other])

    await ledger.set_paused("digest", paused=True, reason="repair", caller=CALLER, at=NOW)

    statuses = {
        run_id: run.status if (run := await ledger.find_run(run_id)) else None
        for run_id in (running.run_id, pending.run_id, other.run_id)
    }
    assert statuses == {
        running.run_id: RunStatus.RUNNING,
        pending.run_id: RunStatus.CANCELLED,
        other.run_id: RunStatus.PENDING,
    }
    cancelled = await ledger.find_run(pending.run_id)
    assert cancelled is not None
    assert cancelled.rule == "paused: repair"


async def test_resuming_cancels_nothing(ledger: Ledger) -> None:
    pending = given.start()
    await ledger.admit([pending])

    await ledger.set_paused("digest", paused=False, reason=None, caller=CALLER, at=NOW)

    run = await ledger.find_run(pending.run_id)
    assert run is not None
    assert run.status is RunStatus.PENDING


async def test_rotations_are_counted_per_automation(ledger: Ledger) -> None:
    for expected in (1, 2, 3):
        told = await ledger.rotate("a", caller=CALLER, at=NOW)
        assert told.rotation == expected

    await ledger.set_paused("a", paused=True, reason=None, caller=CALLER, at=NOW)

    facts = await ledger.automation_facts()
    assert facts["a"].rotation == 3
    assert facts["a"].paused
    assert (await ledger.rotate("b", caller=CALLER, at=NOW)).rotation == 1


async def test_a_fact_stands_once_it_is_set(ledger: Ledger) -> None:
    assert await ledger.fact("webhook_key") is None

    assert await ledger.set_fact("webhook_key", "one") == "one"
    assert await ledger.set_fact("webhook_key", "two") == "one"

    assert await ledger.fact("webhook_key") == "one"


async def test_all_who_set_a_fact_at_once_get_the_same_one(ledger: Ledger) -> None:
    stand = await asyncio.gather(*(ledger.set_fact("k", str(number)) for number in range(32)))

    assert len(set(stand)) == 1


@pytest.mark.parametrize("data", [{}, {"before": None, "after": ["x"]}])
async def test_the_audit_trail_takes_any_document(ledger: Ledger, data: dict[str, object]) -> None:
    await ledger.audit("definition.changed", subject="a", caller=CALLER, at=NOW, data=data)


INTENT = Intent(
    id="b",
    action="automation.updated",
    subject="digest",
    caller=CALLER,
    at=NOW,
    data={"keys": ["title"]},
    file="automations/digest.json",
    before="0" * 64,
    after=None,
    place="host:/state",
)


async def test_what_is_intended_is_kept_until_it_is_settled(ledger: Ledger) -> None:
    older, younger = replace(INTENT, id="z", at=NOW - HOUR), replace(INTENT, id="a", at=NOW + HOUR)
    for each in (INTENT, younger, older):
        await ledger.intend(each)

    kept = await ledger.intents()
    done = await ledger.settle("b", data={"keys": [], "certain": False})
    undone = await ledger.settle("z", data=None)
    again = await ledger.settle("b", data={})

    assert kept == [older, INTENT, younger]
    assert (done, undone, again) == (True, True, False)
    assert await ledger.intents() == [younger]
