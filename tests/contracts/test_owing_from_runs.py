"""`ports.Outbox.owe_from_run`, sentence by sentence."""

import ledger_values as given
import pytest
from ledger_values import NOW

from amodal_rt.domain.journal import EntryType
from amodal_rt.errors import ConflictError, NotFoundError
from amodal_rt.ports import Ledger


async def test_messages_of_a_step_are_owed_together_with_their_entry(ledger: Ledger) -> None:
    run = await given.running(ledger)
    message = given.message(run.run_id)

    await ledger.owe_from_run(run.run_id, [message], at=NOW, step="tell/deliver", term=run.term)

    assert [each.message for each in await ledger.claim_messages(limit=9, now=NOW)] == [message]
    (entry,) = await ledger.entries(run.run_id)
    assert (entry.type, entry.step) == (EntryType.DELIVERY_OWED, "tell/deliver")
    assert entry.data == {"targets": ["#reports"]}


async def test_nothing_is_owed_under_an_old_term(ledger: Ledger) -> None:
    run = await given.running(ledger)
    message = given.message(run.run_id)

    with pytest.raises(ConflictError):
        await ledger.owe_from_run(run.run_id, [message], at=NOW, step="s", term=run.term + 1)

    assert await ledger.list_messages(limit=9) == []
    assert await ledger.entries(run.run_id) == []


async def test_a_run_that_is_not_there_owes_nothing(ledger: Ledger) -> None:
    with pytest.raises(NotFoundError):
        await ledger.owe_from_run("run_none", [given.message(None)], at=NOW, step="s")

    assert await ledger.list_messages(limit=9) == []
