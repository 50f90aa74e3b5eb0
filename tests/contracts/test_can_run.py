"""A node claims only what it can run: `can_run` of `ports.RunLedger`."""

import ledger_values as given
import pytest
from ledger_values import MINUTE, NOW

from amodal_rt.domain.run import RunStatus
from amodal_rt.ports import Ledger


def only(*names: str):
    """A node that can run these; and rehearse what begins with "keyless"."""

    def can_run(name: str, rehearse: bool) -> bool:
        return name in names or (rehearse and name.startswith("keyless"))

    return can_run


async def test_what_this_node_cannot_run_stays_for_another(ledger: Ledger) -> None:
    there, here = given.start("there"), given.start("here")
    await ledger.admit([there, here])

    claimed = await ledger.claim(limit=9, overall=9, now=NOW, can_run=only("here"))
    again = await ledger.claim(limit=9, overall=9, now=NOW, can_run=only("here"))
    elsewhere = await ledger.claim(limit=9, overall=9, now=NOW, can_run=only("there"))

    assert [run.run_id for run in claimed] == [here.run_id]
    assert again == []
    assert [run.run_id for run in elsewhere] == [there.run_id]


@pytest.mark.parametrize("names", [1, 250])
async def test_what_can_run_is_found_behind_any_queue_that_cannot(
    ledger: Ledger, names: int
) -> None:
    behind = [given.start(f"there-{number % names}", concurrency=9) for number in range(700)]
    here = [given.start("here", concurrency=2) for _ in range(3)]
    await ledger.admit([*behind, *here])

    claimed = await ledger.claim(limit=9, overall=9, now=NOW, can_run=only("here"))

    assert [run.run_id for run in claimed] == [here[0].run_id, here[1].run_id]
    assert await ledger.held_back(overall=3, now=NOW, can_run=only("here")) == []
    assert len(await ledger.held_back(overall=2, now=NOW)) == 701


async def test_a_rehearsal_starts_where_nothing_else_of_its_automation_can(
    ledger: Ledger,
) -> None:
    plain = [given.start("keyless", concurrency=2) for _ in range(300)]
    first, second, third = (
        given.start("keyless", rehearse=True, concurrency=2),
        given.start("here"),
        given.start("keyless", rehearse=True, concurrency=2),
    )
    there = given.start("there", rehearse=True)
    await ledger.admit([*plain, first, there, second, third])

    held = await ledger.held_back(overall=1, now=NOW, can_run=only("here"))
    claimed = await ledger.claim(limit=2, overall=9, now=NOW, can_run=only("here"))
    rest = await ledger.claim(limit=9, overall=9, now=NOW, can_run=only("here"))

    assert [ref.run_id for ref in held] == [second.run_id, third.run_id]
    assert [run.run_id for run in claimed] == [first.run_id, second.run_id]
    assert [run.run_id for run in rest] == [third.run_id]


async def test_a_retry_that_this_node_cannot_run_does_not_wake_it_twice(ledger: Ledger) -> None:
    run = await given.running(ledger, "there")
    await ledger.finish(
        run, given.outcome(RunStatus.FAILED), at=NOW, plan=given.nothing, retry_at=NOW + MINUTE
    )

    assert await ledger.claim(limit=9, overall=9, now=NOW + MINUTE, can_run=only("here")) == []
    assert await ledger.next_claimable_at() is None


async def test_nobody_asks_about_what_would_not_start(ledger: Ledger) -> None:
    full = given.start("full", concurrency=1)
    spoken = given.start("spoken", conversation_key="k")
    await ledger.admit([full, spoken])
    await ledger.claim(limit=9, overall=9, now=NOW)
    waiting = [
        given.start("full", concurrency=1),
        given.start("spoken", conversation_key="k"),
        given.start("next"),
        given.start("behind"),
    ]
    await ledger.admit(waiting)
    asked: list[str] = []

    claimed = await ledger.claim(
        limit=1, overall=9, now=NOW, can_run=lambda name, _: asked.append(name) is None
    )

    assert [run.automation for run in claimed] == ["next"]
    assert asked == ["next"]
