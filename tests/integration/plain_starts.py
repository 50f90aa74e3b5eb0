"""Starts of runs for tests to which nothing of them matters but what they name."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.run import Start
from amodal_rt.domain.trigger import TriggerKind

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def start(run_id: str, **changed: Any) -> Start:
    """By hand at `AT`; limits keep it from nothing."""
    plain = Start(
        run_id=run_id,
        automation="a",
        title="A",
        trigger=TriggerKind.MANUAL,
        definition="d",
        created_at=AT,
        concurrency=9,
        on_limit=OnLimit.QUEUE,
    )
    return replace(plain, **changed)
