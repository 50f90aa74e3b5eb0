"""A service that dies is a fault; one that is stopped is none."""

import asyncio

import pytest

from amodal_rt.daemon.services import Services


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_service_ends_with_its_block_and_is_no_fault() -> None:
    services = Services()
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await forever()
        finally:
            ended.set()

    async with services.running("work", work()):
        await asyncio.sleep(0)

    assert ended.is_set()
    assert not services.fault.done()


@pytest.mark.parametrize("error", [RuntimeError("broke"), None])
async def test_a_service_that_ends_by_itself_is_the_fault(error: Exception | None) -> None:
    services = Services()

    async def work() -> None:
        if error:
            raise error

    async with services.running("scheduler", work()), services.running("other", forever()):
        assert await services.fault == "scheduler ended unexpectedly"


async def test_a_service_that_fails_while_stopped_does_not_hide_the_block_s_own_error() -> None:
    services = Services()

    async def work() -> None:
        try:
            await forever()
        finally:
            raise RuntimeError("late")

    async def block() -> None:
        async with services.running("work", work()):
            await asyncio.sleep(0)
            raise KeyError

    with pytest.raises(KeyError):
        await block()

    assert not services.fault.done()


async def test_services_end_in_reverse_order() -> None:
    services = Services()
    order: list[str] = []

    async def work(name: str) -> None:
        try:
            await forever()
        finally:
            order.append(name)

    async with services.running("first", work("first")), services.running("second", work("second")):
        await asyncio.sleep(0)

    assert order == ["second", "first"]


async def test_the_first_fault_counts() -> None:
    services = Services()
    services.fail("the ledger is broken")
    services.fail("something else")

    assert await services.fault == "the ledger is broken"


async def test_a_service_is_asked_to_stop_before_it_is_cancelled() -> None:
    services = Services()
    asked = asyncio.Event()
    order: list[str] = []

    async def work() -> None:
        await asked.wait()
        order.append("finished its work")

    async def stop() -> None:
        asked.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async with services.running("work", work(), stop):
        await asyncio.sleep(0)

    assert order == ["finished its work"]
    assert not services.fault.done()
