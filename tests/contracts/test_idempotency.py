"""One idempotency key starts one run in seven days."""

import asyncio
from datetime import datetime

import ledger_values as given
import pytest
from ledger_values import DAY, MINUTE, NOW

from amodal_rt.domain.run import RunStatus, SkippedReason, Start
from amodal_rt.ports import IDEMPOTENT_FOR, Ledger, RunFilter

DUPLICATE = (RunStatus.SKIPPED, SkippedReason.DUPLICATE.value)
PENDING = (RunStatus.PENDING, None)


def keyed(key: str | None = "k", **changed: object) -> Start:
    return given.start(**{"idempotency_key": key, "concurrency": 100, **changed})


async def ruled(ledger: Ledger, *starts: Start) -> list[tuple[RunStatus, str | None]]:
    return [(ref.status, ref.reason) for ref in await ledger.admit(starts)]


async def test_a_second_start_of_a_key_is_a_duplicate_that_names_the_first(ledger: Ledger) -> None:
    first, second = keyed(), keyed()
    assert await ruled(ledger, first) == [PENDING]

    assert await ruled(ledger, second) == [DUPLICATE]

    run = await ledger.find_run(second.run_id)
    assert run is not None
    assert first.run_id in (run.rule or "")
    assert (run.idempotency_key, run.started_at) == ("k", None)


async def test_starts_of_one_call_know_of_each_other(ledger: Ledger) -> None:
    plain = given.start()

    assert await ruled(ledger, keyed("a"), plain, keyed("b"), keyed("a"), keyed("a")) == [
        PENDING,
        PENDING,
        PENDING,
        DUPLICATE,
        DUPLICATE,
    ]


async def test_the_key_is_the_automations_own(ledger: Ledger) -> None:
    other = given.start("other", idempotency_key="k")

    assert (
        await ruled(ledger, keyed(), other, keyed("K"), keyed(None), keyed(None)) == [PENDING] * 5
    )


@pytest.mark.parametrize(
    "status", [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.RUNNING]
)
async def test_the_key_stays_taken_however_the_run_ends(ledger: Ledger, status: RunStatus) -> None:
    run = await given.running(ledger, idempotency_key="k")
    if status is not RunStatus.RUNNING:
        await ledger.finish(run, given.outcome(status), at=NOW, plan=given.nothing)

    assert await ruled(ledger, keyed()) == [DUPLICATE]


async def test_a_skipped_run_took_no_key(ledger: Ledger) -> None:
    filtered = keyed(skip=SkippedReason.FILTERED)
    assert (await ruled(ledger, filtered))[0][0] is RunStatus.SKIPPED
    run = await given.running(ledger, idempotency_key="k")
    stopped = given.outcome(RunStatus.SKIPPED, reason=SkippedReason.FILTERED.value)
    await ledger.finish(run, stopped, at=NOW, plan=given.nothing)

    assert await ruled(ledger, keyed(), keyed()) == [PENDING, DUPLICATE]


async def test_after_seven_days_the_key_is_free(ledger: Ledger) -> None:
    await ledger.admit([keyed()])
    just = NOW + IDEMPOTENT_FOR
    assert IDEMPOTENT_FOR == 7 * DAY

    assert await ruled(ledger, keyed(created_at=just - MINUTE)) == [DUPLICATE]
    assert await ruled(ledger, keyed(created_at=just)) == [PENDING]


async def test_a_duplicate_uses_up_no_limit(ledger: Ledger) -> None:
    await ledger.admit([keyed(starts_per_hour=2)])
    await ledger.admit([keyed(starts_per_hour=2)])

    assert await ruled(ledger, keyed("other", starts_per_hour=2)) == [PENDING]


async def test_events_that_come_at_once_start_one_run(ledger: Ledger, another: Ledger) -> None:
    async def accept(node: Ledger) -> None:
        event = given.event()
        start = keyed(event_id=event.id)
        await node.accept(event, dedup=None, starts=[start], queue_limit=1000)

    await asyncio.gather(*(accept(node) for node in (ledger, another) * 10))

    assert len(await ledger.list_runs(RunFilter(status=RunStatus.PENDING, limit=99))) == 1
    assert len(await ledger.list_runs(RunFilter(status=RunStatus.SKIPPED, limit=99))) == 19


async def test_a_key_of_any_text_is_known_again(ledger: Ledger) -> None:
    assert await ruled(ledger, keyed("\udcff")) == [PENDING]
    assert await ruled(ledger, keyed("\udcff"), keyed("é\x00")) == [DUPLICATE, PENDING]
    assert await ruled(ledger, keyed("é\x00")) == [DUPLICATE]


async def test_the_run_that_took_a_key_is_found_by_it(ledger: Ledger) -> None:
    first, second = keyed(), keyed()
    other = given.start("other", idempotency_key="k")
    await ledger.admit([first, second, other])

    async def found(key: str, now: datetime) -> str | None:
        run = await ledger.find_keyed(first.automation, key, now=now)
        return run.run_id if run else None

    assert await found("k", first.created_at) == first.run_id
    assert await found("k", first.created_at + IDEMPOTENT_FOR - MINUTE) == first.run_id
    assert await found("k", first.created_at + IDEMPOTENT_FOR) is None
    assert await found("K", first.created_at) is None
    assert await ledger.find_keyed("nobody", "k", now=NOW) is None
