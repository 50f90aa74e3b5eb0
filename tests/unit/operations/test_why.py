"""`why` answers for any slot and any event, on record or not, past or to come."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from desk import ADA, NOW, Desk, cron, definition, live, webhook

from amodal_rt.domain.automation import CatchUp, CatchUpPolicy, Definition, Lifecycle
from amodal_rt.domain.event import Event, Rejection
from amodal_rt.domain.filter import Rule, Test
from amodal_rt.domain.run import SkippedReason
from amodal_rt.domain.trigger import (
    EventCondition,
    EventTrigger,
    Trigger,
    TriggerKind,
    Wanted,
)
from amodal_rt.errors import InvalidError, NotFoundError
from amodal_rt.ids import sortable
from amodal_rt.operations.shapes import Document
from amodal_rt.operations.why import Why
from amodal_rt.ports import ArchivedDefinition, ScheduleState
from amodal_rt.triggers.starts import start_for, start_for_event

SLOT = NOW - timedelta(hours=3)
"""09:00 of the day on which it is noon now."""
KEYS = {
    "scheduled_for",
    "scheduled_until",
    "count",
    "event_id",
    "run_id",
    "status",
    "reason",
    "rule",
    "definition",
    "waits_for",
}


@pytest.fixture
def why(desk: Desk) -> Why:
    return Why(desk.files, desk.ledger, desk.facts, clock=desk.clock)


async def _noted(desk: Desk, *, since: datetime, until: datetime | None) -> None:
    state = ScheduleState(
        automation="a", key="cron:0 9 * * *", fingerprint="f", counted_from=since, last_slot=until
    )
    await desk.ledger.set_schedule_states([state])


async def _one(why: Why, at: str | datetime | None) -> Document:
    text = at.isoformat() if isinstance(at, datetime) else at
    (row,) = await why.explain(ADA, "a", at=text)
    assert row.keys() == KEYS
    return row


async def test_a_skipped_slot_is_answered_from_its_row(desk: Desk, why: Why) -> None:
    found = definition("a", cron())
    desk.files.add(live(found))
    wish = start_for(found, TriggerKind.CRON, ids=desk.ids, now=NOW)
    start = replace(
        wish,
        scheduled_for=SLOT,
        schedule_key="cron:0 9 * * *",
        skip=SkippedReason.PAUSED,
        rule="paused by ada",
    )
    await desk.ledger.admit([start])

    assert await _one(why, SLOT) == await _one(why, None) == await _one(why, start.run_id)
    assert await _one(why, SLOT) == {
        "scheduled_for": "2026-03-01T09:00:00Z",
        "scheduled_until": None,
        "count": 1,
        "event_id": None,
        "run_id": start.run_id,
        "status": "skipped",
        "reason": "paused",
        "rule": "paused by ada",
        "definition": found.hash,
        "waits_for": None,
    }


async def test_a_slot_to_come_is_due(desk: Desk, why: Why) -> None:
    desk.files.add(live(definition("a", cron())))
    row = await _one(why, SLOT + timedelta(days=1))
    assert (row["status"], row["reason"], row["rule"]) == ("due", None, "due in 21h")
    assert row["scheduled_for"] == "2026-03-02T09:00:00Z"


async def test_a_slot_to_come_of_a_paused_automation_would_be_skipped(desk: Desk, why: Why) -> None:
    desk.files.add(live(definition("a", cron())))
    await desk.ledger.set_paused("a", paused=True, reason="quiet week", caller=ADA, at=NOW)
    await desk.facts.refresh()
    row = await _one(why, SLOT + timedelta(days=1))
    assert (row["status"], row["reason"]) == ("due", "paused")
    assert "quiet week" in str(row["rule"])


async def test_a_draft_has_no_slots_to_come(desk: Desk, why: Why) -> None:
    desk.files.add(live(definition("a", cron(), status=Lifecycle.DRAFT)))
    row = await _one(why, SLOT + timedelta(days=1))
    assert (row["status"], row["reason"]) == ("not_counted", "draft")
    assert "automations/a.json:4" in str(row["rule"])


async def test_an_instant_that_is_no_slot_names_the_nearest(desk: Desk, why: Why) -> None:
    desk.files.add(live(definition("a", cron("0 9 * * *", "Europe/Berlin"))))
    row = await _one(why, SLOT)
    assert (row["status"], row["scheduled_for"], row["run_id"]) == ("no_slot", None, None)
    assert "0 9 * * * Europe/Berlin" in str(row["rule"])
    assert "2026-03-01T08:00:00Z and 2026-03-02T08:00:00Z" in str(row["rule"])


async def test_an_automation_without_schedule_says_how_it_starts(desk: Desk, why: Why) -> None:
    desk.files.add(live(definition("a", webhook())))
    row = await _one(why, SLOT)
    assert (row["status"], "starts by webhook" in str(row["rule"])) == ("no_slot", True)


async def test_a_slot_before_the_schedule_was_loaded_did_not_count(desk: Desk, why: Why) -> None:
    desk.files.add(live(definition("a", cron())))
    assert (await _one(why, SLOT))["status"] == "not_counted"
    await _noted(desk, since=SLOT + timedelta(minutes=5), until=None)
    row = await _one(why, SLOT)
    assert row["status"] == "not_counted"
    assert "2026-03-01T09:05:00Z" in str(row["rule"])


async def test_a_slot_that_nobody_has_looked_at_yet_is_undecided(desk: Desk, why: Why) -> None:
    catch_up = CatchUp(policy=CatchUpPolicy.ALL, within=timedelta(hours=6))
    desk.files.add(live(definition("a", cron(), catch_up=catch_up)))
    await _noted(desk, since=SLOT - timedelta(days=3), until=SLOT - timedelta(days=1))
    row = await _one(why, SLOT)
    assert row["status"] == "undecided"
    assert "catchUp all within 6h" in str(row["rule"])


async def test_a_slot_whose_row_is_gone_is_said_to_be_gone(desk: Desk, why: Why) -> None:
    desk.files.add(live(definition("a", cron())))
    await _noted(desk, since=SLOT - timedelta(days=400), until=SLOT)
    row = await _one(why, SLOT - timedelta(days=200))
    assert row["status"] == "forgotten"
    assert "limits.history 90d" in str(row["rule"])
    assert row["scheduled_for"] == "2025-08-13T09:00:00Z"
    assert (await _one(why, SLOT - timedelta(days=20)))["status"] == "unrecorded"


async def test_an_id_older_than_everything_on_record_is_said_to_be_forgotten(
    desk: Desk, why: Why
) -> None:
    desk.files.add(live(definition("a", webhook())))
    old, young = (sortable(NOW - timedelta(days=days), 7) for days in (91, 89))
    row = await _one(why, f"evt_{old}")
    assert (row["status"], row["event_id"]) == ("forgotten", f"evt_{old}")
    assert (await _one(why, f"run_{old}"))["status"] == "forgotten"
    with pytest.raises(NotFoundError):
        await why.explain(ADA, "a", at=f"evt_{young}")


async def test_within_a_skipped_stretch_only_slots_are_its_slots(desk: Desk, why: Why) -> None:
    found = definition("a", cron())
    desk.files.add(live(found))
    wish = start_for(found, TriggerKind.CRON, ids=desk.ids, now=NOW)
    first = SLOT - timedelta(days=4)
    await desk.ledger.admit(
        [
            replace(
                wish, scheduled_for=first, scheduled_until=SLOT, count=5,
                schedule_key="cron:0 9 * * *", skip=SkippedReason.MISSED, rule="catchUp none",
            )
        ]
    )  # fmt: skip
    inside = await _one(why, SLOT - timedelta(days=2))
    beside = await why.explain(ADA, "a", at=(SLOT - timedelta(days=2, hours=1)).isoformat())
    assert (inside["status"], inside["reason"]) == ("skipped", "missed")
    ends = inside["scheduled_for"], inside["scheduled_until"], inside["count"]
    assert ends == ("2026-02-25T09:00:00Z", "2026-03-01T09:00:00Z", 5)
    assert [row["status"] for row in beside] == ["no_slot", "skipped"]


async def test_an_event_is_found_by_its_id_and_by_its_senders(desk: Desk, why: Why) -> None:
    found = definition("a", webhook())
    desk.files.add(live(found))
    event = Event(
        id=desk.ids.event(), type="webhook.received", source="/webhooks/a", data=None,
        time=NOW, received_at=NOW, address="a", delivery_id="72d3162e-cc78-11e3",
    )  # fmt: skip
    start = start_for_event(found, TriggerKind.WEBHOOK, event, ids=desk.ids, now=NOW)
    await desk.ledger.accept(event, dedup=None, starts=[start], queue_limit=10)

    row = await _one(why, event.id)
    assert row == await _one(why, "72d3162e-cc78-11e3")
    assert (row["run_id"], row["event_id"]) == (start.run_id, event.id)
    assert "until 2026-03-09T12:00:00Z the same one again starts nothing" in str(row["rule"])


async def test_an_event_of_another_automation_says_whose_it_was(desk: Desk, why: Why) -> None:
    desk.files.add(live(definition("a", webhook())))
    event = Event(
        id=desk.ids.event(), type="webhook.received", source="/webhooks/b", data=None,
        time=NOW, received_at=NOW, address="b",
    )  # fmt: skip
    await desk.ledger.accept(event, dedup=None, starts=[], queue_limit=10)
    row = await _one(why, event.id)
    assert (row["status"], row["rule"]) == ("not_addressed", "it was addressed to b")


async def test_an_event_that_was_missed_names_the_condition(desk: Desk, why: Why) -> None:
    def waiting(event: str, value: int) -> EventTrigger:
        wanted = Wanted(filter=Rule(path=("n",), test=Test.EQ, values=(value,)))
        return EventTrigger(conditions=(EventCondition(event=event, wanted=wanted),), key="0")

    event = Event(
        id=desk.ids.event(), type="deploy.finished", source="/ci", data={"n": 1},
        time=NOW, received_at=NOW, delivery_id="build-1207",
    )  # fmt: skip
    await desk.ledger.accept(event, dedup=None, starts=[], missed=1, queue_limit=10)

    async def told(*triggers: Trigger) -> tuple[object, object]:
        desk.files.add(live(definition("a", *triggers)))
        row = await _one(why, event.id)
        assert row == await _one(why, "build-1207")
        return row["status"], row["rule"]

    assert await told(waiting("deploy.*", 2)) == (
        "not_matched", "deploy.*: filter: n eq 2; it is 1",
    )  # fmt: skip
    assert await told(waiting("github.*", 1), webhook()) == (
        "not_matched", "github.*: the type is deploy.finished",
    )  # fmt: skip
    assert await told(cron()) == ("not_matched", "it waits for no event: it starts by cron")
    status, rule = await told(waiting("deploy.*", 1))
    assert status == "not_matched"
    assert "it would match by the file as it is now" in str(rule)


async def test_a_refused_request_is_told_of_near_its_instant(desk: Desk, why: Why) -> None:
    desk.files.add(live(definition("a", webhook())))
    refused = Rejection(endpoint="auto_x", automation="a", reason="bad_signature: missing", at=SLOT)
    await desk.ledger.reject(refused)
    await desk.ledger.reject(replace(refused, automation="b"))
    rows = await why.explain(ADA, "a", at=(SLOT + timedelta(seconds=20)).isoformat())
    later = await why.explain(ADA, "a", at=(SLOT + timedelta(seconds=40)).isoformat())
    assert [(row["status"], row["reason"]) for row in rows] == [
        ("no_slot", None),
        ("rejected", "bad_signature: missing"),
    ]
    assert [row["status"] for row in later] == ["no_slot"]


@pytest.mark.parametrize("asked", ["nonsense", "x", "2026-03-01T09:00:00"])
async def test_what_is_neither_an_instant_nor_a_delivery_is_invalid(
    desk: Desk, why: Why, asked: str
) -> None:
    desk.files.add(live(definition("a", cron())))
    with pytest.raises(InvalidError) as caught:
        await why.explain(ADA, "a", at=asked)
    assert caught.value.code == "bad_instant"


@pytest.mark.parametrize("asked", ["evt_zzzzzzzzzzzzzzzz", "run_zzzzzzzzzzzzzzzz"])
async def test_what_nobody_knows_is_not_found(desk: Desk, why: Why, asked: str) -> None:
    desk.files.add(live(definition("a", cron())))
    with pytest.raises(NotFoundError) as caught:
        await why.explain(ADA, "a", at=asked)
    assert (caught.value.code, bool(caught.value.hint)) == ("nothing_known", True)


async def test_an_automation_whose_file_is_gone_still_answers(desk: Desk, why: Why) -> None:
    row = await _one(why, SLOT)
    assert (row["status"], "no file of a" in str(row["rule"])) == ("no_slot", True)


async def test_a_slot_of_an_older_version_is_answered_from_its_stretch_alone(desk: Desk) -> None:
    older = definition("a", cron("0 * * * *"))
    desk.files.add(live(definition("a", cron("0 9 * * *"))))
    wish = start_for(older, TriggerKind.CRON, ids=desk.ids, now=NOW)
    lost = replace(
        wish,
        definition="o" * 64,
        scheduled_for=SLOT - timedelta(hours=2),
        scheduled_until=SLOT + timedelta(hours=2),
        count=5,
        schedule_key="cron:0 * * * *",
        skip=SkippedReason.MISSED,
        rule="its schedule was changed while no daemon ran",
    )
    await desk.ledger.admit([lost])

    class Past:
        async def versions(self, name: str) -> list[Definition]:
            return [replace(older, hash="o" * 64)]

    why = Why(desk.files, desk.ledger, desk.facts, clock=desk.clock, versions=Past())

    assert (await _one(why, SLOT + timedelta(hours=1)))["reason"] == "missed"
    between = await why.explain(ADA, "a", at=(SLOT + timedelta(minutes=30)).isoformat())
    assert [row["status"] for row in between] == ["no_slot", "skipped"]


async def test_a_name_that_is_gone_and_never_ran_is_still_known(desk: Desk) -> None:
    version = ArchivedDefinition(
        kind="automation", name="a", hash="h", document="{}", file="automations/a.json",
        recorded_at=NOW,
    )  # fmt: skip
    await desk.ledger.record_live([version])
    await desk.ledger.forget_live("automation", "a")

    await desk.automations.require_known("a")
    with pytest.raises(NotFoundError):
        await desk.automations.require_known("b")
