"""In whose name a schedule runs, and what becomes of it when its maker has left."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from amodal_rt.domain.identity import Identities, Member
from amodal_rt.ports import SNAPSHOT

MINUTE = timedelta(minutes=1)
TEAM = Identities(members={"ada": Member(id="ada")}, known=True)


def know(desk: Any, identities: Identities) -> None:
    now = desk.shelf.current
    desk.shelf.current = replace(now, version=now.version + 1, identities=identities)
    desk.signals.notify(SNAPSHOT)


async def test_a_slot_runs_in_the_name_that_the_file_says(desk: Any, make: Any) -> None:
    desk.shelf.put(make("job", schedule="*/5 * * * *", runAs="ada"))

    async with desk.scheduling():
        await desk.clock.advance(5 * MINUTE)

    (run,) = await desk.runs()
    assert (run.status, run.requester) == ("pending", "ada")


async def test_slots_are_skipped_from_when_the_maker_is_no_member_any_more(
    desk: Any, make: Any
) -> None:
    desk.shelf.put(make("job", schedule="*/5 * * * *", createdBy="bob"))
    know(desk, replace(TEAM, members={**TEAM.members, "bob": Member(id="bob")}))

    async with desk.scheduling():
        await desk.clock.advance(5 * MINUTE)
        know(desk, TEAM)
        await desk.clock.settle()
        await desk.clock.advance(5 * MINUTE)
        know(desk, Identities())
        await desk.clock.settle()
        await desk.clock.advance(5 * MINUTE)

    assert [(slot, said) for slot, said, _, _ in await desk.said()] == [
        ("09:05", "pending"),
        ("09:10", "creator_invalid"),
        ("09:15", "pending"),
    ]
    left = next(run for run in await desk.runs() if run.reason)
    assert "createdBy bob in automations/job.json:1 is no member" in (left.rule or "")
