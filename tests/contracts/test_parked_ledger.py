"""`ports.ParkedLedger`, sentence by sentence."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import ledger_values as given
import pytest
from ledger_values import CALLER, DAY, HOUR, MINUTE, NOW
from sqlalchemy import Connection, select, update

from amodal_rt.domain import parked
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.parked import Around, Change, Link, ParkedStatus, ParkedWrite, Verdict
from amodal_rt.domain.run import Run
from amodal_rt.errors import ConflictError, NotFoundError
from amodal_rt.ports import Ledger, ParkedFilter
from amodal_rt.storage.ledger import DatabaseLedger
from amodal_rt.storage.parked_table import parked_writes
from amodal_rt.testing.ledger import MemoryLedger

CALL: dict[str, object] = {
    "connection": "crm",
    "method": "POST",
    "endpoint": "/deals",
    "data": {"amount": 7, "name": "Zoë \ud800"},
}
YES = Verdict(approved=True, by="ada", door="cli", at=NOW + MINUTE, note="as agreed")


def write(run: Run, **changed: Any) -> ParkedWrite:
    plain = ParkedWrite(
        write_id=given.fresh("write"),
        run_id=run.run_id,
        automation=run.automation,
        title=run.title,
        definition="d" * 64,
        step="call_1",
        parent="turn:1",
        call=CALL,
        label="POST /deals",
        surface="s" * 64,
        why="data.amount is 7, and its limit 5",
        rule="access.json POST /deals",
        asked_at=NOW,
        expires_at=NOW + DAY,
        approvers=("ada",),
        sources=("the event",),
        requester="bob",
        actor="root",
        depth=1,
    )
    return replace(plain, **changed)


async def kept(ledger: Ledger, automation: str = "digest", **changed: Any) -> ParkedWrite:
    run = await given.running(ledger, automation)
    asked = write(run, **changed)
    await ledger.park_write(asked, data={"tool": "request"}, attempt=1, term=run.term)
    return asked


async def decide(ledger: Ledger, write_id: str, verdict: Verdict = YES) -> ParkedWrite | None:
    return await ledger.rule_on_parked(
        write_id,
        lambda found, around: parked.decided(found, verdict, around),
        caller=CALLER,
        at=verdict.at,
    )


async def begin(ledger: Ledger, write_id: str, at: datetime = NOW + MINUTE) -> ParkedWrite | None:
    return await ledger.rule_on_parked(
        write_id,
        lambda found, around: parked.begun(found, ledger.node_id, at, around),
        caller=CALLER,
        at=at,
    )


async def end(
    ledger: Ledger, write_id: str, status: ParkedStatus = ParkedStatus.PERFORMED, **more: Any
) -> ParkedWrite | None:
    def rule(found: ParkedWrite, _: Around) -> Change | None:
        return parked.ended(found, status, {"status": 201}, NOW + HOUR, **more)

    return await ledger.rule_on_parked(write_id, rule, caller=CALLER, at=NOW + HOUR)


async def test_what_is_parked_is_found_as_it_was_with_an_entry_in_the_journal(
    ledger: Ledger,
) -> None:
    asked = await kept(ledger)

    found = await ledger.find_parked(asked.write_id)

    # A lone surrogate stays what it was: JSON holds it.
    assert found == asked
    [entry] = await ledger.entries(asked.run_id)
    assert (entry.type, entry.step, entry.parent) == (EntryType.WRITE_PARKED, "call_1", "turn:1")
    assert entry.data == {"tool": "request"}
    assert await ledger.find_parked("write_none") is None


async def test_nothing_is_parked_for_a_run_that_was_taken_over_or_is_not_there(
    ledger: Ledger,
) -> None:
    run = await given.running(ledger)
    with pytest.raises(ConflictError) as fenced:
        await ledger.park_write(write(run), data={"a": 1}, attempt=1, term=run.term + 1)
    nobody = replace(write(run), run_id="run_none")
    with pytest.raises(NotFoundError):
        await ledger.park_write(nobody, data={"a": 1}, attempt=1, term=None)

    assert fenced.value.code == "fenced"
    assert await ledger.list_parked(ParkedFilter()) == []
    assert await ledger.entries(run.run_id) == []


async def test_lists_are_narrowed_by_automation_run_status_and_time(ledger: Ledger) -> None:
    first = await kept(ledger)
    second = await kept(ledger, "other", expires_at=NOW + HOUR)
    third = await kept(ledger, expires_at=NOW + HOUR)
    await decide(ledger, third.write_id)

    async def ids(**wanted: Any) -> list[str]:
        return [each.write_id for each in await ledger.list_parked(ParkedFilter(**wanted))]

    assert await ids() == [third.write_id, second.write_id, first.write_id]
    assert await ids(limit=1) == [third.write_id]
    assert await ids(automation="other") == [second.write_id]
    assert await ids(run_id=first.run_id) == [first.write_id]
    assert await ids(statuses={ParkedStatus.APPROVED}) == [third.write_id]
    assert await ids(expired_by=NOW + HOUR - MINUTE) == []
    assert await ids(expired_by=NOW + HOUR) == [third.write_id, second.write_id]
    assert await ledger.next_expiry() == NOW + HOUR


async def test_a_verdict_is_kept_whole_and_said_in_the_journal(ledger: Ledger) -> None:
    asked = await kept(ledger)

    said = await decide(ledger, asked.write_id)

    assert said is not None
    assert said == await ledger.find_parked(asked.write_id)
    assert (said.status, said.verdict) == (ParkedStatus.APPROVED, YES)
    entry = (await ledger.entries(asked.run_id))[-1]
    assert (entry.type, entry.step) == (EntryType.APPROVAL_ANSWERED, "call_1")
    assert (entry.data["by"], entry.data["write_id"]) == ("ada", asked.write_id)


async def test_of_two_who_decide_at_once_one_is_told_who_was_first(
    ledger: Ledger, another: Ledger
) -> None:
    asked = await kept(ledger)
    no = replace(YES, approved=False, by="bob")

    said = await asyncio.gather(
        decide(ledger, asked.write_id), decide(another, asked.write_id, no), return_exceptions=True
    )

    [first] = [each for each in said if isinstance(each, ParkedWrite)]
    [second] = [each for each in said if isinstance(each, ConflictError)]
    assert first.verdict is not None
    assert second.code == "already_decided"
    assert f"by {first.verdict.by} through cli" in second.message
    assert await ledger.find_parked(asked.write_id) == first


async def test_what_a_rule_raises_leaves_all_as_it_was(ledger: Ledger) -> None:
    asked = await kept(ledger)
    with pytest.raises(ConflictError) as late:
        await decide(ledger, asked.write_id, replace(YES, at=NOW + DAY))
    with pytest.raises(NotFoundError) as nothing:
        await decide(ledger, "write_none")

    assert (late.value.code, nothing.value.code) == ("approval_expired", "approval_not_found")
    assert await ledger.find_parked(asked.write_id) == asked
    assert len(await ledger.entries(asked.run_id)) == 1


async def test_a_paused_automation_s_writes_are_neither_approved_nor_begun(
    ledger: Ledger,
) -> None:
    asked, approved = await kept(ledger), await kept(ledger)
    await decide(ledger, approved.write_id)
    pause = partial(ledger.set_paused, "digest", reason=None, caller=CALLER, at=NOW)
    await pause(paused=True)

    with pytest.raises(ConflictError) as refused:
        await decide(ledger, asked.write_id)
    held = await begin(ledger, approved.write_id)
    await pause(paused=False)

    assert refused.value.code == "paused"
    assert held is None
    assert await begin(ledger, approved.write_id) is not None


async def test_it_is_begun_once_counts_as_a_write_and_ends_once(
    ledger: Ledger, another: Ledger
) -> None:
    asked = await kept(ledger)
    assert await begin(ledger, asked.write_id) is None
    await decide(ledger, asked.write_id)

    both = await asyncio.gather(begin(ledger, asked.write_id), begin(another, asked.write_id))
    message = given.message(asked.run_id)
    ended = await end(ledger, asked.write_id, messages=(message,))
    again = await end(ledger, asked.write_id, ParkedStatus.UNKNOWN)

    assert sum(each is not None for each in both) == 1
    assert await ledger.writes_since("digest", NOW) == 1
    assert ended is not None
    assert (ended.status, ended.outcome) == (ParkedStatus.PERFORMED, {"status": 201})
    assert again is None
    types = [each.type.value for each in await ledger.entries(asked.run_id)]
    assert types == ["write.parked", "approval.answered", "write.started", "write.finished"]
    assert await ledger.next_expiry() is None


async def test_what_a_node_that_is_gone_was_performing_is_lost(
    ledger: Ledger, another: Ledger
) -> None:
    await given.joined(ledger)
    asked, mine = await kept(ledger), await kept(ledger)
    for each in (asked, mine):
        await decide(ledger, each.write_id)
    await begin(ledger, asked.write_id)
    await given.outlived(ledger, another)
    await begin(another, mine.write_id)
    spared = [each.write_id for each in await ledger.lost_parked({asked.write_id})]
    lost = [each.write_id for each in await another.lost_parked({mine.write_id})]

    assert asked.write_id not in spared
    assert mine.write_id not in lost
    assert asked.write_id in lost


async def test_they_are_counted_by_automation_status_and_whether_somebody_edited_them(
    ledger: Ledger,
) -> None:
    for edited in (None, CALL, CALL):
        asked = await kept(ledger, original=edited)
        await decide(ledger, asked.write_id)
    await kept(ledger, "other")

    counted = await ledger.count_parked()

    assert counted["digest"] == [
        (ParkedStatus.APPROVED, False, 1),
        (ParkedStatus.APPROVED, True, 2),
    ]
    assert await ledger.count_parked("other") == {"other": [(ParkedStatus.OPEN, False, 1)]}


async def alter(ledger: Ledger, written: ParkedWrite) -> None:
    """Do what somebody does who can write into the ledger."""
    if isinstance(ledger, MemoryLedger):
        ledger.store.parked.put(written.write_id, written)
        return
    assert isinstance(ledger, DatabaseLedger)
    row = update(parked_writes).where(parked_writes.c.id == written.write_id)
    found = select(parked_writes.c.data).where(parked_writes.c.id == written.write_id)
    call = json.dumps(dict(written.call))

    def work(connection: Connection) -> None:
        data = json.loads(connection.execute(found).scalar_one())
        told = json.dumps({**data, "call": json.loads(call)})
        connection.execute(row.values(data=told, status=written.status.value))

    await ledger._database.write(work)


ELSEWHERE = {**CALL, "endpoint": "/deals/all"}


@pytest.mark.parametrize(
    "changed", [{"call": ELSEWHERE}, {"status": ParkedStatus.APPROVED}], ids=["call", "status"]
)
async def test_what_was_altered_while_it_waited_is_neither_approved_nor_begun(
    ledger: Ledger, changed: dict[str, Any]
) -> None:
    asked = await kept(ledger)
    await alter(ledger, replace(asked, **changed))

    with pytest.raises(ConflictError) as refused:
        await decide(ledger, asked.write_id)
    begun = await begin(ledger, asked.write_id)

    assert begun is None
    assert refused.value.code == ("parked_altered" if "call" in changed else "already_decided")
    seen: list[str | None] = []
    look: Callable[[ParkedWrite, Around], None] = lambda _, around: seen.append(around.misfit)  # noqa: E731
    await ledger.rule_on_parked(asked.write_id, look, caller=CALLER, at=NOW)
    assert seen == ["its row was changed after write.parked, of which the audit trail tells"]


async def test_what_was_altered_after_its_approval_is_not_begun_and_stays_known_as_altered(
    ledger: Ledger,
) -> None:
    asked = await kept(ledger)
    approved = await decide(ledger, asked.write_id)
    assert approved is not None
    await alter(ledger, replace(approved, call=ELSEWHERE))
    seen: list[str | None] = []

    def refused(found: ParkedWrite, around: Around) -> Change | None:
        seen.append(around.misfit)
        return parked.ended(found, ParkedStatus.REFUSED, {"error": "altered"}, NOW)

    assert await begin(ledger, asked.write_id) is None
    for _ in range(2):
        await ledger.rule_on_parked(asked.write_id, refused, caller=CALLER, at=NOW)

    after = "its row was changed after write.approved, of which the audit trail tells"
    assert seen[0] == after
    assert seen[1] is not None


async def test_whoever_asks_and_by_which_links_changes_nothing_that_counts(ledger: Ledger) -> None:
    asked = await kept(ledger)
    link = Link(digest="d" * 64, label="x")
    for rule in (
        lambda found, _: parked.asked(found, ()),
        lambda found, _: parked.linked(found, link, NOW),
    ):
        await ledger.rule_on_parked(asked.write_id, rule, caller=CALLER, at=NOW)

    assert await decide(ledger, asked.write_id) is not None
    assert await begin(ledger, asked.write_id) is not None
