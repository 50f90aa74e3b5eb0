"""How much of everything is open."""

import ledger_values as given
from ledger_values import NOW
from test_outbox import settle
from test_parked_ledger import decide, kept
from test_parking import asked

from amodal_rt.domain.census import Census
from amodal_rt.domain.delivery import AttemptResult
from amodal_rt.ports import Ledger


async def test_of_an_empty_ledger_nothing_is_open(ledger: Ledger) -> None:
    assert await ledger.census() == Census()


async def test_runs_count_while_they_wait_or_are_carried(ledger: Ledger) -> None:
    await given.finished(ledger)
    await asked(ledger)
    await given.running(ledger, "other")
    await ledger.admit([given.start("later") for _ in range(3)])

    found = await ledger.census()

    assert (found.pending, found.asking, found.running) == (4, 1, 1)


async def test_parked_writes_count_until_somebody_decides(ledger: Ledger) -> None:
    one, _ = await kept(ledger), await kept(ledger)
    before = await ledger.census()
    await decide(ledger, one.write_id)

    assert (before.parked, (await ledger.census()).parked) == (2, 1)


async def test_messages_count_while_they_are_owed_and_once_they_are_dead(ledger: Ledger) -> None:
    run = await given.running(ledger)
    arrived, dead, again, waits = (given.message(run.run_id) for _ in range(4))
    for each, result in (
        (arrived, AttemptResult.DELIVERED),
        (dead, AttemptResult.DEAD),
        (again, AttemptResult.RETRY),
    ):
        await given.owed(ledger, each)
        await settle(ledger, each, result)
    await given.owed(ledger, waits)
    await ledger.claim_messages(limit=1, now=NOW)

    found = await ledger.census()

    assert (found.owed, found.dead) == (2, 1)
