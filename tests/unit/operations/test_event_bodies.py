"""What `test-event` takes a file for: an event, a provider's body, data alone."""

import json
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from asking import ISSUE, OPENED, Asking

from amodal_rt.definitions.catalogue import BUILT_IN
from amodal_rt.domain.integration import Integration
from amodal_rt.domain.signing import CustomScheme, Recipe, Where
from amodal_rt.domain.trigger import SignatureScheme, WebhookAuth
from amodal_rt.errors import InvalidError
from amodal_rt.operations.shapes import Document


async def test_an_envelope_says_its_type_and_whose_it_is(asking: Asking) -> None:
    envelope = {"type": OPENED, "data": ISSUE, "actor": "github:ada-l"}
    keys: dict[str, Any] = {"trigger": OPENED, "actors": "ada"}

    found = await asking.ask({"event": envelope}, **keys)

    assert (found["matches"], found["requester"], found["type"]) == (True, "ada", OPENED)
    other = {"specversion": "1.0", "type": "github.push", "data": {}, "anything": 1}
    assert (await asking.ask({"event": other}, **keys))["matches"] is False
    assert (await asking.ask({"event": other, "type": OPENED}, **keys))["matches"] is False
    assert (await asking.ask({"event": other, "type": OPENED}, trigger=OPENED))["matches"] is True


async def test_an_event_as_it_was_shown_is_that_event(asking: Asking) -> None:
    shown = {
        "event_id": "evt_0000000000000000", "type": OPENED, "source": "/integrations/github",
        "received_at": "2026-01-05T09:00:00.000Z", "delivery_id": "1", "missed": 3, "runs": [],
        "subject": "acme/shop#7", "actor": "github:ada-l", "time": "2026-01-05T09:00:00.000Z",
        "depth": 0, "automation": None, "headers": {}, "data": ISSUE,
    }  # fmt: skip
    keys: dict[str, Any] = {"trigger": OPENED, "actors": "ada", "filter": {"issue.draft": False}}

    found = await asking.ask({"event": shown}, conversationKey="{{ event.subject }}", **keys)

    assert (found["matches"], found["type"], found["requester"]) == (True, OPENED, "ada")
    assert found["conversation_key"] == "acme/shop#7"
    assert (await asking.ask({"event": shown}, trigger="github.push"))["matches"] is False


async def test_an_event_as_it_was_shown_is_as_old_and_as_deep_as_it_was(asking: Asking) -> None:
    shown = {
        "event_id": "evt_1", "type": OPENED, "received_at": "2026-01-05T09:00:00Z", "depth": 4,
        "time": "2026-01-05T08:59:00Z", "data": ISSUE,
    }  # fmt: skip
    found = await asking.ask({"event": shown}, trigger=OPENED, conversationKey="{{ event.time }}")

    assert found["conversation_key"] == "2026-01-05T08:59:00Z"
    assert found["skipped"]
    assert cast("Document", found["skipped"])["reason"] == "depth_limit"


@pytest.mark.parametrize("time", ["yesterday", "2026-01-05T08:59:00", "9999-12-31T23:59:59-14:00"])
async def test_a_time_that_is_none_is_refused(asking: Asking, time: str) -> None:
    with pytest.raises(InvalidError, match="time of the event is no instant"):
        await asking.ask({"event": {"type": OPENED, "time": time, "data": 1}}, trigger=OPENED)


async def test_a_type_as_the_catalogue_shows_it_is_its_sample(asking: Asking) -> None:
    shown = {
        "type": OPENED, "origin": "provider", "source": "github", "description": "x",
        "schema": {}, "sample": ISSUE,
    }  # fmt: skip

    found = await asking.ask({"event": shown}, trigger=OPENED, filter={"issue.draft": False})

    assert (found["matches"], found["type"]) == (True, OPENED)


async def test_a_payload_with_a_type_and_data_of_its_own_is_data(asking: Asking) -> None:
    charge = {"id": "evt_1", "object": "event", "type": "charge.failed", "data": {"object": {}}}

    found = await asking.ask(
        {"event": charge}, trigger="stripe.*", filter={"type": "charge.failed"}
    )

    assert found["matches"] is True


@pytest.mark.parametrize("data", [None, 7, "text", [], {"a": 1}])
async def test_data_alone_is_of_whatever_type_is_waited_for(asking: Asking, data: object) -> None:
    found = await asking.ask({"event": data}, trigger="deploy.finished")

    assert (found["matches"], found["type"]) == (True, "deploy.finished")
    assert ("<event_data" in str(found["rendered"])) is (data is not None)


@pytest.mark.parametrize("asked", [{"type": OPENED}, {}])
@pytest.mark.parametrize("shown", ["data", "catalogue", "sample"])
async def test_data_of_a_provider_says_whose_it_is_and_of_what(
    asking: Asking, asked: dict[str, Any], shown: str
) -> None:
    data = BUILT_IN[OPENED].sample
    given = {"type": OPENED, "origin": "provider", "sample": data} if shown == "catalogue" else data
    asked = asked if shown == "sample" else {**asked, "event": given}
    found = await asking.ask(
        asked, trigger=OPENED, actors=["github:octocat"], conversationKey="{{ event.subject }}"
    )

    assert (found["matches"], found["conversation_key"]) == (True, "acme/widgets")


MENTION = {
    "type": "event_callback", "team_id": "T1", "event_id": "Ev1",
    "event": {"type": "app_mention", "user": "U1", "channel": "C1", "event_ts": "1772366400.0"},
}  # fmt: skip


