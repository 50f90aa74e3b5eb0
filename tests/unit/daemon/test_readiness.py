"""A daemon that cannot write is not ready, and finds out by itself when it can again."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from closed_disk import REFUSED, close_disk, open_disk

from amodal_rt.daemon.nodes import LocalLease
from amodal_rt.daemon.readiness import Readiness
from amodal_rt.errors import UnavailableError
from amodal_rt.storage.dialect import sqlite_driver
from amodal_rt.storage.sqlite import SqliteLedger
from amodal_rt.testing.clock import FakeClock


class Scene:
    """A daemon's readiness over a ledger whose disk a test can close."""

    def __init__(self, path: Path) -> None:
        self.clock = FakeClock()
        self.ledger = SqliteLedger(path, clock=self.clock)
        self.lease = LocalLease(self.clock)
        self.readiness = Readiness(ledger=self.ledger, lease=self.lease, clock=self.clock)
        self.sent: list[str] = []

    async def open(self) -> None:
        await self.ledger.open()
        await self.ledger._database.write(
            lambda c: sqlite_driver(c).set_trace_callback(self.sent.append)
        )
        # A round trip through the writer that changes nothing.
        self.clock.settle_with(lambda: self.ledger._database.write(lambda c: None))
        self.lease.hold(float("inf"))
        self.readiness.begin()

    async def refuse(self) -> None:
        """Somebody writes while nothing can be."""
        await close_disk(self.ledger._database)
        with suppress(UnavailableError):
            await self.ledger.set_fact("k", "v")


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    made = Scene(tmp_path / "ledger.db")
    await made.open()
    proving = asyncio.create_task(made.readiness.prove())
    yield made
    proving.cancel()
    await asyncio.wait([proving])
    await made.ledger.close()


async def test_it_is_ready_while_it_serves_holds_its_lease_and_can_write(scene: Scene) -> None:
    serving = scene.readiness.why_not()
    scene.lease.drop()
    cut_off = scene.readiness.why_not()
    scene.lease.hold(float("inf"))
    scene.readiness.end()

    assert serving is None
    assert cut_off == "this node could not renew its lease"
    assert scene.readiness.why_not() == "the daemon starts or stops"
    assert scene.readiness.degraded == ()


async def test_the_first_refused_write_ends_it(scene: Scene) -> None:
    await scene.refuse()

    assert scene.readiness.why_not() == REFUSED
    assert scene.readiness.degraded == (REFUSED,)


async def test_it_is_tried_once_a_second_and_ready_again_though_nobody_sends_anything(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "amodal_rt")
    await scene.refuse()
    await scene.clock.advance(60)
    still = scene.readiness.why_not()
    await open_disk(scene.ledger._database)
    await scene.clock.advance(1)

    assert still == REFUSED
    assert (scene.readiness.why_not(), scene.readiness.degraded) == (None, ())
    said = [each.getMessage() for each in caplog.records]
    assert said == ["ledger.unwritable"] * 4 + ["ledger.writable"]
    assert vars(caplog.records[-1])["fields"]["times"] == 60


async def test_its_end_is_told_within_a_second_whoever_writes_first(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "amodal_rt")
    await scene.refuse()
    await scene.clock.advance(2)
    await open_disk(scene.ledger._database)
    await scene.ledger.set_fact("k", "v")
    await scene.clock.advance(1)

    said = [each.getMessage() for each in caplog.records]
    assert said == ["ledger.unwritable", "ledger.writable"]


async def test_a_sound_ledger_is_not_written_to_for_this(scene: Scene) -> None:
    await scene.clock.advance(60)

    assert [each for each in scene.sent if "facts" in each] == []
