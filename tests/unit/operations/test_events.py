"""What senders are answered when the ledger is slow or full."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, cast

import pytest

from amodal_rt.domain.event import DedupKey, Event
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.errors import UnavailableError
from amodal_rt.intake.requests import RawRequest, Verified
from amodal_rt.operations.events import Events
from amodal_rt.operations.shapes import event_in_full
from amodal_rt.ports import EventRecord, Receipt
from amodal_rt.testing.clock import FakeClock

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = DedupKey(endpoint="/integrations/github", keys=("delivery:1",))


class Slow:
    """A ledger whose disk stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.current = MappingProxyType[str, Any]({})

    async def accept(self, event: Event, **rest: object) -> Receipt:
        self.asked.set()
        await self.go_on.wait()
        return Receipt(event_id=event.id, duplicate=False, runs=())

    def starts_for(self, *event: object, now: datetime) -> tuple[list[object], int]:
        return [], 0

    def notify(self, topic: str) -> None: ...


class Judged:
    """An intake that has made up its mind."""

    def __init__(self, verified: Verified) -> None:
        self._verified = verified

    async def verify(self, request: RawRequest) -> Verified:
        return self._verified


def events(ledger: Slow, clock: FakeClock, *, seconds: float | None) -> Events:
    event = Event(id="evt_1", type="github.push", source="/integrations/github", data={},
                  time=NOW, received_at=NOW)  # fmt: skip
    dedup = KEY if seconds else None
    judged = Judged(Verified(endpoint="github", event=event, dedup=dedup,
                             snapshot=Snapshot(version=1), seconds=seconds))  # fmt: skip
    anything = cast("Any", ledger)
    intakes: Sequence[Any] = (judged, judged, judged)
    return Events(*intakes, anything, anything, anything, signals=anything, clock=clock)


async def _read(limit: int) -> bytes | None:
    return b"{}"


REQUEST = RawRequest(endpoint="github", method="POST", headers=(), read_body=_read)


async def test_a_provider_that_waits_a_second_is_told_to_come_again_after_one() -> None:
    ledger, clock = Slow(), FakeClock(NOW)
    asked = asyncio.create_task(events(ledger, clock, seconds=1.0).accept_integration(REQUEST))
    await ledger.asked.wait()

    await clock.advance(0.9)
    assert not asked.done()
    await clock.advance(0.2)

    with pytest.raises(UnavailableError) as caught:
        await asked
    assert caught.value.code == "timed_out"


async def test_what_could_not_be_known_again_is_waited_for() -> None:
    ledger, clock = Slow(), FakeClock(NOW)
    asked = asyncio.create_task(events(ledger, clock, seconds=None).accept_integration(REQUEST))
    await ledger.asked.wait()

    await clock.advance(5)
    ledger.go_on.set()

    answer = await asked
    assert (answer.status, answer.document["run_ids"]) == (202, [])


def test_an_event_that_was_sent_to_several_names_each_of_them() -> None:
    def shown(address: str | None) -> tuple[object, object]:
        event = Event(id="evt_1", type="notes.item.created", source="/connections/notes", data={},
                      time=NOW, received_at=NOW, address=address)  # fmt: skip
        document = event_in_full(EventRecord(event=event, missed=0, runs=()))
        return document["automations"], document["automation"]

    assert shown("a,b") == (["a", "b"], "a,b")
    assert shown("a") == (["a"], "a")
    assert shown(None) == ([], None)
