"""What is counted in a process: closed sets of words, and how late its loop is."""

import asyncio
from datetime import timedelta

from amodal_rt.domain.run import RunStatus, SkippedReason
from amodal_rt.operations.counted import Counted, LoopLag
from amodal_rt.ports import RunRef
from amodal_rt.testing.clock import FakeClock


def ref(status: RunStatus, reason: str | None = None) -> RunRef:
    return RunRef(run_id="run_1", automation="a", status=status, reason=reason)


def test_a_run_that_may_still_start_is_not_counted_as_ended() -> None:
    counted = Counted()

    counted.note_unstarted(
        [ref(RunStatus.PENDING), ref(RunStatus.RUNNING), ref(RunStatus.CANCELLED)]
    )
    counted.note_unstarted([ref(RunStatus.SKIPPED, SkippedReason.PAUSED)])

    assert counted.runs == {("cancelled", ""): 1, ("skipped", "paused"): 1}
    assert counted.carried == 0


def test_a_reason_in_other_words_makes_no_series_of_its_own() -> None:
    counted = Counted()

    for number in range(3):
        counted.note_finished(RunStatus.FAILED, f"odd {number}", timedelta(seconds=2))

    assert counted.runs == {("failed", ""): 3}
    assert (counted.carried, counted.carried_seconds) == (3, 6)


class Late(FakeClock):
    """Comes round late, by as much as `late` says, once."""

    late = 0.0

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds + (self.late if seconds else 0))
        if seconds:
            self.late = 0.0


async def test_the_worst_delay_of_a_minute_is_kept_and_then_forgotten() -> None:
    clock = Late()
    lag = LoopLag(clock)
    looking = asyncio.create_task(lag.run())

    clock.late = 2.5
    await clock.advance(60)
    kept = lag.worst
    await clock.advance(60)

    assert (kept, lag.worst) == (2.5, 0)
    looking.cancel()
