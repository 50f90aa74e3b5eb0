"""Wake-ups are never lost between listening and waiting, and never cross topics."""

import asyncio

from amodal_rt.daemon.signals import ProcessSignals


async def test_a_notification_wakes_every_listener_of_its_topic() -> None:
    signals = ProcessSignals()
    with signals.listen("a") as first, signals.listen("a") as second:
        waits = [asyncio.ensure_future(first()), asyncio.ensure_future(second())]
        await asyncio.sleep(0)

        signals.notify("a")

        await asyncio.gather(*waits)


async def test_a_notification_before_the_wait_is_not_lost() -> None:
    signals = ProcessSignals()
    with signals.listen("a") as wait:
        signals.notify("a")
        await wait()


async def test_a_wait_consumes_what_came_before_it() -> None:
    signals = ProcessSignals()
    with signals.listen("a") as wait:
        signals.notify("a")
        signals.notify("a")
        await wait()
        second = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        assert not second.done()
        second.cancel()


async def test_another_topic_wakes_nobody() -> None:
    signals = ProcessSignals()
    with signals.listen("a") as wait:
        waiting = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        signals.notify("b")
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()


def test_topics_are_forgotten_with_their_last_listener() -> None:
    signals = ProcessSignals()

    async def listen() -> None:
        with signals.listen("journal.run_1"), signals.listen("journal.run_1"):
            pass

    asyncio.run(listen())

    assert signals._listeners == {}
