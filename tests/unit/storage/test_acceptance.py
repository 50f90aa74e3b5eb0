"""Events accepted in one commit are ruled on as if each came alone, in its turn."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from amodal_rt.clock import SystemClock
from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.event import DedupKey, Event
from amodal_rt.domain.run import Start
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.errors import UnavailableError
from amodal_rt.ports import DEDUP_RETENTION, Receipt, RunFilter
from amodal_rt.storage.sqlite import SqliteLedger

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
Case = tuple[Event, DedupKey | None, list[Start], int]


def start(event_id: str, number: int, automation: str, **changed: object) -> Start:
    keys = {"concurrency": 2, "on_limit": OnLimit.QUEUE, "starts_per_hour": None} | changed
    return Start(
        run_id=f"run_{event_id}_{number}",
        automation=automation,
        title="A",
        trigger=TriggerKind.WEBHOOK,
        definition="d",
        created_at=NOW,
        event_id=event_id,
        **keys,  # pyright: ignore[reportArgumentType]
    )


def cases(dice: random.Random, count: int) -> list[Case]:
    """Repeated keys, an old key, a full queue, full automations and hourly limits, mixed."""
    made: list[Case] = []
    for number in range(count):
        event_id = f"evt_{number:03}"
        received_at = NOW + (DEDUP_RETENTION if dice.random() < 0.1 else timedelta(number))
        event = Event(
            id=event_id, type="t", source="s", data=number, time=NOW, received_at=received_at
        )
        names = dice.sample("abcdefgh", dice.randint(1, 2))
        dedup = DedupKey(endpoint=dice.choice("xy"), keys=tuple(names)) if number % 3 else None
        starts = [
            start(
                event_id,
                each,
                dice.choice("pqr"),
                on_limit=dice.choice(list(OnLimit)),
                starts_per_hour=dice.choice([None, 3]),
            )
            for each in range(dice.randint(0, 2))
        ]
        made.append((event, dedup, starts, dice.choice([4, 6, 50])))
    return made


async def answers(
    path: Path, given: list[Case], commit_together: bool
) -> tuple[list[object], list[tuple[str, str, str | None]]]:
    """What each sender is told, and every run with its status."""
    async with SqliteLedger(path, clock=SystemClock()) as ledger:
        waits = (
            ledger.accept(event, dedup=dedup, starts=starts, queue_limit=limit)
            for event, dedup, starts, limit in given
        )
        if commit_together:
            told = await asyncio.gather(*waits, return_exceptions=True)
        else:
            told = [(await asyncio.gather(each, return_exceptions=True))[0] for each in waits]
        runs = await ledger.list_runs(RunFilter(limit=1000))
    simple: list[object] = [
        each.code if isinstance(each, UnavailableError) else each for each in told
    ]
    return simple, [(run.run_id, run.status.value, run.reason) for run in runs]


@pytest.mark.parametrize("seed", range(12))
async def test_together_is_one_after_another(tmp_path: Path, seed: int) -> None:
    given = cases(random.Random(seed), 60)

    alone = await answers(tmp_path / "alone.db", given, commit_together=False)
    together = await answers(tmp_path / "together.db", given, commit_together=True)

    assert together == alone
    told = alone[0]
    assert "queue_full" in told
    assert any(isinstance(each, Receipt) and each.duplicate and each.runs for each in told)


async def test_what_cannot_be_stored_fails_alone(tmp_path: Path) -> None:
    """The neighbours of a broken event are committed, in their order."""

    def event(id: str, **changed: object) -> Event:
        keys = {"type": "t", "source": "s", "data": None, "time": NOW, "received_at": NOW} | changed
        return Event(id=id, **keys)  # pyright: ignore[reportArgumentType]

    given = [event("evt_1"), event("evt_2", depth=object()), event("evt_1"), event("evt_3")]
    async with SqliteLedger(tmp_path / "ledger.db", clock=SystemClock()) as ledger:
        told = await asyncio.gather(
            *(ledger.accept(each, dedup=None, starts=[], queue_limit=9) for each in given),
            return_exceptions=True,
        )
        found = [record.event.id for record in await ledger.list_events(limit=9)]

    assert [isinstance(each, Receipt) for each in told] == [True, False, False, True]
    assert found == ["evt_3", "evt_1"]
