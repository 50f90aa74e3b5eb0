"""What the bus, gates, keys and tokens leave behind goes in its time; what is needed stays."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import older_ledger as older
import pytest
from older_ledger import CALLER, NOW, start

from amodal_rt.domain.delivery import Plan
from amodal_rt.domain.event import DedupKey, Event
from amodal_rt.domain.outcome import GateValue, Outcome
from amodal_rt.domain.run import RunStatus, SkippedReason
from amodal_rt.domain.token import Scope, Token
from amodal_rt.ports import ArchivedDefinition
from amodal_rt.storage.sqlite import SqliteLedger

DAY = timedelta(days=1)
HISTORY = 90 * DAY
LATER = NOW + HISTORY + DAY


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[SqliteLedger]:
    async with older.opened(tmp_path / "ledger.sqlite") as ledger:
        yield ledger


def event(name: str, at: datetime = NOW) -> Event:
    return Event(id=f"evt_{name}", type="t", source="s", data=1, time=at, received_at=at)


def token(name: str) -> Token:
    return Token(
        id=f"tok_{name}",
        name=name,
        digest="a" * 64,
        scopes=frozenset({Scope.READ}),
        created_at=NOW,
        created_by="ada",
    )


async def seen(ledger: SqliteLedger, automation: str, at: datetime = NOW) -> None:
    """A run of `automation` whose gate saw something completed at `at`."""
    await ledger.admit([start(f"{automation}_{at:%j}", automation=automation, created_at=at)])
    (run,) = await ledger.claim(limit=1, overall=10, now=at)
    outcome = Outcome(status=RunStatus.COMPLETED, gate=GateValue(value="1", since=at, until=at))
    await ledger.finish(run, outcome, at=at, plan=lambda _: Plan())


async def test_an_event_that_waits_to_be_matched_stays_however_old(ledger: SqliteLedger) -> None:
    for name in ("waits", "matched"):
        await ledger.emit(event(name))
    await ledger.match("evt_matched", starts=[], missed=3)

    await ledger.prune(LATER, history=HISTORY)

    assert [each.id for each in await ledger.unmatched(limit=9)] == ["evt_waits"]
    assert await ledger.find_event("evt_matched") is None


async def test_what_a_gate_saw_goes_with_its_automation(ledger: SqliteLedger) -> None:
    version = ArchivedDefinition(
        kind="automation", name="live", hash="d" * 64, document="{}", file="x", recorded_at=NOW
    )
    await ledger.record_live([version])
    for name in ("live", "gone"):
        await seen(ledger, name)
    await seen(ledger, "young", LATER)

    await ledger.prune(LATER, history=HISTORY)

    values = {name: (await ledger.gate_value(name)).value for name in ("live", "gone", "young")}
    assert values == {"live": "1", "gone": None, "young": "1"}


async def test_a_token_goes_long_after_it_was_revoked(ledger: SqliteLedger) -> None:
    for name in ("valid", "old", "young"):
        await ledger.add_token(token(name), caller=CALLER)
    await ledger.revoke_token("old", caller=CALLER, at=NOW)
    await ledger.revoke_token("young", caller=CALLER, at=LATER - DAY)

    await ledger.prune(LATER, history=HISTORY)

    assert {each.name for each in await ledger.tokens()} == {"valid", "young"}


async def test_without_a_limit_only_delivery_keys_go(ledger: SqliteLedger) -> None:
    await ledger.emit(event("matched"))
    await ledger.match("evt_matched", starts=[], missed=0)
    await seen(ledger, "gone")
    await ledger.add_token(token("old"), caller=CALLER)
    await ledger.revoke_token("old", caller=CALLER, at=NOW)

    await ledger.prune(LATER)

    assert await ledger.find_event("evt_matched") is not None
    assert (await ledger.gate_value("gone")).value == "1"
    assert len(await ledger.tokens()) == 1


async def test_an_idempotency_key_is_known_a_week_whatever_is_forgotten(
    ledger: SqliteLedger,
) -> None:
    await ledger.admit([start("first", idempotency_key="k")])
    (run,) = await ledger.claim(limit=1, overall=10, now=NOW)
    await ledger.finish(run, Outcome(status=RunStatus.COMPLETED), at=NOW, plan=lambda _: Plan())
    late = NOW + 7 * DAY - timedelta(seconds=1)

    await ledger.prune(late, history=timedelta(0))
    (ref,) = await ledger.admit([start("again", idempotency_key="k", created_at=late)])

    assert ref.reason == SkippedReason.DUPLICATE


async def test_a_delivery_is_known_when_it_comes_again_a_week_later(ledger: SqliteLedger) -> None:
    key = DedupKey(endpoint="e", keys=("k",))
    await ledger.accept(event("first"), dedup=key, starts=[], queue_limit=9)
    week = NOW + 7 * DAY

    await ledger.prune(week, history=timedelta(0))
    receipt = await ledger.accept(event("again", week), dedup=key, starts=[], queue_limit=9)

    assert (receipt.duplicate, receipt.event_id) == (True, "evt_first")
