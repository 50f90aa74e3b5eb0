"""`test-event` says what an event would do, and the prompt that it would become."""

import re
from typing import Any

import pytest
from asking import ISSUE, OPENED, Asking
from desk import ADA

from amodal_rt.domain.remote_trigger import RemoteType
from amodal_rt.errors import InvalidError, NotFoundError
from amodal_rt.operations.catalogue import Offered


async def test_an_event_that_matches_is_shown_with_all_that_it_becomes(asking: Asking) -> None:
    found = await asking.ask(
        {"event": ISSUE, "type": OPENED},
        trigger=OPENED, filter={"issue.draft": False},
        conversationKey="i{{ payload.issue.number }}",
        idempotencyKey="{{ event.type }} {{ payload.issue.number }}",
        coalesce={"key": "all", "window": "10s", "maxWait": "1m"},
    )  # fmt: skip

    rule = "filter: issue.draft eq false; it is false"
    rendered = str(found.pop("rendered"))
    assert found == {
        "matches": True,
        "rule": f"{OPENED}: {rule}",
        "fault": None,
        "type": OPENED,
        "conditions": [{"event": OPENED, "matches": True, "rule": rule}],
        "conversation_key": "i7",
        "idempotency_key": f"{OPENED} 7",
        "coalesce_key": "all",
        "requester": None,
        "skipped": None,
        "gate": None,
        "sample": None,
        "samples": [],
    }
    assert rendered.startswith("Look at (the data in the event_data block below).\n\nUntrusted")
    assert re.search(r'<event_data id="[a-z0-9]+">\n".*It broke.*"\n</event_data>', rendered)
    assert "<b>" not in rendered


async def test_every_condition_that_was_tried_says_why_not(asking: Asking) -> None:
    found = await asking.ask(
        {"event": ISSUE, "type": OPENED},
        triggers=[
            {"type": "webhook", "actors": "ada"},
            {"type": "event", "event": "github.push"},
            {"type": "event", "event": "github.*", "params": {"action": "closed"}},
            {"type": "cron", "schedule": "@daily"},
        ],
    )

    rule = 'params.action eq "closed"; it is "opened"'
    assert (found["matches"], found["rendered"]) == (False, None)
    assert found["conditions"] == [
        {"event": "webhook", "matches": False, "rule": "actors: it is by nobody known, not by ada"},
        {"event": "github.push", "matches": False, "rule": f"the type is {OPENED}"},
        {"event": "github.*", "matches": False, "rule": rule},
    ]
    assert f"github.*: {rule}" in str(found["rule"])


@pytest.mark.parametrize(
    ("keys", "sample", "matches"),
    [
        ({"trigger": "deploy.*"}, "deploy.finished", True),
        ({"trigger": "github.issues.*", "filter": {"action": "reopened"}},
         "github.issues.reopened", True),
        ({"trigger": "github.issues.*", "filter": {"action": "no such"}},
         "github.issues.assigned", False),
        ({"triggers": [{"type": "event", "event": "nobody.knows"},
                       {"type": "event", "event": "deploy.*"}]}, "deploy.finished", True),
    ],
)  # fmt: skip
async def test_of_the_types_that_a_glob_stands_for_one_is_tried_and_named(
    asking: Asking, keys: dict[str, Any], sample: str, matches: bool
) -> None:
    found: Any = await asking.ask({}, **keys)

    assert (found["sample"], found["type"], found["matches"]) == (sample, sample, matches)
    assert sample in found["samples"]
    assert all(each.startswith(sample.rpartition(".")[0]) for each in found["samples"])


async def test_a_sample_with_a_type_and_data_of_its_own_is_data(asking: Asking) -> None:
    found = await asking.ask({"type": "stripe.charge.failed"}, trigger="stripe.*")

    assert (found["matches"], found["type"]) == (True, "stripe.charge.failed")


READS = {
    "connection": "crm", "endpoint": "/deals", "path": "0.id", "changed": True,
    "filter": {"open": True},
}  # fmt: skip


async def test_a_gate_that_would_read_is_told_and_not_asked(asking: Asking) -> None:
    found = await asking.ask({"event": ISSUE}, trigger=OPENED, when=READS)

    assert found["matches"] is True
    assert found["gate"] == {
        "connection": "crm",
        "reads": "GET /deals",
        "path": "0.id",
        "must": "be new since the last completed run and fit its filter",
    }
    tool = {"connection": "desk", "tool": "count", "changed": True}
    asked: Any = await asking.ask({"event": ISSUE}, trigger=OPENED, when=tool)
    assert (asked["gate"]["reads"], asked["gate"]["path"]) == ("count", None)


async def test_a_gate_that_is_never_reached_would_decide_nothing(asking: Asking) -> None:
    found = await asking.ask({"event": ISSUE}, trigger=OPENED, filter={"action": "x"}, when=READS)

    assert (found["matches"], found["gate"]) == (False, None)


async def test_a_template_is_printed_as_the_model_would_have_it(asking: Asking) -> None:
    found = await asking.ask(
        {"event": ISSUE}, trigger=OPENED, prompt=None,
        inputTemplate="Issue {{ payload.issue.number }}: {{ payload.issue.title }}",
    )  # fmt: skip

    assert found["rendered"] == 'Issue 7: "\\u003cb\\u003eIt broke\\u003c/b\\u003e"'


