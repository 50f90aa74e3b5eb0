"""A ledger that tells does so of all that ended without having run, on each database."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import postgres_server
from plain_starts import AT, start

from amodal_rt.clock import SystemClock
from amodal_rt.daemon.ledgers import TellingSqliteLedger
from amodal_rt.daemon.telling import Telling
from amodal_rt.daemon.telling_postgres import TellingPostgresLedger
from amodal_rt.domain.event import DedupKey, Event
from amodal_rt.domain.run import SkippedReason
from amodal_rt.ports import Caller

CALLER = Caller(actor="ada", door="cli")
EVENT = Event(id="evt_1", type="t.u", source="s", data={}, time=AT, received_at=AT)


@dataclass
class Heard:
    """A ledger, and what it told."""

    ledger: Telling
    ended: list[tuple[str, str]] = field(default_factory=list)
    woken: int = 0

    def __post_init__(self) -> None:
        self.ledger.note_with(
            lambda refs: self.ended.extend((each.run_id, each.status.value) for each in refs),
            self._wake,
            self._wake,
        )

    def _wake(self) -> None:
        self.woken += 1


@pytest.fixture(params=["sqlite", "postgres"])
async def heard(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Heard]:
    with ExitStack() as stack:
        make: Callable[[], Telling] = lambda: TellingSqliteLedger(  # noqa: E731
            tmp_path / "ledger.sqlite", clock=SystemClock()
        )
        if request.param == "postgres":
            url = stack.enter_context(postgres_server.fresh_ledger())
            make = lambda: TellingPostgresLedger(url, clock=SystemClock())  # noqa: E731
        async with make() as ledger:
            yield Heard(ledger)


async def test_skipped_starts_are_told_of_by_whichever_road_they_came(heard: Heard) -> None:
    ledger, paused = heard.ledger, SkippedReason.PAUSED
    key = DedupKey(endpoint="e", keys=("k",))
    hook = replace(EVENT, id="evt_2", address="a")

    await ledger.admit([start("run_1", skip=paused), start("run_2")])
    await ledger.accept(hook, dedup=key, starts=[start("run_3", skip=paused)], queue_limit=9)
    await ledger.accept(hook, dedup=key, starts=[start("run_4", skip=paused)], queue_limit=9)
    await ledger.emit(EVENT)
    await ledger.match("evt_1", starts=[start("run_5", skip=paused, event_id="evt_1")], missed=0)

    told = [each for each in heard.ended if each[1] == "skipped"]
    assert told == [("run_1", "skipped"), ("run_3", "skipped"), ("run_5", "skipped")]


async def test_runs_that_end_while_they_wait_are_told_of(heard: Heard) -> None:
    ledger = heard.ledger
    await ledger.admit([start(f"run_{number}") for number in range(1, 5)])
    heard.ended.clear()

    await ledger.cancel("run_1", caller=CALLER, at=AT)
    await ledger.skip_pending("run_2", reason=SkippedReason.STALE, rule="r", at=AT)
    await ledger.skip_pending("run_2", reason=SkippedReason.STALE, rule="r", at=AT)
    await ledger.expire(["run_3"], at=AT)
    await ledger.set_paused("a", paused=True, reason=None, caller=CALLER, at=AT)

    assert heard.ended == [
        ("run_1", "cancelled"),
        ("run_2", "skipped"),
        ("run_3", "skipped"),
        ("run_4", "cancelled"),
    ]


async def test_an_event_wakes_who_matches_once(heard: Heard) -> None:
    assert await heard.ledger.emit(EVENT)
    assert not await heard.ledger.emit(EVENT)

    assert heard.woken == 1


async def test_before_anybody_listens_it_does_the_same_and_tells_nobody(heard: Heard) -> None:
    silent = heard.ledger
    silent._note = silent._wake = None

    refs = await silent.admit([start("run_1", skip=SkippedReason.PAUSED)])
    assert await silent.emit(EVENT)

    assert [(each.run_id, each.status) for each in refs] == [("run_1", "skipped")]
    assert (heard.ended, heard.woken) == ([], 0)
