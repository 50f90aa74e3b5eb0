"""`test-event` says what the ledger would say: too late, told already, over a limit."""

from datetime import timedelta
from typing import Any

import pytest
from asking import ENDPOINT, ISSUE, OPENED, Asking
from desk import ADA, Desk

from amodal_rt.domain.event import DedupKey, Event
from amodal_rt.domain.integration import Integration
from amodal_rt.domain.trigger import SignatureScheme, WebhookAuth
from amodal_rt.intake import cloudevents, dedup
from amodal_rt.operations import shapes
from amodal_rt.ports import EventRecord

SLACK = WebhookAuth(scheme=SignatureScheme.SLACK, secrets=())
MENTION = {
    "type": "event_callback", "event_id": "Ev0PV52K21", "event_time": 1767603600,
    "event": {"type": "app_mention", "channel": "C1", "ts": "1767603600.000100", "text": "hello"},
}  # fmt: skip
WAITS = {"trigger": "slack.app_mention", "conversationKey": "{{ payload.event.channel }}"}


async def came(desk: Desk, *, key: DedupKey | None = None, **changed: Any) -> EventRecord:
    """An event on record, which started `a` unless told otherwise."""
    now = desk.clock.now()
    values: dict[str, Any] = {
        "id": desk.ids.event(), "type": OPENED, "source": "/integrations/github", "data": ISSUE,
        "time": now, "received_at": now, **changed,
    }  # fmt: skip
    event = Event(**values)
    await desk.ledger.accept(event, dedup=key, starts=[], queue_limit=99)
    found = await desk.ledger.find_event(event.id)
    assert found is not None
    return found


async def test_what_a_later_event_of_its_conversation_overtook_is_stale(
    asking: Asking, desk: Desk
) -> None:
    run_id = await asking.start(conversation_key="C1", order_key="2026-02-01T00:00:00+00:00")
    await desk.ledger.claim(limit=1, overall=1, now=desk.clock.now())

    for given in ({"event": MENTION}, {"event": {"specversion": "1.0", "type": "slack.app_mention",
                   "time": "2026-01-05T09:00:00Z", "data": MENTION}}):  # fmt: skip
        found: Any = await asking.ask(given, **WAITS)
        assert found["matches"] is True
        assert found["skipped"]["reason"] == "stale"
        assert run_id in found["skipped"]["rule"]
    newer = {**MENTION, "event": {**MENTION["event"], "ts": "1798761600.000100", "channel": "C2"}}
    assert (await asking.ask({"event": newer}, **WAITS))["skipped"] is None


async def test_what_a_providers_door_took_before_is_a_duplicate_that_names_it(
    asking: Asking, desk: Desk
) -> None:
    asking.integrations["slack"] = Integration(name="slack", auth=SLACK)
    assert (await asking.ask({"event": MENTION}, **WAITS))["skipped"] is None
    key = dedup.key_in_body("/integrations/slack", SLACK, MENTION)
    first = await came(desk, key=key, type="slack.app_mention", data=MENTION)

    found: Any = await asking.tests.test(ADA, "a", {"event": MENTION})
    other = {**MENTION, "event_id": "Ev0PV52K22"}
    new: Any = await asking.tests.test(ADA, "a", {"event": other})

    assert found["skipped"]["reason"] == "duplicate"
    assert first.event.id in found["skipped"]["rule"]
    assert new["skipped"] is None


async def test_what_its_own_url_took_before_is_a_duplicate(asking: Asking, desk: Desk) -> None:
    keys: dict[str, Any] = {
        "trigger": "webhook", "webhookAuth": {"type": "slack", "secret": "env:SECRET"},
    }  # fmt: skip
    await came(desk, key=dedup.key_in_body(ENDPOINT.format("a"), SLACK, MENTION))

    found: Any = await asking.ask({"event": MENTION}, **keys)

    assert found["skipped"]["reason"] == "duplicate"


async def test_a_cloud_event_that_came_before_is_a_duplicate(asking: Asking, desk: Desk) -> None:
    sent = {
        "specversion": "1.0", "type": OPENED, "source": "/ci", "id": "build-1", "data": ISSUE,
    }  # fmt: skip
    await came(desk, key=cloudevents.parse_document(sent).dedup)

    found: Any = await asking.ask({"event": sent}, trigger=OPENED)
    new: Any = await asking.ask({"event": {**sent, "id": "build-2"}}, trigger=OPENED)

    assert found["skipped"]["reason"] == "duplicate"
    assert new["skipped"] is None


async def test_an_event_on_record_that_started_it_starts_it_no_more(
    asking: Asking, desk: Desk
) -> None:
    record = await came(desk)
    for shown in (shapes.event_in_full(record), cloudevents.document_of(record.event)):
        found: Any = await asking.ask({"event": shown}, trigger=OPENED)
        assert found["skipped"] is None

    run_id = await asking.start(event_id=record.event.id)

    for shown in (shapes.event_in_full(record), cloudevents.document_of(record.event)):
        found = await asking.ask({"event": shown}, trigger=OPENED)
        assert found["matches"] is True
        assert found["skipped"] == {"reason": "duplicate", "rule": f"the event started {run_id}"}


async def test_an_event_on_record_that_somebody_changed_is_another(
    asking: Asking, desk: Desk
) -> None:
    record = await came(desk)
    await asking.start(event_id=record.event.id)
    shown = shapes.event_in_full(record)

    found = await asking.ask({"event": {**shown, "data": {"action": "opened"}}}, trigger=OPENED)

    assert (found["matches"], found["skipped"]) == (True, None)


@pytest.mark.parametrize("limit", [1, 2])
async def test_what_is_over_the_starts_of_the_hour_is_told(asking: Asking, limit: int) -> None:
    await asking.start()

    found: Any = await asking.ask({"event": ISSUE}, trigger=OPENED, limits={"startsPerHour": limit})

    assert (found["skipped"] or {}).get("reason") == ("rate_limit" if limit == 1 else None)


async def test_a_week_and_a_day_later_the_door_would_take_it_anew(
    asking: Asking, desk: Desk
) -> None:
    asking.integrations["slack"] = Integration(name="slack", auth=SLACK)
    long_ago = desk.clock.now() - timedelta(days=8, minutes=1)
    key = dedup.key_in_body("/integrations/slack", SLACK, MENTION)
    await came(desk, key=key, received_at=long_ago, data=MENTION)

    assert (await asking.ask({"event": MENTION}, **WAITS))["skipped"] is None
