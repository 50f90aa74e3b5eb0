"""Which automations an event starts, and what rules them out."""

from dataclasses import replace
from datetime import UTC, datetime

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
