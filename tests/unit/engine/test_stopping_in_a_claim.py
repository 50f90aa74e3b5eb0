"""A stop that comes while the ledger hands out runs, and a run whose carrying was cut off."""

import asyncio
from collections.abc import Awaitable, Callable


class Slow:
    """A ledger that says what it did only when a test lets it."""

    def __init__(self, ledger, name: str) -> None:
        self._ledger = ledger
        self._name = name
        self.done = asyncio.Event()
        self.answer = asyncio.Event()

    def __getattr__(self, name: str):
        method = getattr(self._ledger, name)
        return self._slow(method) if name == self._name else method

    def _slow(self, method: Callable[..., Awaitable[object]]):
        async def slow(*args: object, **wanted: object) -> object:
            found = await method(*args, **wanted)
            self.done.set()
            await self.answer.wait()
            return found

        return slow


async def test_what_is_claimed_while_stopping_is_back_when_the_stop_is_over(desk):
    desk.ledger = ledger = Slow(desk.ledger, "claim")
    engine = desk.engine()
    run_id = await desk.start(desk.put("job"))
    task = asyncio.create_task(engine.run())
    await ledger.done.wait()
    stopping = asyncio.create_task(engine.stop(0))
    await desk.clock.settle()
    assert not stopping.done()

    ledger.answer.set()
    await stopping

    assert (await desk.run(run_id)).status == "pending"
    assert desk.executor.contexts == []
    await asyncio.wait([task])


async def test_a_claim_that_is_never_answered_keeps_no_stop(desk):
    desk.ledger = ledger = Slow(desk.ledger, "claim")
    engine = desk.engine()
    await desk.start(desk.put("job"))
    task = asyncio.create_task(engine.run())
    await ledger.done.wait()
    stopping = asyncio.create_task(engine.stop(0))

    await desk.clock.advance(10)
    await desk.clock.settle()

    assert stopping.done()
    ledger.answer.set()
    await asyncio.wait([task])


async def test_a_stop_just_before_a_claim_claims_nothing(desk):
    desk.ledger = ledger = Slow(desk.ledger, "list_runs")
    engine = desk.engine()
    run_id = await desk.start(desk.put("job"))
    task = asyncio.create_task(engine.run())
    await ledger.done.wait()
    await engine.stop(0)
    ledger.answer.set()
    await asyncio.wait([task])

    # A claim raises the term, also of what goes back.
    assert (await desk.run(run_id)).term == 0


async def test_a_run_whose_carrying_was_cancelled_is_carried_again(desk):
    desk.ledger.finish = cut_off_once(desk.ledger.finish)
    async with desk.running():
        run_id = await desk.start(desk.put("job"))
        await desk.clock.settle()
        await desk.clock.advance(15)

    run = await desk.run(run_id)
    assert (run.status, run.attempt) == ("completed", 2)


def cut_off_once(method: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
    calls: list[object] = []

    async def cut_off(*args: object, **wanted: object) -> object:
        calls.append(args)
        if len(calls) == 1:
            raise asyncio.CancelledError
        return await method(*args, **wanted)

    return cut_off