async def test_a_raw_body_is_of_the_type_that_stands_in_it(asking: Asking) -> None:
    found = await asking.ask({"event": MENTION}, trigger="slack.message")

    assert (found["matches"], found["type"]) == (False, "slack.app_mention")
    assert found["rule"] == "slack.message: the type is slack.app_mention"
    found = await asking.ask({"event": MENTION}, trigger="slack.*", actors=["slack:U1"])
    assert (found["matches"], found["type"]) == (True, "slack.app_mention")


async def test_of_what_a_header_would_say_anything_is_believed_that_the_body_allows(
    asking: Asking,
) -> None:
    closed = {**ISSUE, "action": "closed"}

    opened = [{"event": OPENED}, {"event": "github.issues.closed"}]
    found = await asking.ask({"event": closed}, eventConditions=opened)
    assert (found["matches"], found["type"]) == (True, "github.issues.closed")
    found = await asking.ask({"event": closed}, trigger=OPENED)
    assert (found["matches"], found["rule"]) == (False, f"{OPENED}: the type is github.*.closed")


async def test_a_body_that_a_provider_wraps_into_a_form_is_unwrapped(asking: Asking) -> None:
    """Slack sends its buttons and GitHub, if it is told to, its events like this."""
    press = {"type": "block_actions", "user": {"id": "U1"}, "channel": {"id": "C1"}}
    form = urlencode({"payload": json.dumps(press)})

    for asked in ({"body": form}, {"event": {"payload": json.dumps(press)}}):
        found = await asking.ask(asked, trigger="slack.block_actions", actors=["slack:U1"])
        assert (found["matches"], found["type"]) == (True, "slack.block_actions")


async def test_a_challenge_is_answered_at_the_door_and_starts_nothing(asking: Asking) -> None:
    asked = {"type": "url_verification", "challenge": "x", "token": "y"}

    found = await asking.ask({"event": asked}, trigger="slack.*")

    assert (found["matches"], found["rendered"]) == (False, None)
    assert "a challenge of slack" in str(found["rule"])


@pytest.mark.parametrize(("account", "matches"), [("t1", True), ("T2", False), (None, True)])
async def test_what_an_integration_would_not_take_does_not_match(
    asking: Asking, account: str | None, matches: bool
) -> None:
    auth = WebhookAuth(scheme=SignatureScheme.SLACK, secrets=("x",))
    asking.integrations = {"chat": Integration(name="chat", auth=auth, account=account)}

    found = await asking.ask({"event": MENTION}, trigger="slack.app_mention")

    assert found["matches"] is matches
    if not matches:
        assert "of the account T2, and it is of the account T1" in str(found["rule"])


async def test_a_sender_without_a_preset_is_read_by_its_own_recipe(asking: Asking) -> None:
    custom = CustomScheme(recipe=Recipe(header="x-s"), event_type=Where(body=("kind",)))
    auth = WebhookAuth(scheme=SignatureScheme.CUSTOM, secrets=("x",), custom=custom)
    asking.integrations = {"shop": Integration(name="shop", auth=auth)}

    found = await asking.ask({"event": {"kind": "order.paid"}}, trigger="shop.order.shipped")
    assert (found["matches"], found["type"]) == (False, "shop.order.paid")
    found = await asking.ask({"event": {"kind": "order.paid"}}, trigger="shop.order.*")
    assert (found["matches"], found["type"]) == (True, "shop.order.paid")


async def test_a_body_at_the_own_url_is_of_its_senders_type(asking: Asking) -> None:
    auth = {"type": "slack", "secret": "env:S"}
    found = await asking.ask(
        {"event": MENTION}, trigger="webhook", webhookAuth=auth, actors=["slack:U1"]
    )

    assert (found["matches"], found["type"]) == (True, "slack.app_mention")


async def test_an_idempotency_key_that_a_run_has_taken_is_told(asking: Asking) -> None:
    keys: dict[str, Any] = {"trigger": "deploy.finished", "idempotencyKey": "{{ payload.id }}"}
    first = await asking.ask({"event": {"id": "d1"}}, **keys)
    assert first["skipped"] is None
    run_id = await asking.start(idempotency_key="d1")

    found = await asking.ask({"event": {"id": "d1"}}, **keys)

    assert found["matches"] is True
    assert found["skipped"] == {
        "reason": "duplicate", "rule": f"idempotencyKey: the first is {run_id}",
    }  # fmt: skip
    assert (await asking.ask({"event": {"id": "d2"}}, **keys))["skipped"] is None


async def test_an_event_that_is_written_out_says_itself_whose_it_is(asking: Asking) -> None:
    whole = {
        "specversion": "1.0", "id": "1", "source": "/ci", "type": OPENED,
        "data": BUILT_IN[OPENED].sample,
    }  # fmt: skip
    found = await asking.ask({"event": whole}, trigger=OPENED, actors=["github:octocat"])

    assert (found["matches"], "by nobody known" in str(found["rule"])) == (False, True)


async def test_without_a_file_the_sample_of_the_type_is_tried(asking: Asking) -> None:
    found = await asking.ask({}, trigger="deploy.finished", filter={"service": "shop"})
    assert found["matches"] is True
    assert "shop" in str(found["rendered"])

    assert (await asking.ask({"type": OPENED}, trigger="github.*"))["matches"] is True
    for keys in ({"trigger": "webhook"}, {"trigger": "nobody.knows"}, {"trigger": "nobody.*"}):
        with pytest.raises(InvalidError) as error:
            await asking.ask({}, **keys)
        assert error.value.code == "no_sample"
