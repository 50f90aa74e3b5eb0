"""`ports.ScheduleLedger`, sentence by sentence."""

from dataclasses import replace

import ledger_values as given
from ledger_values import DAY, HOUR, MINUTE, NOW

from amodal_rt.domain.run import SkippedReason
from amodal_rt.ports import Ledger, ScheduleState


def state(automation: str, key: str) -> ScheduleState:
    return ScheduleState(automation=automation, key=key, fingerprint="f1", counted_from=NOW)


async def test_all_states_come_back_as_they_were_set(ledger: Ledger) -> None:
    states = [state("a", "cron:0"), replace(state("a", "cron:1"), last_slot=NOW + HOUR)]

    await ledger.set_schedule_states(states)

    assert await ledger.schedule_states() == states


async def test_a_state_is_replaced_by_automation_and_key(ledger: Ledger) -> None:
    await ledger.set_schedule_states([state("a", "k"), state("b", "k")])
    changed = replace(state("a", "k"), fingerprint="f2", last_slot=NOW)

    await ledger.set_schedule_states([changed])

    assert await ledger.schedule_states() == [changed, state("b", "k")]


async def test_a_replaced_state_forgets_its_last_slot(ledger: Ledger) -> None:
    """A schedule whose text changed counts anew."""
    await ledger.set_schedule_states([replace(state("a", "k"), last_slot=NOW)])

    await ledger.set_schedule_states([state("a", "k")])

    assert await ledger.schedule_states() == [state("a", "k")]


async def test_nothing_to_set_changes_nothing(ledger: Ledger) -> None:
    await ledger.set_schedule_states([])

    assert await ledger.schedule_states() == []


async def test_the_schedules_of_an_automation_are_forgotten_other_than_those_kept(
    ledger: Ledger,
) -> None:
    await ledger.set_schedule_states([state("a", key) for key in "xyz"])
    await ledger.set_schedule_states([state("b", "x")])

    await ledger.remove_schedules("a", keep=["y"])
    assert await ledger.schedule_states() == [state("a", "y"), state("b", "x")]

    await ledger.remove_schedules("a")
    assert await ledger.schedule_states() == [state("b", "x")]


async def test_slots_on_record_are_told_in_order_and_by_automation(ledger: Ledger) -> None:
    missed, until = SkippedReason.MISSED, NOW + 5 * MINUTE
    await ledger.admit(
        [
            given.slot(NOW + 7 * MINUTE),
            given.slot(NOW + 2 * MINUTE, skip=missed),
            given.slot(NOW + 3 * MINUTE, "long", skip=missed, scheduled_until=until, count=3),
            given.slot(NOW, "other"),
            given.slot(NOW + 9 * MINUTE, "other"),
            given.slot(NOW + MINUTE, "third"),
        ]
    )

    begin = dict.fromkeys(["digest", "long", "other", "nobody"], NOW)
    found = await ledger.slots_on_record(begin, until=NOW + 7 * MINUTE)

    assert dict(found) == {"digest": [NOW + 2 * MINUTE, NOW + 7 * MINUTE]}


async def test_slots_on_record_of_each_automation_are_those_after_its_own_instant(
    ledger: Ledger,
) -> None:
    missed, until = SkippedReason.MISSED, NOW + 3 * MINUTE
    await ledger.admit(
        [
            given.slot(NOW + MINUTE, "long", skip=missed, scheduled_until=until, count=3),
            given.slot(NOW + 5 * MINUTE, "long"),
            given.slot(NOW + MINUTE),
            given.slot(NOW + 5 * MINUTE),
        ]
    )

    found = await ledger.slots_on_record({"long": until, "digest": NOW}, until=NOW + DAY)

    fifth = NOW + 5 * MINUTE
    assert dict(found) == {"long": [fifth], "digest": [NOW + MINUTE, fifth]}
