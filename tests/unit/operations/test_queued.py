"""`why` says what a pending run waits for."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from desk import ADA, NOW, Desk, definition, live

from amodal_rt.domain.delivery import Plan
from amodal_rt.domain.outcome import Waiting, failed
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.run import Coalesce, FailedReason, Run
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.operations.why import Why
from amodal_rt.triggers.starts import start_for

SOON = NOW + timedelta(minutes=1)


class Queue:
    """Runs of an automation `a` that a test has wait, and what `why` says of them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._definition = definition("a")
        desk.files.add(live(self._definition))
        self._why = Why(desk.files, desk.ledger, desk.facts, clock=desk.clock)

    async def put(self, **keys: Any) -> str:
        wish = start_for(self._definition, TriggerKind.MANUAL, ids=self._desk.ids, now=NOW)
        (ref,) = await self._desk.ledger.admit([replace(wish, **keys)])
        return ref.run_id

    async def run(self, **keys: Any) -> Run:
        await self.put(**keys)
        (run,) = await self._desk.ledger.claim(limit=1, overall=99, now=NOW)
        return run

    async def told(self, run_id: str) -> dict[str, Any] | None:
        (row,) = await self._why.explain(ADA, "a", at=run_id)
        listed = await self._why.explain(ADA, "a")
        assert row in listed
        return row["waits_for"]  # pyright: ignore[reportReturnType]


@pytest.fixture
def queue(desk: Desk) -> Queue:
    return Queue(desk)


def _waits(reason: str, rule: str, *runs: str, until: str | None = None) -> dict[str, Any]:
    return {"reason": reason, "rule": rule, "until": until, "runs": list(runs)}


async def test_of_a_run_that_nothing_holds_it_says_so(queue: Queue) -> None:
    assert await queue.told(await queue.put()) == _waits("next", "it is the next to start")


async def test_a_run_that_has_begun_waits_for_nothing(queue: Queue) -> None:
    assert await queue.told((await queue.run()).run_id) is None


async def test_runs_of_its_own_automation_are_named(queue: Queue) -> None:
    first = (await queue.run(concurrency=1)).run_id
    rule = f"limits.concurrency 1: {first} go first"

    told = await queue.told(await queue.put(concurrency=1))

    assert told == _waits("concurrency_limit", rule, first)


async def test_the_older_run_of_its_conversation_is_named(queue: Queue) -> None:
    first = (await queue.run(conversation_key="k")).run_id

    told = await queue.told(await queue.put(conversation_key="k"))

    assert told == _waits("conversation", f"conversationKey: {first} goes first", first)


async def test_the_limit_on_all_runs_says_how_long_it_may_hold(queue: Queue) -> None:
    for _ in range(10):
        await queue.run(concurrency=99)

    told = await queue.told(await queue.put(concurrency=99))

    rule = "limits.concurrency 10 of amodal.json: as many go first; it is skipped after "
    assert told == _waits("global_limit", rule + "limits.startWithin 1h")


async def test_a_window_and_an_attempt_to_come_say_until_when(queue: Queue, desk: Desk) -> None:
    rule = Coalesce(key="k", window=timedelta(minutes=1), longest=timedelta(hours=1))
    joining = await queue.put(coalesce=rule)
    run = await queue.run()
    outcome = failed(FailedReason.ERROR, "x")
    await desk.ledger.finish(run, outcome, at=NOW, plan=lambda _: Plan(), retry_at=SOON)
    until = "2026-03-01T12:01:00Z"

    assert await queue.told(joining) == _waits(
        "coalesce", f"coalesce: a later start of its key may stand for it until {until}",
        until=until,
    )  # fmt: skip
    assert await queue.told(run.run_id) == _waits(
        "not_due", f"attempt 2 is due at {until}", until=until
    )


BAD = Problem(file="automations/a.json", line=3, code="env_missing", message="TOKEN is not set")


@pytest.mark.parametrize(
    ("files", "rule"),
    [
        (
            lambda state: {"a": replace(state, blocked=(BAD,))},
            f"it cannot run: {BAD.sentence()}",
        ),
        (lambda state: {"a": replace(state, definition=None)}, "no version of a can be read"),
        (lambda state: {}, "there is no file of a here"),
    ],
)
async def test_an_automation_that_cannot_run_says_why(
    queue: Queue, desk: Desk, files: Callable[[Any], dict[str, Any]], rule: str
) -> None:
    waiting = await queue.put()
    now = desk.files.current
    desk.files.current = replace(now, automations=files(now.automations["a"]))

    assert await queue.told(waiting) == _waits("invalid", rule)


async def test_a_parked_run_holds_no_slot(queue: Queue, desk: Desk) -> None:
    run = await queue.run()
    await desk.ledger.park(run, Waiting(reason="awaiting_approval"), at=NOW)

    told = await queue.told(run.run_id)

    assert told == _waits("parked", "it is awaiting_approval, and holds no slot")
