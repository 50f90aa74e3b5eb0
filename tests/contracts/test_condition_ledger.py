"""`ports.ConditionLedger`, sentence by sentence."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import ledger_values as given
from ledger_values import HOUR, MINUTE, NOW

from amodal_rt.domain.condition import Condition, ConditionKind, Ruling
from amodal_rt.domain.delivery import MessageKind
from amodal_rt.ports import Ledger

FULL = Condition(
    key="queue_full", kind=ConditionKind.QUEUE_FULL, since=NOW, subject="the queue", told=True
)
EVERYTHING = Condition(
    key="file_invalid a.json",
    kind=ConditionKind.FILE_INVALID,
    since=NOW + timedelta(milliseconds=3),
    subject="automations/größe.json",
    automation="größe",
    detail="line 3: no",
    alerted_at=NOW + MINUTE,
    told=True,
    unreported=True,
    target="webhook env:OPS",
    seen_by="node_1",
    earlier=("msg_2: größer",),
    more=3,
    delivery_id="msg_3",
)


async def test_a_condition_comes_back_as_it_was_ruled(ledger: Ledger) -> None:
    assert await ledger.find_condition(EVERYTHING.key) is None

    await ledger.rule_on_condition(EVERYTHING.key, lambda _: Ruling(EVERYTHING))

    assert await ledger.find_condition(EVERYTHING.key) == EVERYTHING
    assert await ledger.conditions() == [EVERYTHING]


async def test_only_those_that_stand_are_listed_oldest_first(ledger: Ledger) -> None:
    over = replace(FULL, key="over", cleared_at=NOW + HOUR)
    older = replace(FULL, key="z", since=NOW - HOUR)
    for each in (over, FULL, older):
        await ledger.rule_on_condition(each.key, lambda _, ruled=each: Ruling(ruled))

    assert await ledger.conditions() == [older, FULL]
    assert await ledger.find_condition("over") == over


async def test_the_rule_is_told_how_it_stands_and_its_messages_are_owed(ledger: Ledger) -> None:
    alert = given.message(None, None, kind=MessageKind.WORKSPACE_ALERT)
    told: list[Condition | None] = []

    def rule(known: Condition | None) -> Ruling:
        told.append(known)
        return Ruling(FULL, (alert,))

    ruling = await ledger.rule_on_condition(FULL.key, rule)
    assert ruling == Ruling(FULL, (alert,))
    assert told[-1] is None
    (record,) = await ledger.claim_messages(limit=10, now=NOW)
    assert record.message == alert

    over = replace(FULL, cleared_at=NOW + HOUR)
    await ledger.rule_on_condition(FULL.key, lambda known: told.append(known) or Ruling(over))
    assert told[-1] == FULL


async def test_a_rule_that_says_none_changes_nothing(ledger: Ledger) -> None:
    await ledger.rule_on_condition(FULL.key, lambda _: Ruling(FULL))

    assert await ledger.rule_on_condition(FULL.key, lambda _: None) is None
    assert await ledger.rule_on_condition("other", lambda _: None) is None

    assert await ledger.conditions() == [FULL]


async def test_of_many_that_see_it_at_once_one_alerts(ledger: Ledger) -> None:
    def rule(known: Condition | None) -> Ruling | None:
        if known is not None:
            return None
        return Ruling(FULL, (given.message(None, None, kind=MessageKind.WORKSPACE_ALERT),))

    await asyncio.gather(*(ledger.rule_on_condition(FULL.key, rule) for _ in range(20)))

    assert len(await ledger.list_messages(limit=100)) == 1


async def test_pending_runs_are_counted(ledger: Ledger) -> None:
    assert await ledger.count_pending() == 0
    await given.running(ledger)
    await ledger.admit([given.start(), given.start()])

    assert await ledger.count_pending() == 2


async def test_proving_that_it_can_write_leaves_nothing_behind_but_the_proof(
    ledger: Ledger,
) -> None:
    for minute in range(3):
        await ledger.prove_writable(NOW + minute * MINUTE)

    assert await ledger.conditions() == []
