"""Which automations an event starts, and what rules them out."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from amodal_rt.clock import SystemClock
from amodal_rt.domain.event import Event
from amodal_rt.domain.workspace import AutomationState, Snapshot
from amodal_rt.ids import SystemIds
from amodal_rt.ports import AutomationFacts
from amodal_rt.triggers.matching import Matching

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
EVENT = Event(
    id="evt_1",
    type="webhook.received",
    source="/webhooks/auto_x",
    data={},
    time=NOW,
    received_at=NOW,
    address="hook",
)


def rule_on(definition, event=EVENT, facts=None):
    state = AutomationState(name="hook", file=definition.file, definition=definition)
    snapshot = Snapshot(version=1, automations={"hook": state})
    matching = Matching(SystemIds(SystemClock()))
    starts, missed = matching.starts_for(event, snapshot, facts or {}, now=NOW)
    assert missed == 0
    (start,) = starts
    return start


def test_an_own_webhook_starts_the_one_that_it_is_addressed_to(make):
    definition = make("hook", trigger="webhook", limits={"concurrency": 2})

    start = rule_on(definition)

    assert (start.automation, start.trigger, start.event_id) == ("hook", "webhook", "evt_1")
    assert (start.skip, start.concurrency, start.on_limit) == (None, 2, "queue")
    assert start.definition == definition.hash


def test_a_paused_automation_skips_with_the_reason_that_was_given(make):
    facts = {"hook": AutomationFacts(name="hook", paused=True, paused_reason="on holiday")}

    start = rule_on(make("hook", trigger="webhook"), facts=facts)

    assert (start.skip, start.rule) == ("paused", "paused: on holiday")


def test_a_draft_skips_with_the_line_that_says_so(make):
    start = rule_on(make("hook", trigger="webhook", status="draft"))

    assert (start.skip, start.rule) == ("paused", "status draft in automations/hook.json:1")


def test_a_chain_of_events_ends_at_its_depth(make):
    definition = make("hook", trigger="webhook")

    assert rule_on(definition, replace(EVENT, depth=3)).skip is None
    assert rule_on(definition, replace(EVENT, depth=4)).skip == "depth_limit"


def test_an_automation_that_cannot_run_is_not_started(make):
    definition = make("other", trigger="webhook")
    state = AutomationState(name="other", file=definition.file, definition=definition)
    snapshot = Snapshot(version=1, automations={"other": state})

    starts, _ = Matching(SystemIds(SystemClock())).starts_for(EVENT, snapshot, {}, now=NOW)

    assert starts == []


@pytest.mark.parametrize(
    ("keys", "skip", "rule"),
    [
        ({"filter": {"n": 1}}, None, None),
        ({"filter": {"n": 2}}, "filtered", "filter: n eq 2; it is 1"),
        ({"params": {"n": 2}}, "filtered", "params.n eq 2; it is 1"),
        ({"actors": "github:*"}, "filtered", "actors: it is by nobody known, not by github:*"),
        ({"when": {"n": {"exists": False}}}, "filtered", "when: n not_exists; it is 1"),
        ({"filter": {"n": 2}, "status": "paused"}, "paused",
         "status paused in automations/hook.json:1"),
        ({"filter": {"n": 2}, "when": {"n": 3}}, "filtered", "filter: n eq 2; it is 1"),
    ],
)  # fmt: skip
def test_a_request_that_is_not_wanted_is_skipped_with_the_rule(make, keys, skip, rule):
    definition = make("hook", trigger="webhook", **keys)

    start = rule_on(definition, replace(EVENT, data={"n": 1}))

    assert (start.skip, start.rule) == (skip, rule)


def test_what_an_mcp_server_reports_goes_to_the_trigger_that_asked(make):
    both = [{"type": "webhook", "filter": {"never": 1}},
            {"type": "event", "event": "crm.deal.won", "params": {"stage": "won"}}]  # fmt: skip
    definition = make("hook", triggers=both)
    called = replace(EVENT, source="/connections/crm", type="crm.deal.won", data={"stage": "won"})

    assert (rule_on(definition, called).trigger, rule_on(definition, called).skip) == (
        "event",
        None,
    )
    lost = rule_on(definition, replace(called, data={"stage": "lost"}))
    rule = 'params.stage eq "won"; it is "lost"'
    assert (lost.trigger, lost.skip, lost.rule) == ("event", "filtered", rule)
    gone = rule_on(definition, replace(called, type="crm.deal.lost"))
    assert (gone.skip, gone.rule) == ("filtered", "no trigger waits for crm.deal.lost")
    assert rule_on(definition).trigger == "webhook"


def test_a_hook_that_a_run_calls_has_its_run_and_its_depth_on_record(make):
    called = replace(EVENT, depth=2, cause="run_x", actor="run:run_x")

    start = rule_on(make("hook", trigger="webhook"), called)

    assert (start.depth, start.actor, start.requester) == (2, "run:run_x", None)


def test_an_own_webhook_starts_nobody_who_waits_on_the_bus(make):
    hook, other = make("hook", trigger="webhook"), make("other", trigger="*")
    states = {
        each.automation.name: AutomationState(
            name=each.automation.name, file=each.file, definition=each
        )
        for each in (hook, other)
    }
    matching = Matching(SystemIds(SystemClock()))

    starts, missed = matching.starts_for(
        EVENT, Snapshot(version=1, automations=states), {}, now=NOW
    )

    assert ([each.automation for each in starts], missed) == (["hook"], 0)
