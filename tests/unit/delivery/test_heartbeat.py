"""The heartbeat beats while all is well, and stops for each reason why not."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pytest

from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.delivery.heartbeat import EVERY_SECONDS, Heartbeat, Wellness
from amodal_rt.domain.secret import SecretRef, Text
from amodal_rt.domain.workspace import Snapshot, WorkspaceAlerts, WorkspaceSettings
from amodal_rt.guardrails.egress import Egress
from amodal_rt.ports import SNAPSHOT
from amodal_rt.settings import Environment
from amodal_rt.storage.sqlite import SqliteLedger
from amodal_rt.testing.clock import FakeClock
from amodal_rt.testing.receiver import Receiver


@dataclass
class Loop:
    """A service that last came round at some time."""

    looked_at: float = 0.0


@dataclass
class Seen:
    """The watch, as the heartbeat sees it."""

    looked_at: float | None = 0.0
    degraded: tuple[str, ...] = ()
    overdue: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class Scene:
    """A heartbeat and everything that it asks; `ports.Catalogue` for it."""

    def __init__(self, ledger: SqliteLedger, clock: FakeClock, egress: Egress) -> None:
        self.clock, self.ledger = clock, ledger
        self.signals, self.variables = ProcessSignals(), dict[str, str]()
        self.scheduler, self.watch = Loop(), Seen()
        self.current = Snapshot(version=1)
        self.wellness = Wellness(
            ledger=ledger, watch=self.watch, loops=(("scheduler", self.scheduler, 30),), clock=clock
        )
        self.heartbeat = Heartbeat(
            wellness=self.wellness,
            catalogue=self,
            egress=egress,
            signals=self.signals,
            clock=clock,
        )

    def snapshot(self) -> Snapshot:
        return self.current

    def environment(self) -> Environment:
        return Environment(process=self.variables)

    def lead(self, url: Text | None) -> None:
        settings = WorkspaceSettings(alerts=WorkspaceAlerts(heartbeat_url=url))
        self.current = replace(self.current, settings=settings)
        self.signals.notify(SNAPSHOT)


@pytest.fixture
async def scene(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Scene]:
    clock = FakeClock()
    async with (
        SqliteLedger(tmp_path / "ledger.db", clock=clock) as ledger,
        Egress(("127.0.0.0/8",)) as egress,
    ):
        made = Scene(ledger, clock, egress)
        made.lead(receiver.url("/beat"))
        yield made


async def test_a_beat_is_a_get_without_anything_to_say(scene: Scene, receiver: Receiver) -> None:
    assert await scene.heartbeat.beat()
    (request,) = receiver.requests
    assert (request.method, request.path, request.body) == ("GET", "/beat", b"")


async def test_the_url_may_stand_in_a_variable(scene: Scene, receiver: Receiver) -> None:
    scene.variables["BEAT"] = receiver.url("/secret")
    scene.lead(SecretRef("BEAT"))
    assert await scene.heartbeat.beat()
    assert receiver.requests[0].path == "/secret"


async def test_without_a_url_nothing_is_sent(scene: Scene, receiver: Receiver) -> None:
    scene.lead(None)
    assert not await scene.heartbeat.beat()
    assert receiver.requests == []


async def test_it_is_withheld_while_a_loop_does_not_come_round(
    scene: Scene, receiver: Receiver
) -> None:
    await scene.clock.advance(31)
    scene.watch.looked_at = scene.clock.monotonic()
    assert not await scene.heartbeat.beat()
    assert await scene.wellness.complaints() == ["the scheduler has not looked for 31 s"]
    scene.scheduler.looked_at = scene.clock.monotonic()
    assert await scene.heartbeat.beat()
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "seen",
    [
        Seen(looked_at=None),
        Seen(looked_at=-61.0),
        Seen(degraded=("an alert reached nobody",)),
        Seen(overdue=("the schedule of digest is overdue",)),
        Seen(missing=("the files of automations are gone",)),
    ],
)
async def test_it_is_withheld_while_the_workspace_is_not_well(
    scene: Scene, receiver: Receiver, seen: Seen
) -> None:
    scene.watch.looked_at, scene.watch.degraded = seen.looked_at, seen.degraded
    scene.watch.overdue, scene.watch.missing = seen.overdue, seen.missing
    assert not await scene.heartbeat.beat()
    assert receiver.requests == []


async def test_it_is_withheld_while_the_ledger_takes_nothing(
    scene: Scene, receiver: Receiver
) -> None:
    await scene.ledger.close()
    assert not await scene.heartbeat.beat()
    assert receiver.requests == []


async def test_a_ledger_that_does_not_answer_is_not_waited_for(receiver: Receiver) -> None:
    class Stuck(SqliteLedger):
        async def prove_writable(self, at: datetime) -> None:
            await asyncio.Event().wait()

    clock = FakeClock()
    ledger = Stuck(Path("/nowhere/ledger.db"), clock=clock)
    wellness = Wellness(ledger=ledger, watch=Seen(), loops=(), clock=clock)
    asked = asyncio.create_task(wellness.complaints())
    await clock.advance(10)
    assert await asked == ["the ledger did not commit within 10 s"]


@pytest.mark.parametrize("answer", [500, 302, 404])
async def test_one_that_is_not_taken_is_no_more_than_a_line_in_the_log(
    scene: Scene, receiver: Receiver, answer: int, caplog: pytest.LogCaptureFixture
) -> None:
    scene.lead(receiver.url("/ping/T0SECRET"))
    receiver.script(answer)
    assert not await scene.heartbeat.beat()
    assert await scene.heartbeat.beat()
    assert "heartbeat.failed" in caplog.text
    assert "T0SECRET" not in caplog.text


async def test_nobody_at_the_other_end_is_no_more_than_that_either(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        scene.lead(f"http://127.0.0.1:{closed.getsockname()[1]}/ping/T0SECRET")
        assert not await scene.heartbeat.beat()
    assert "heartbeat.failed" in caplog.text
    assert "T0SECRET" not in caplog.text


async def test_a_private_address_is_refused_and_an_unset_variable_named(
    scene: Scene, receiver: Receiver
) -> None:
    async with Egress() as closed:
        heartbeat = Heartbeat(
            wellness=scene.wellness,
            catalogue=scene,
            egress=closed,
            signals=scene.signals,
            clock=scene.clock,
        )
        assert not await heartbeat.beat()
    scene.lead(SecretRef("UNSET"))
    assert not await scene.heartbeat.beat()
    assert receiver.requests == []


async def test_it_beats_every_minute_and_at_once_at_another_url(
    scene: Scene, receiver: Receiver
) -> None:
    async def pass_time(seconds: float) -> None:
        await scene.clock.advance(seconds)
        scene.scheduler.looked_at = scene.watch.looked_at = scene.clock.monotonic()

    scene.watch.looked_at = None
    running = asyncio.create_task(scene.heartbeat.run())
    try:
        await scene.clock.advance(10)
        assert receiver.requests == []
        scene.watch.looked_at = scene.clock.monotonic()
        await pass_time(1)
        await receiver.received(1)
        await _rests(scene)
        await pass_time(EVERY_SECONDS - 2)
        assert len(receiver.requests) == 1
        await pass_time(2)
        await receiver.received(2)
        await _rests(scene)
        scene.lead(receiver.url("/other"))
        await receiver.received(3)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [each.path for each in receiver.requests] == ["/beat", "/beat", "/other"]


async def _rests(scene: Scene) -> None:
    """Until the heartbeat sleeps on, having read the answer."""
    while True:
        if len([each for each in scene.clock._sleepers if not each[2].done()]) == 1:
            return
        await asyncio.sleep(0.005)
