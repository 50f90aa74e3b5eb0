"""What `ops approvals` says of a parked write whose automation is paused."""

from dataclasses import replace
from datetime import timedelta

import pytest
from desk import ADA, NOW, Desk, definition, live

from amodal_rt.domain import parked
from amodal_rt.domain.automation import Lifecycle
from amodal_rt.domain.parked import Edit, ParkedWrite, Verdict
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.errors import ConflictError
from amodal_rt.operations.parked import Pauses, Writes
from amodal_rt.triggers.starts import start_for

YES = Verdict(approved=True, by="ada", door="cli", at=NOW)


async def unchecked(write: ParkedWrite, call: object) -> Edit | None:
    del write, call
    return None


class Waiting:
    """A write of `a` that waits, and the verbs that decide on it."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        desk.files.add(live(definition("a")))
        self.writes = Writes(
            desk.ledger,
            Pauses(desk.files, desk.facts),
            check=unchecked,
            pinned=lambda _: {},
            signals=desk.signals,
            clock=desk.clock,
        )

    async def put(self) -> ParkedWrite:
        wish = start_for(definition("a"), TriggerKind.MANUAL, ids=self.desk.ids, now=NOW)
        await self.desk.ledger.admit([wish])
        (run,) = await self.desk.ledger.claim(limit=1, overall=99, now=NOW)
        write = ParkedWrite(
            write_id=self.desk.ids.write(), run_id=run.run_id, automation="a", title="A",
            definition="d", step="call_1", label="POST /x", surface="s", why="so", rule="r",
            call={"connection": "crm", "method": "POST", "endpoint": "/x"},
            asked_at=NOW, expires_at=NOW + timedelta(days=1),
        )  # fmt: skip
        await self.desk.ledger.park_write(write, data={}, attempt=1, term=run.term)
        return write

    async def waits_for(self, write: ParkedWrite) -> object:
        document = self.writes.document(await self.writes.get(write.write_id))
        return document["write"]["waits_for"]  # pyright: ignore[reportIndexIssue]


@pytest.fixture
def waiting(desk: Desk) -> Waiting:
    return Waiting(desk)


async def test_an_approved_write_says_that_it_waits_for_what_was_paused(waiting: Waiting) -> None:
    write, desk = await waiting.put(), waiting.desk
    before = await waiting.waits_for(write)
    await desk.ledger.rule_on_parked(
        write.write_id,
        lambda it, around: parked.decided(it, YES, around),
        caller=ADA,
        at=NOW,
    )
    await desk.automations.pause_all(ADA, reason="stop it")

    during = await waiting.waits_for(write)
    begun = await desk.ledger.rule_on_parked(
        write.write_id, lambda it, around: parked.begun(it, "n", NOW, around),
        caller=ADA, at=NOW,
    )  # fmt: skip
    await desk.automations.resume(ADA, "a")

    assert (before, begun) == (None, None)
    assert during == "a is paused (stop it), until `ops automations resume a`"
    assert await waiting.waits_for(write) is None


async def test_nothing_is_approved_of_what_its_file_pauses_and_it_names_the_line(
    waiting: Waiting,
) -> None:
    write = await waiting.put()
    waiting.desk.files.add(live(definition("a", status=Lifecycle.PAUSED)))

    with pytest.raises(ConflictError) as refused:
        await waiting.writes.decide(ADA, write.write_id, approved=True, note=None)
    said = await waiting.waits_for(write)
    denied = await waiting.writes.decide(ADA, write.write_id, approved=False, note=None)

    assert refused.value.code == "paused"
    assert "a is paused by its file (automations/a.json" in str(said)
    assert replace(denied, status=write.status, verdict=None, finished_at=None) == write
