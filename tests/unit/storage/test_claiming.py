"""What starts next, behind a queue longer than one page of it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from amodal_rt.clock import SystemClock
from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.run import Start
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.storage.sqlite import SqliteLedger

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def start(number: int, automation: str, concurrency: int, key: str | None = None) -> Start:
    return Start(
        run_id=f"run_{number:05}",
        automation=automation,
        title="A",
        trigger=TriggerKind.MANUAL,
        definition="d",
        created_at=NOW,
        concurrency=concurrency,
        on_limit=OnLimit.QUEUE,
        conversation_key=key,
    )


@pytest.mark.parametrize("others", [5, 300])
async def test_behind_a_long_queue_the_oldest_of_all_others_start(
    tmp_path: Path, others: int
) -> None:
    """Oldest first, each automation to its own limit, however many automations wait."""
    waiting = [start(number, "busy", 1) for number in range(450)]
    waiting += [start(450 + turn * others + name, f"other-{name}", 2)
                for turn in range(3) for name in reversed(range(others))]  # fmt: skip
    async with SqliteLedger(tmp_path / "ledger.db", clock=SystemClock()) as ledger:
        await ledger.admit(waiting)
        claimed = await ledger.claim(limit=9, overall=1000, now=NOW)
        more = await ledger.claim(limit=9, overall=1000, now=NOW)

    behind = [each.run_id for each in waiting[450:]]
    assert [run.run_id for run in claimed] == ["run_00000", *behind[:8]]
    left = [each for each in behind if each not in {run.run_id for run in claimed}]
    assert [run.run_id for run in more] == left[: 2 if others == 5 else 9]


async def test_a_conversation_that_is_spoken_holds_back_only_itself(tmp_path: Path) -> None:
    waiting = [start(number, "busy", 1) for number in range(250)]
    waiting += [start(250 + number, "talk", 5, "k") for number in range(30)]
    waiting += [start(280, "talk", 5, "other")]
    async with SqliteLedger(tmp_path / "ledger.db", clock=SystemClock()) as ledger:
        await ledger.admit(waiting)
        claimed = await ledger.claim(limit=4, overall=1000, now=NOW)

    assert [run.run_id for run in claimed] == ["run_00000", "run_00250", "run_00280"]
