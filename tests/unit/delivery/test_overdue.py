"""A schedule whose slot left no row: who is told, and what is no silence."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from closed_disk import close_disk, open_disk
from watch_scene import BAD, HOURLY, Scene, hourly

from amodal_rt.delivery.overdue import Overdue
from amodal_rt.delivery.watching import LOOK_SECONDS, SELDOM_SECONDS
from amodal_rt.domain.automation import Lifecycle
from amodal_rt.errors import UnavailableError
from amodal_rt.ports import Caller


async def test_a_schedule_that_a_clock_ahead_ruled_on_for_hours_is_told_and_withholds(
    scene: Scene,
) -> None:
    await hourly(scene, last_slot_hours=24)
    assert await scene.look(SELDOM_SECONDS) == []
    assert await scene.look(SELDOM_SECONDS) == ["alert schedule_overdue digest > ops"]
    assert "rests until" in scene.watch.overdue[0]
    await hourly(scene)
    assert await scene.look(SELDOM_SECONDS) == ["recovered schedule_overdue digest > ops"]


async def test_a_schedule_whose_slot_has_no_row_after_a_minute_is_overdue(scene: Scene) -> None:
    await hourly(scene)
    assert await scene.look(3_600) == []
    assert await scene.look(60) == []
    assert await scene.look(SELDOM_SECONDS) == ["alert schedule_overdue digest > ops"]
    assert scene.watch.overdue != ()
    assert "2026-03-02T10:00:00Z" in scene.watch.overdue[0]

    await hourly(scene, last_slot_hours=1)
    assert await scene.look(SELDOM_SECONDS) == ["recovered schedule_overdue digest > ops"]
    assert scene.watch.overdue == ()


async def test_a_schedule_in_whose_place_another_stands_on_record_is_given_longer(
    scene: Scene,
) -> None:
    """It was changed a moment ago; but if it stays so, nobody rules on it."""
    await hourly(scene)
    state = scene.current.automations["digest"]
    assert state.definition is not None
    other = replace(HOURLY, schedule=replace(HOURLY.schedule, cron="5 * * * *"))
    automation = replace(state.definition.automation, triggers=(other,))
    scene.put(replace(state, definition=replace(state.definition, automation=automation)))

    assert await scene.look(3_970) == []
    assert await scene.look(50) == []
    assert await scene.look(SELDOM_SECONDS) == ["alert schedule_overdue digest > ops"]


async def test_more_schedules_than_one_look_can_take_are_looked_at_in_turn(scene: Scene) -> None:
    await hourly(scene)
    (known,) = scene.current.automations.values()
    assert known.definition is not None
    (state,) = await scene.ledger.schedule_states()
    names = [f"a{number:04}" for number in range(1_500)]
    scene.put(*(replace(known, name=name) for name in names))
    await scene.ledger.set_schedule_states([replace(state, automation=name) for name in names])
    overdue = Overdue(scene.ledger, scene.clock)
    scene.clock.advance(3_700)

    found: list[int] = []
    for _ in range(3):
        found.append(len(await overdue.look(scene.current)))
        scene.clock.advance(SELDOM_SECONDS)

    assert found == [0, 1_000, 1_500]


async def test_a_machine_that_slept_is_given_the_time_to_catch_up(scene: Scene) -> None:
    await hourly(scene)
    await scene.look()
    assert await scene.look(8 * 3_600) == []
    await hourly(scene, last_slot_hours=8)
    assert await scene.look(SELDOM_SECONDS) == []


async def test_what_was_overdue_while_nothing_could_be_written_has_time_once_it_can(
    scene: Scene,
) -> None:
    await hourly(scene)
    assert await scene.look(3_600) == []
    assert await scene.look(60) == []
    await close_disk(scene.ledger._database)
    for _ in range(3):
        with pytest.raises(UnavailableError):
            await scene.look(SELDOM_SECONDS)
    await open_disk(scene.ledger._database)
    assert await scene.look(LOOK_SECONDS) == []

    await hourly(scene, last_slot_hours=1)
    assert await scene.look(SELDOM_SECONDS) == []


@pytest.mark.parametrize("how", ["paused", "draft", "blocked", "gone"])
async def test_a_schedule_that_should_not_run_is_not_overdue(scene: Scene, how: str) -> None:
    await hourly(scene)
    state = scene.current.automations["digest"]
    assert state.definition is not None
    caller = Caller(actor="ada", door="cli")
    match how:
        case "paused":
            await scene.ledger.set_paused(
                "digest", paused=True, reason=None, caller=caller, at=scene.clock.now()
            )
        case "draft":
            automation = replace(state.definition.automation, status=Lifecycle.DRAFT)
            scene.put(replace(state, definition=replace(state.definition, automation=automation)))
        case "blocked":
            scene.put(replace(state, blocked=(BAD,)))
        case _:
            scene.put()
    await scene.look(3_600)

    told = [*await scene.look(300), *await scene.look(SELDOM_SECONDS)]

    assert [each for each in told if "overdue" in each] == []
