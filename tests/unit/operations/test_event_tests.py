"""`test-event` says what an event would do, and the prompt that it would become."""

import json
import re
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from desk import ADA, Desk, live

from amodal_rt.definitions.automation import parse_automation
from amodal_rt.definitions.catalogue import BUILT_IN
from amodal_rt.domain.automation import Definition, OnLimit
from amodal_rt.domain.event_type import EventOrigin, EventType
from amodal_rt.domain.identity import Identities, Member
from amodal_rt.domain.integration import Integration
from amodal_rt.domain.run import Start
from amodal_rt.domain.signing import CustomScheme, Recipe, Where
from amodal_rt.domain.trigger import SignatureScheme, TriggerKind, WebhookAuth
from amodal_rt.domain.workspace import Snapshot, WorkspaceSettings
from amodal_rt.errors import InvalidError, NotFoundError
from amodal_rt.guardrails.redaction import Redactor
from amodal_rt.operations.event_tests import EventTests
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import RunFilter

OPENED = "github.issues.opened"
ISSUE = {"action": "opened", "issue": {"number": 7, "title": "<b>It broke</b>", "draft": False}}
DEPLOYED = EventType(
    name="deploy.finished", origin=EventOrigin.WORKSPACE, source="events/deploy.finished.json",
    description="x", sample={"service": "shop"},
)  # fmt: skip
TEAM = Identities(members={"ada": Member(id="ada")}, owners={"github:ada-l": "ada"}, known=True)


def parsed(name: str, **keys: Any) -> Definition:
    text = json.dumps({"title": "T", "prompt": "Look at {{event}}.", **keys})
    found = parse_automation(
        text.encode(), file=f"automations/{name}.json", settings=WorkspaceSettings(),
        read_prompt=str,
    )  # fmt: skip
    assert found.definition is not None, found.problems
    return found.definition


class Asking:
    """Asks about an automation `a` that a test writes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        redactor = Redactor(lambda: ("s3cret-value",))
        self.tests = EventTests(
            desk.files,
            desk.facts,
            desk.starting,
            redactor,
            ledger=desk.ledger,
            clock=desk.clock,
            ids=desk.ids,
        )

        self.integrations: dict[str, Integration] = {}

    async def start(self, **changes: Any) -> str:
        """Let a run of `a` be on record."""
        now = self._desk.clock.now()
        start = Start(
            run_id=self._desk.ids.run(), automation="a", title="T", trigger=TriggerKind.EVENT,
            definition="d", created_at=now, concurrency=3, on_limit=OnLimit.QUEUE, **changes,
        )  # fmt: skip
        [ref] = await self._desk.ledger.admit([start])
        return ref.run_id

    def write(self, **keys: Any) -> None:
        self._desk.files.add(live(parsed("a", **keys)))
        now = self._desk.files.current
        self._desk.files.current = Snapshot(
            version=now.version, automations=now.automations, identities=TEAM,
            event_types={DEPLOYED.name: DEPLOYED}, integrations=self.integrations,
        )  # fmt: skip

    async def ask(self, asked: dict[str, Any], **keys: Any) -> Document:
        self.write(**keys)
        before = await self._desk.ledger.list_runs(RunFilter(limit=9))
        found = await self.tests.test(ADA, "a", asked)
        assert await self._desk.ledger.list_runs(RunFilter(limit=9)) == before
        assert await self._desk.ledger.list_events(limit=1) == []
        return found


@pytest.fixture
def asking(desk: Desk) -> Asking:
    return Asking(desk)


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


async def test_a_glob_over_another_platforms_names_has_no_sample(asking: Asking) -> None:
    with pytest.raises(InvalidError) as refused:
        await asking.ask({}, triggers=[{"type": "event", "event": "webhook.slack.*"}])

    assert refused.value.code == "no_sample"
