"""What `foretell` says of a start is what `admit` then does with it, and it leaves no trace."""

from datetime import timedelta

import ledger_values as given
import pytest
from ledger_values import HOUR, NOW

from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.run import Coalesce, RunStatus, SkippedReason, Start
from amodal_rt.ports import IDEMPOTENT_FOR, Ledger, RunFilter

SECOND = timedelta(seconds=1)
LATER = NOW + SECOND


def start(**changed: object) -> Start:
    return given.start(**{"concurrency": 100, "created_at": LATER, **changed})


def together(**changed: object) -> Start:
    rule = Coalesce(key="k", window=30 * SECOND, longest=HOUR)
    return start(coalesce=rule, **changed)


def said(order: str, **changed: object) -> Start:
    return start(conversation_key="c", order_key=order, **changed)


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        (start(), None),
        (start(skip=SkippedReason.PAUSED, rule="somebody said so"), SkippedReason.PAUSED),
        (start(idempotency_key="k"), SkippedReason.DUPLICATE),
        (start(idempotency_key="K"), None),
        (start(idempotency_key="k", created_at=NOW + IDEMPOTENT_FOR + SECOND), None),
        (said("4"), SkippedReason.STALE),
        (said("5"), None),
        (start(concurrency=1, on_limit=OnLimit.SKIP), SkippedReason.CONCURRENCY_LIMIT),
        (start(concurrency=1, on_limit=OnLimit.QUEUE), None),
        (start(starts_per_hour=2), SkippedReason.RATE_LIMIT),
        (together(), None),
        (together(conversation_key="w", order_key="8"), SkippedReason.COALESCED),
        (together(conversation_key="w", order_key="9"), None),
        (together(idempotency_key="k"), SkippedReason.DUPLICATE),
    ],
)
async def test_it_is_what_admit_says(
    ledger: Ledger, wish: Start, reason: SkippedReason | None
) -> None:
    await ledger.admit([said("5", idempotency_key="k")])
    await ledger.claim(limit=9, overall=9, now=LATER)
    waits = together(conversation_key="w", order_key="9")
    await ledger.admit([waits])
    before = await ledger.list_runs(RunFilter(limit=9))

    foretold = await ledger.foretell(wish)

    assert await ledger.foretell(wish) == foretold
    assert await ledger.list_runs(RunFilter(limit=9)) == before
    await ledger.admit([wish])
    run = await ledger.find_run(wish.run_id)
    assert run is not None
    assert (foretold and foretold[0]) == reason
    assert (run.status, run.reason) == (
        (RunStatus.SKIPPED, reason.value) if reason else (RunStatus.PENDING, None)
    )
    assert (foretold and foretold[1]) == (run.rule if reason else None)