@pytest.mark.parametrize(
    "keys",
    [
        {"prompt": None, "inputTemplate": "{{ payload.nothing }}"},
        {"conversationKey": "{{ payload.nothing }}"},
        {"prompt": None, "inputTemplate": "x", "instructions": "{{ payload.nothing }}"},
    ],
)
async def test_a_template_that_fails_is_told_and_the_event_still_matches(
    asking: Asking, keys: dict[str, Any]
) -> None:
    found = await asking.ask({"event": ISSUE}, trigger=OPENED, **keys)

    assert (found["matches"], found["rendered"]) == (True, None)
    assert str(found["fault"]).startswith("template_render_failed: ")


async def test_what_would_be_skipped_now_matches_all_the_same(asking: Asking) -> None:
    for keys, reason in (
        ({"status": "paused"}, "paused"),
        ({"createdBy": "bob"}, "creator_invalid"),
    ):
        found: Any = await asking.ask({"event": ISSUE}, trigger=OPENED, **keys)
        assert found["matches"] is True
        assert found["skipped"]["reason"] == reason


async def test_an_event_that_the_gate_stops_does_not_match(asking: Asking) -> None:
    found = await asking.ask({"event": ISSUE}, trigger=OPENED, when={"issue.number": 8})

    assert (found["matches"], found["rule"]) == (False, "when: issue.number eq 8; it is 7")


async def test_what_is_told_of_its_own_run_does_not_match(asking: Asking) -> None:
    told = {"type": "automation.run.failed", "source": "/automations/a", "data": {}}

    found = await asking.ask({"event": told}, trigger="*")
    other = await asking.ask({"event": {**told, "source": "/automations/b"}}, trigger="*")

    assert (found["matches"], other["matches"]) == (False, True)
    assert "own_event" in str(found["rule"])


async def test_what_waits_for_no_event_says_what_starts_it(asking: Asking) -> None:
    found = await asking.ask({"event": {}}, schedule="@daily")

    assert (found["matches"], found["rule"]) == (
        False,
        "it waits for no event: it starts by cron",
    )


async def test_no_secret_is_shown_again(asking: Asking) -> None:
    found = await asking.ask(
        {"event": {"x": "s3cret-value"}}, trigger=OPENED, filter={"x": {"contains": "s3"}},
        conversationKey="{{ payload.x }}",
    )  # fmt: skip

    assert "s3cret-value" not in str(found)


async def test_what_is_no_event_is_refused(asking: Asking) -> None:
    with pytest.raises(InvalidError) as error:
        await asking.ask({"event": {}, "type": 7}, trigger=OPENED)
    assert error.value.code == "bad_event"

    deep: Any = 1
    for _ in range(70):
        deep = [deep]
    with pytest.raises(InvalidError) as error:
        await asking.ask({"event": deep}, trigger=OPENED)
    assert error.value.code == "bad_payload"
    with pytest.raises(NotFoundError):
        await asking.tests.test(ADA, "b", {"event": {}})


async def test_another_platforms_name_of_a_type_is_the_type_that_it_means(asking: Asking) -> None:
    there = "webhook.slack.app_mention"
    data = {"event": {"text": "hello"}}
    waits = [{"type": "event", "event": there}]

    for body in (
        {"event": {"type": there, "data": data}},
        {"event": data, "type": there},
        {"type": there},
    ):
        found = await asking.ask(body, triggers=waits)
        assert found["matches"] is True, found
    of_a_glob = await asking.ask({"type": "webhook.github_app.issues"}, triggers=waits)
    assert of_a_glob["matches"] is False
    assert str(of_a_glob["sample"]).startswith("github.issues.")


async def test_what_a_server_watches_for_is_tried_with_what_params_may_say(asking: Asking) -> None:
    params = {"list": {"type": "string", "enum": ["inbox", "later"]}}
    created = RemoteType(type="item.created", description="An item was made", params=params)
    asking.servers["notes"] = Offered(types=[created])
    waits = {"type": "event", "event": "notes.item.created"}

    inbox = await asking.ask({}, triggers=[{**waits, "params": {"list": "inbox"}}])
    later = await asking.ask({}, triggers=[{**waits, "params": {"list": "later"}}])

    assert (inbox["matches"], inbox["sample"]) == (True, "notes.item.created")
    assert later["matches"] is False


async def test_of_a_server_that_cannot_be_asked_there_is_no_sample(asking: Asking) -> None:
    asking.servers["notes"] = Offered(failure="connection refused")

    with pytest.raises(InvalidError) as refused:
        await asking.ask({}, triggers=[{"type": "event", "event": "notes.item.created"}])

    assert refused.value.code == "no_sample"


async def test_a_glob_over_another_platforms_names_has_no_sample(asking: Asking) -> None:
    with pytest.raises(InvalidError) as refused:
        await asking.ask({}, triggers=[{"type": "event", "event": "webhook.slack.*"}])

    assert refused.value.code == "no_sample"
