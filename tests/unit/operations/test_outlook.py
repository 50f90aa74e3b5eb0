"""What is to come: when an automation is due, and when it is not."""

from datetime import timedelta

import pytest
from desk import ADA, NOW, Desk, cron, definition, live

from amodal_rt.domain.automation import Lifecycle
from amodal_rt.domain.trigger import CronTrigger, Schedule
from amodal_rt.operations.managing import Managing
from amodal_rt.operations.outlook import MOST_FIRES, Outlook
from amodal_rt.operations.run_pages import Wish


@pytest.fixture
def outlook(desk: Desk) -> Outlook:
    class NoFiles:
        """Nothing is written here."""

    managing = Managing(
        desk.files,
        NoFiles(),  # type: ignore[arg-type]
        desk.ledger,
        desk.automations,
        desk.facts,
        changes=desk.changes,
        clock=desk.clock,
    )
    return Outlook(managing, desk.automations, desk.ledger, clock=desk.clock)


async def test_several_schedules_are_told_in_one_order(desk: Desk, outlook: Outlook) -> None:
    desk.files.add(live(definition("both", cron("0 18 * * *"), cron("0 15,18 * * *"))))

    fires = (await outlook.show(ADA, "both")).fires

    assert [f"{each:%d %H:%M}" for each in fires.times] == ["01 15:00", "01 18:00"]
    assert (fires.first, fires.last) == (fires.times[0], fires.times[-1])


async def test_of_very_many_only_the_ends_and_the_number_are_told(
    desk: Desk, outlook: Outlook
) -> None:
    every = CronTrigger(schedule=Schedule(every=timedelta(minutes=1)), key="every")
    desk.files.add(live(definition("often", every)))

    fires = (await outlook.show(ADA, "often")).fires

    assert (fires.count, fires.times) == (1440, ())
    assert fires.count > MOST_FIRES
    assert (fires.first, fires.last) == (NOW + timedelta(minutes=1), NOW + timedelta(days=1))


@pytest.mark.parametrize("status", [Lifecycle.PAUSED, Lifecycle.DRAFT])
async def test_what_does_not_start_is_not_due(
    desk: Desk, outlook: Outlook, status: Lifecycle
) -> None:
    desk.files.add(live(definition("off", cron(), status=status)))

    prospect = await outlook.show(ADA, "off")

    assert prospect.fires.count == 0
    assert outlook.next_times(prospect.standing, 5) == []


async def test_the_next_instants_go_beyond_the_day(desk: Desk, outlook: Outlook) -> None:
    desk.files.add(live(definition("monthly", cron("0 9 1 * *"))))
    standing = (await outlook.show(ADA, "monthly")).standing

    times = outlook.next_times(standing, 3)

    assert [f"{each:%m-%d}" for each in times] == ["04-01", "05-01", "06-01"]


async def test_a_page_tells_of_its_own_rows_alone(desk: Desk, outlook: Outlook) -> None:
    for name in ("a", "b", "c"):
        desk.files.add(live(definition(name, cron())))

    page = await outlook.page(ADA, Wish(limit=2))

    assert [each.standing.state.name for each in page.rows] == ["a", "b"]
    assert (page.more, page.before is not None) == (True, True)


async def test_what_wants_attention_is_counted(desk: Desk, outlook: Outlook) -> None:
    desk.files.add(live(definition("digest")))
    await desk.automations.trigger(ADA, "digest")

    found = await outlook.attention(ADA)

    assert (found.running, found.waiting, found.approvals, found.dead) == (0, 1, 0, 0)
