"""The simulator sees what it is there to see: each bug that is planted turns it red."""

from collections.abc import Callable
from typing import Any

import pytest
from sim_life import live_in_memory

from amodal_rt.testing.ledger import admission, events, outcomes, part, runs
from amodal_rt.triggers import missed
from amodal_rt.triggers.cron import Scheduler

DAYS = 10
MOST_SEEDS = 40
Plant = Callable[[pytest.MonkeyPatch], None]


def slots_are_no_keys(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(admission._Sitting, "_take_slot", lambda *_: True)


def no_delivery_is_remembered(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(events.EventRows, "_first", lambda *_: None)


def limits_are_not_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runs.Occupancy, "has_room", lambda *_: True)


def a_lease_has_no_term(patch: pytest.MonkeyPatch) -> None:
    def held(self: Any, run: Any) -> Any:
        row = self.store.runs.get(run.run_id)
        return row if row and row.run.status == "running" else None

    patch.setattr(part.Part, "_held", held)
    patch.setattr(part.Part, "_require_held", lambda *_: None)


def what_was_missed_leaves_no_row(patch: pytest.MonkeyPatch) -> None:
    whole = missed._missed
    patch.setattr(
        missed, "_missed", lambda *args: (each for each in whole(*args) if each.skip is None)
    )


def nothing_is_caught_up(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(missed, "_wanted", lambda *_: [])


def pauses_are_not_looked_up(patch: pytest.MonkeyPatch) -> None:
    async def nothing(_: Scheduler) -> None:
        return None

    patch.setattr(Scheduler, "_read_facts", nothing)


def nobody_takes_over(patch: pytest.MonkeyPatch) -> None:
    async def nothing(_: object, **more: object) -> list[object]:
        return []

    patch.setattr(outcomes.OutcomeRows, "take_orphans", nothing)


def events_are_acknowledged_before_they_are_written(patch: pytest.MonkeyPatch) -> None:
    whole = part.Part._write
    answered = 0

    async def write(self: Any, name: str, work: Callable[[], Any]) -> Any:
        nonlocal answered
        if name != "accept":
            return await whole(self, name, work)
        answered += 1
        if answered % 10:
            return await whole(self, name, work)
        before = dict(self.store.events._rows)
        receipt = await whole(self, name, work)
        self.store.events._rows = before
        return receipt

    patch.setattr(part.Part, "_write", write)


@pytest.mark.parametrize(
    "plant",
    [
        slots_are_no_keys,
        no_delivery_is_remembered,
        limits_are_not_kept,
        a_lease_has_no_term,
        what_was_missed_leaves_no_row,
        nothing_is_caught_up,
        pauses_are_not_looked_up,
        nobody_takes_over,
        events_are_acknowledged_before_they_are_written,
    ],
    ids=lambda plant: plant.__name__,
)
def test_a_planted_bug_is_seen(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)

    assert any(live_in_memory(seed, DAYS).wrong for seed in range(MOST_SEEDS))
