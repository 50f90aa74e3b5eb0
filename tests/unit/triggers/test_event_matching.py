"""Which automations an event on the bus starts, and with what they start."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from event_desk import NOW, OPENED, TEAM, connection, event, integration, only, snapshot, starts

from amodal_rt.clock import SystemClock
from amodal_rt.domain.event import order_of
from amodal_rt.ids import SystemIds
from amodal_rt.ports import AutomationFacts
from amodal_rt.triggers.matching import Matching


def test_an_event_starts_all_that_wait_for_its_type_and_counts_the_others(make: Any) -> None:
    files = snapshot(
        make("exact", trigger=OPENED),
        make("glob", trigger="github.*"),
        make("other", trigger="github.push"),
        make("manual"),
        make("hook", trigger="webhook"),
        make("daily", schedule="@daily"),
    )

    found, missed = starts(files, event())

    assert [each.automation for each in found] == ["exact", "glob"]
    assert {(each.trigger, each.event_id, each.door) for each in found} == {
        ("event", "evt_1", "event")
    }
    assert {each.skip for each in found} == {None}
    assert missed == 1
    assert starts(files, event("linear.issue.created")) == ([], 3)


def test_however_many_conditions_fit_one_automation_starts_once(make: Any) -> None:
    several = [{"type": "event", "event": each} for each in ("github.*", OPENED, "*")]
    conditions = [{"event": OPENED, "filter": {"issue.number": 9}}, {"event": "*.opened"}]

    found, missed = starts(
        snapshot(make("a", triggers=several), make("b", eventConditions=conditions)), event()
    )

    assert [each.automation for each in found] == ["a", "b"]
    assert missed == 0


@pytest.mark.parametrize(
    ("keys", "matches"),
    [
        ({}, True),
        ({"params": {"action": "opened"}}, True),
        ({"params": {"action": "closed"}}, False),
        ({"filter": {"issue.draft": False}}, True),
        ({"filter": {"issue.draft": True}}, False),
        ({"params": {"action": "opened"}, "filter": {"issue.draft": True}}, False),
        ({"params": {"action": "closed"}, "filter": {"issue.draft": False}}, False),
        ({"actors": "github:octocat"}, False),
        ({"actors": ["slack:U2", "github:ada-l"]}, True),
        ({"actors": "github:Ada-L"}, True),
        ({"actors": "ada"}, True),
        ({"actors": "member:ada"}, True),
        ({"actors": "bob"}, False),
        ({"actors": "github:*"}, True),
        ({"actors": "slack:*"}, False),
        ({"actors": "github:ada-l", "filter": {"issue.draft": True}}, False),
    ],
)
def test_params_and_filter_and_actors_must_all_hold(
    make: Any, keys: dict[str, Any], matches: bool
) -> None:
    files = snapshot(make("a", trigger=OPENED, **keys), identities=TEAM)

    found, missed = starts(files, event(actor="github:ada-l"))

    assert (len(found), missed) == ((1, 0) if matches else (0, 1))


def test_nobody_known_is_no_one_of_those_whose_events_count(make: Any) -> None:
    files = snapshot(make("a", trigger=OPENED, actors=["*"]))

    assert starts(files, event(actor=None)) == ([], 1)


def test_data_of_any_shape_is_judged(make: Any) -> None:
    files = snapshot(
        make("filter", trigger="x.y", filter={"a": 1}),
        make("params", trigger="x.y", params={"a": 1}),
        make("all", trigger="x.y"),
    )

    for data in ("text", [1], 7, False, [{"a": 1}]):
        found, missed = starts(files, event("x.y", data))
        assert ([each.automation for each in found], missed) == (["all"], 2)


def test_who_asked_is_the_member_behind_the_account(make: Any) -> None:
    plain, named = make("a", trigger=OPENED), make("b", trigger=OPENED, runAs="bot")
    files = snapshot(plain, named, identities=TEAM)

    def requesters(actor: str | None) -> list[str | None]:
        return [each.requester for each in starts(files, event(actor=actor))[0]]

    assert requesters("github:ada-l") == ["ada", "bot"]
    assert requesters("github:ADA-L") == ["ada", "bot"]
    assert requesters("github:stranger") == [None, "bot"]
    assert requesters("member:ada") == ["ada", "bot"]
    assert requesters("member:mallory") == [None, "bot"]
    assert requesters(None) == [None, "bot"]
    assert starts(files, event(actor="github:ada-l"))[0][0].actor == "github:ada-l"


def test_what_our_own_accounts_cause_starts_nothing(make: Any) -> None:
    one, two = make("a", trigger=OPENED), make("b", trigger="github.*")
    files = snapshot(
        one, two, integrations=integration("github:Acme-Bot"),
        connections=connection("crm", account="slack:B0T"),
    )  # fmt: skip

    for actor in ("github:acme-bot", "github:ACME-BOT", "slack:B0T"):
        found, _ = starts(files, event(actor=actor))
        assert [(each.automation, each.skip) for each in found] == [
            ("a", "own_event"),
            ("b", "own_event"),
        ]
        assert actor in (found[0].rule or "")
    assert only(snapshot(one, integrations=integration()), event(actor="slack:B0T")).skip is None


@pytest.mark.parametrize(
    ("keys", "facts", "skip", "rule"),
    [
        ({"status": "paused"}, None, "paused", "status paused in automations/a.json:1"),
        ({}, AutomationFacts(name="a", paused=True), "paused", "paused"),
        ({"createdBy": "bob"}, None, "creator_invalid",
         "createdBy bob in automations/a.json:1 is no member in identities.json"),
        ({"createdBy": "bob", "status": "draft"}, None, "paused", "status draft"),
        ({"createdBy": "ada"}, None, None, ""),
        ({"when": {"issue.number": 8}}, None, "filtered", "when: issue.number eq 8; it is 7"),
        ({"when": {"issue.number": 7}}, None, None, ""),
    ],
)  # fmt: skip
def test_a_match_that_may_not_run_is_a_skipped_row(
    make: Any, keys: dict[str, Any], facts: AutomationFacts | None, skip: str | None, rule: str
) -> None:
    files = snapshot(make("a", trigger=OPENED, **keys), identities=TEAM)

    start = only(files, event(), facts={"a": facts} if facts else None)

    assert start.skip == skip
    assert rule in (start.rule or "")


def test_a_chain_that_is_too_deep_names_what_caused_it(make: Any) -> None:
    files = snapshot(make("a", trigger="automation.*", status="paused"))
    deep = event("automation.run.failed", depth=4, cause="run_x", actor="run:run_x")

    assert only(files, deep).skip == "depth_limit"
    assert "run:run_x" in (only(files, deep).rule or "")
    assert only(files, replace(deep, depth=3)).skip == "paused"


@pytest.mark.parametrize("type", ["automation.run.skipped", "agent_session.completed"])
@pytest.mark.parametrize("trigger", ["*", "exact"])
def test_what_is_told_of_its_own_run_is_a_miss_and_starts_all_others(
    make: Any, type: str, trigger: str
) -> None:
    wanted = type if trigger == "exact" else trigger
    files = snapshot(make("a", trigger=wanted), make("b", trigger=wanted))

    found, missed = starts(files, event(type, source="/automations/a", depth=1))

    assert [(each.automation, each.skip) for each in found] == [("b", None)]
    assert missed == 1


@pytest.mark.parametrize("type", ["automation.resumed", "delivery.dead", "game.ping"])
def test_what_else_is_said_of_an_automation_may_start_it(make: Any, type: str) -> None:
    start = only(snapshot(make("a", trigger=type)), event(type, source="/automations/a", depth=1))

    assert (start.automation, start.skip) == ("a", None)


def test_an_event_is_in_its_conversation_where_its_source_puts_it(make: Any) -> None:
    files = snapshot(make("a", trigger=OPENED, conversationKey="issue {{ payload.issue.number }}"))

    nine = order_of(NOW, now=NOW)
    start = only(files, event(order=nine, delivery_id="d-2"))
    at = "2026-03-02T09:00:00.000000+00:00"
    later = NOW + timedelta(milliseconds=500)
    second = only(files, event(order=nine, delivery_id="d-1", received_at=later))

    assert (start.conversation_key, start.order_key) == ("issue 7", f"{at}#{at}#d-2")
    assert (start.order_key or "") < (second.order_key or ""), "of one second, as they came"
    assert only(files, event()).order_key == f"{at}#{at}#evt_1"
    assert (start.order_key or "") < (only(files, event(received_at=later)).order_key or "")
    assert start.on_limit == "queue"


@pytest.mark.parametrize(
    "key",
    [
        {"conversationKey": "{{ payload.action }}"},
        {"coalesce": {"key": "{{ payload.action }}", "window": "10s"}},
    ],
)
def test_over_the_limit_events_are_skipped_unless_they_wait_by_a_key(make: Any, key: Any) -> None:
    skipping = {"limits": {"onLimit": "skip"}}

    def over(**keys: Any) -> str:
        return only(snapshot(make("a", trigger=OPENED, **keys)), event()).on_limit.value

    assert [over(), over(**key), over(**key, **skipping)] == ["skip", "queue", "skip"]


def test_keys_that_cannot_be_printed_are_the_fault_of_the_run(make: Any) -> None:
    files = snapshot(
        make("a", trigger=OPENED, conversationKey="{{ payload.thread }}",
             idempotencyKey="{{ payload.action }}",
             coalesce={"key": "k", "window": "10s", "maxWait": "1m"})
    )  # fmt: skip

    start = only(files, event())

    assert start.skip is None
    assert (start.fault or "").startswith("template_render_failed: conversationKey: ")
    assert (start.conversation_key, start.order_key, start.coalesce) == (None, None, None)
    assert start.idempotency_key == "opened"


def test_starts_become_one_by_a_key_and_for_no_longer_than_is_said(make: Any) -> None:
    rule = {"key": "{{ payload.action }}", "window": "10s", "maxWait": "1m"}

    start = only(snapshot(make("a", trigger=OPENED, coalesce=rule)), event())

    assert start.coalesce is not None
    assert (start.coalesce.key, start.coalesce.window, start.coalesce.longest) == (
        "opened",
        timedelta(seconds=10),
        timedelta(minutes=1),
    )


def test_of_events_that_become_one_the_source_says_which_is_the_newest(make: Any) -> None:
    """They are told to the model as the newest, in whatever order they came."""
    files = snapshot(make("a", trigger=OPENED, coalesce={"key": "k", "window": "10s"}))
    nine, ten = "2026-03-02T09:00:00.000000+00:00", "2026-03-02T10:00:00.000000+00:00"

    newer = only(files, event(order=ten))
    older_but_late = only(files, event(order=nine, received_at=NOW + timedelta(seconds=1)))
    alike = only(files, event(order=ten, received_at=NOW + timedelta(seconds=1)))

    assert (older_but_late.order_key or "") < (newer.order_key or "") < (alike.order_key or "")


def test_what_is_skipped_takes_no_place_by_its_keys(make: Any) -> None:
    files = snapshot(
        make("a", trigger=OPENED, status="paused", idempotencyKey="{{ payload.action }}"),
    )

    start = only(files, event())

    assert (start.skip, start.idempotency_key, start.fault) == ("paused", None, None)


def test_it_is_known_beforehand_whether_anybody_waits_for_a_type(make: Any) -> None:
    matching = Matching(SystemIds(SystemClock()))
    files = snapshot(make("a", trigger="automation.run.*", filter={"x": 1}), make("b"))

    assert matching.wants("automation.run.failed", files)
    assert not matching.wants("automation.paused", files)
    assert not matching.wants("automation.run.failed", snapshot(make("b")))


def test_the_newest_files_are_asked(make: Any) -> None:
    matching = Matching(SystemIds(SystemClock()))
    before, after = snapshot(make("a", trigger=OPENED)), snapshot(make("b", trigger=OPENED))

    for files, name in ((before, "a"), (after, "b"), (before, "a")):
        found, _ = matching.starts_for(event(), files, {}, now=NOW)
        assert [each.automation for each in found] == [name]


def test_an_automation_that_cannot_run_waits_for_nothing(make: Any) -> None:
    files = snapshot(make("a", trigger=OPENED), make("b", trigger=OPENED))
    blocked = replace(files.automations["a"], blocked=("unset",))

    found, missed = starts(replace(files, automations={**files.automations, "a": blocked}), event())

    assert [each.automation for each in found] == ["b"]
    assert missed == 0
