import json
from dataclasses import replace
from datetime import timedelta

import pytest
from delivery_samples import (
    NOW,
    CountingIds,
    alerting,
    completed,
    definition,
    failure,
    run,
    webhook,
)

from amodal_rt.delivery.planner import DeliveryPlanner
from amodal_rt.domain.delivery import Delivery, FailureState, MessageKind, OutboxMessage, Told
from amodal_rt.domain.filter import Any, Filter, Rule, Test
from amodal_rt.domain.outcome import Origin, Outcome
from amodal_rt.domain.run import RunStatus

QUIET = FailureState()


@pytest.fixture
def planner() -> DeliveryPlanner:
    return DeliveryPlanner(CountingIds())


def _only(messages: tuple[OutboxMessage, ...]) -> OutboxMessage:
    (message,) = messages
    return message


def test_a_completed_run_owes_its_result_to_each_target(planner: DeliveryPlanner) -> None:
    first, second = webhook(label="a"), webhook(label="b")

    plan = planner.plan(run(), completed(), definition(first, second), QUIET, NOW)

    assert [message.target for message in plan.messages] == [first, second]
    assert {message.kind for message in plan.messages} == {MessageKind.RESULT}
    assert len({message.delivery_id for message in plan.messages}) == 2
    assert plan.messages[0].expires_at == NOW + timedelta(hours=24)
    assert plan.messages[0].body == {
        "automation": "digest",
        "status": "success",
        "timestamp": "2026-03-02T09:00:00Z",
        "run_id": "run_0000000000000001",
        "result": "All is well.",
        "truncated": False,
        "text": "All is well.",
    }


def test_a_result_that_was_declared_quiet_is_not_delivered(planner: DeliveryPlanner) -> None:
    outcome = replace(completed(), reason="quiet")

    plan = planner.plan(run(), outcome, definition(webhook()), QUIET, NOW)

    assert plan.messages == ()


def test_a_text_that_is_json_is_delivered_as_data_too(planner: DeliveryPlanner) -> None:
    plan = planner.plan(run(), completed('{"total": 3}'), definition(webhook()), QUIET, NOW)

    body = _only(plan.messages).body
    assert body["data"] == {"total": 3}
    assert body["result"] == '{"total": 3}'


def test_the_executors_own_payload_is_data(planner: DeliveryPlanner) -> None:
    outcome = Outcome(status=RunStatus.COMPLETED, text="Done.", payload=[1, 2])

    plan = planner.plan(run(), outcome, definition(webhook()), QUIET, NOW)

    assert _only(plan.messages).body["data"] == [1, 2]


def test_a_long_result_is_cut_and_says_so(planner: DeliveryPlanner) -> None:
    plan = planner.plan(run(), completed("ü" * 20_000), definition(webhook()), QUIET, NOW)

    body = _only(plan.messages).body
    assert body["truncated"] is True
    assert len(str(body["result"]).encode()) <= 16_384


def test_a_template_makes_the_message_and_the_text(planner: DeliveryPlanner) -> None:
    template = "{{ automation }} {{ timestamp }}: {{ data.total }} {{ total }} {{ status }}"
    text = '{"total": 3, "automation": "forged", "result": "forged"}'

    plan = planner.plan(
        run(), completed(text), definition(webhook(), template=template), QUIET, NOW
    )

    body = _only(plan.messages).body
    assert body["message"] == "digest 2026-03-02T09:00:00Z: 3 3 "
    assert body["text"] == body["message"]
    assert plan.notes == ("delivery.template: status is missing and prints empty",)


@pytest.mark.parametrize("template", ["{{ result", "{{ result | nope }}"])
def test_a_template_error_is_noted_and_the_result_goes_out(
    planner: DeliveryPlanner, template: str
) -> None:
    plan = planner.plan(run(), completed(), definition(webhook(), template=template), QUIET, NOW)

    body = _only(plan.messages).body
    assert "message" not in body
    assert body["text"] == body["result"] == "All is well."
    (note,) = plan.notes
    assert note.startswith("delivery.template: ")
    assert "result is sent instead" in note


def test_untrusted_words_are_neutral_in_the_text_and_whole_in_the_result(
    planner: DeliveryPlanner,
) -> None:
    said = "*Done* <!channel> & <https://evil.example|https://bank.example>"
    template = "<!here> {{ result }}"
    targets = webhook(label="json"), webhook(label="slack", format="slack")

    plan = planner.plan(run(), completed(said), definition(*targets, template=template), QUIET, NOW)

    plain, slack = (message.body for message in plan.messages)
    assert plain["result"] == slack["result"] == said
    assert plain["message"] == slack["message"] == f"<!here> {said}"
    assert plain["text"] == (
        "<!here> *Done* &lt;!channel> & &lt;https://evil.example|https://bank.example>"
    )
    assert slack["text"] == (
        "<!here> *Done* &lt;!channel&gt; &amp; &lt;https://evil.example|https://bank.example&gt;"
    )


def test_the_templates_own_words_act_in_a_tainted_run_and_the_others_do_not(
    planner: DeliveryPlanner,
) -> None:
    outcome = replace(completed("see https://evil.example/x @ann"), origin=Origin(tainted=True))
    template = "<!here> [all](https://acme.example/runs) @ops {{ result }}"

    plan = planner.plan(run(), outcome, definition(webhook(), template=template), QUIET, NOW)

    body = _only(plan.messages).body
    assert body["text"] == (
        "<!here> [all](https://acme.example/runs) @ops see hxxps://evil[.]example/x @\u200bann"
    )
    assert body["tainted"] is True
    (note,) = plan.notes
    assert "evil.example are shown as text: no file names these hosts" in note


def test_an_alert_quotes_an_error_and_links_only_where_its_file_does(
    planner: DeliveryPlanner,
) -> None:
    error = "GET https://ci.example/x said: see https://evil.example/?q=s @ann"
    known = definition(alert=alerting(webhook()))
    known = replace(known, document='{"prompt": "Ask https://ci.example/x."}')

    plan = planner.plan(run(), failure("error", error), known, FailureState(consecutive=1), NOW)

    text = str(_only(plan.messages).body["text"])
    assert "GET https://ci.example/x said: see hxxps://evil[.]example/?q=s @\u200bann" in text


@pytest.mark.parametrize("by_flag", [True, False])
def test_a_rehearsal_says_so_and_owes_nothing_else(planner: DeliveryPlanner, by_flag: bool) -> None:
    known = definition(webhook(), alert=alerting(webhook()))
    told = FailureState(others=Told(alerted_at=NOW, alerting=True))
    rehearsal = run(rehearse=by_flag)

    plan = planner.plan(
        rehearsal, completed(model="local:small" if by_flag else "rehearsal"), known, told, NOW
    )

    assert _only(plan.messages).body["model"] == "rehearsal"
    failing = Outcome(status=RunStatus.FAILED, reason="error", model="rehearsal")
    assert planner.plan(rehearsal, failing, known, FailureState(consecutive=9), NOW).messages == ()


def test_other_models_are_not_named(planner: DeliveryPlanner) -> None:
    plan = planner.plan(run(), completed(), definition(webhook()), QUIET, NOW)

    assert "model" not in _only(plan.messages).body


def test_a_run_without_delivery_owes_nothing(planner: DeliveryPlanner) -> None:
    assert planner.plan(run(), completed(), definition(), QUIET, NOW).messages == ()
    assert planner.plan(run(), failure(), definition(webhook()), QUIET, NOW).messages == ()


def test_a_cancelled_run_owes_nothing(planner: DeliveryPlanner) -> None:
    known = definition(webhook(), alert=alerting(webhook()))
    outcome = Outcome(status=RunStatus.CANCELLED, text="half")

    plan = planner.plan(
        run(), outcome, known, FailureState(consecutive=5, others=Told(alerting=True)), NOW
    )

    assert plan.messages == ()


def test_an_alert_says_what_failed_and_how_often(planner: DeliveryPlanner) -> None:
    known = definition(alert=alerting(webhook(), after=2))

    plan = planner.plan(run(), failure(), known, FailureState(consecutive=2), NOW)

    message = _only(plan.messages)
    assert message.kind is MessageKind.FAILURE_ALERT
    assert message.body == {
        "automation": "digest",
        "status": "failure",
        "timestamp": "2026-03-02T09:00:00Z",
        "run_id": "run_0000000000000001",
        "reason": "timed_out",
        "error": "no end after 300 s",
        "consecutive_failures": 2,
        "text": "Daily Digest failed (timed_out): no end after 300 s. "
        "2 failures in a row. Run run_0000000000000001",
    }


def test_the_error_in_an_alert_cannot_ring(planner: DeliveryPlanner) -> None:
    known = definition(alert=alerting(webhook(format="slack")))

    plan = planner.plan(
        run(), failure(error="404 <!channel> not found"), known, FailureState(consecutive=1), NOW
    )

    assert "404 &lt;!channel&gt; not found" in str(_only(plan.messages).body["text"])


@pytest.mark.parametrize(
    ("consecutive", "told", "due"),
    [
        (1, Told(), False),
        (2, Told(), True),
        (7, Told(), True),
        (2, Told(alert_open=True), False),
        (2, Told(alerted_at=NOW - timedelta(minutes=59)), False),
        (2, Told(alerted_at=NOW - timedelta(minutes=60)), True),
        (2, Told(alerted_at=NOW + timedelta(minutes=59)), False),
        # The clock was set back by months: silence until it has caught up would be worse.
        (2, Told(alerted_at=NOW + timedelta(days=90)), True),
    ],
)
def test_an_alert_is_due_by_count_and_cooldown(
    planner: DeliveryPlanner, consecutive: int, told: Told, due: bool
) -> None:
    known = definition(alert=alerting(webhook(), after=2))
    state = FailureState(consecutive=consecutive, known={webhook().key: told})

    assert bool(planner.plan(run(), failure(), known, state, NOW).messages) is due


def test_what_one_target_was_told_does_not_silence_another(planner: DeliveryPlanner) -> None:
    targets = [webhook(f"https://{name}.example/in", name) for name in ("late", "told", "new")]
    known = definition(alert=alerting(*targets))
    told = {
        targets[0].key: Told(alert_open=True),
        targets[1].key: Told(alerted_at=NOW, alerting=True),
    }

    alerts = planner.plan(run(), failure(), known, FailureState(consecutive=3, known=told), NOW)
    recoveries = planner.plan(run(), completed(), known, FailureState(known=told), NOW)

    assert [each.target.label for each in alerts.messages] == ["new"]
    assert [each.target.label for each in recoveries.messages] == ["told"]


def test_a_recovery_is_told_to_those_who_were_alerted(planner: DeliveryPlanner) -> None:
    known = definition(webhook(label="a"), alert=alerting(webhook(label="ops")))
    told = FailureState(others=Told(alerted_at=NOW, alerting=True))

    plan = planner.plan(run(), completed(), known, told, NOW)

    result, recovery = plan.messages
    assert result.kind is MessageKind.RESULT
    assert recovery.kind is MessageKind.RECOVERY
    assert recovery.target.label == "ops"
    assert recovery.body["status"] == "recovered"
    assert recovery.body["consecutive_failures"] == 0
    assert "works again" in str(recovery.body["text"])


def test_nothing_recovers_that_nobody_was_told_of(planner: DeliveryPlanner) -> None:
    known = definition(alert=alerting(webhook()))

    assert planner.plan(run(), completed(), known, FailureState(), NOW).messages == ()


def test_a_dead_letter_owes_an_alert(planner: DeliveryPlanner) -> None:
    known = definition(webhook(), alert=alerting(webhook(label="ops")))
    letter = _only(planner.plan(run(), completed(), known, QUIET, NOW).messages)

    plan = planner.plan_dead_letter(
        letter, "HTTP 410 Gone", known, FailureState(consecutive=1), NOW
    )

    body = _only(plan.messages).body
    assert body["status"] == "failure"
    assert body["reason"] == "delivery_failed"
    assert body["error"] == "delivery to reports failed: HTTP 410 Gone"
    assert body["run_id"] == letter.run_id


@pytest.mark.parametrize(
    "text", ["", None, "\ud800", "\x00", "[" * 4000, '{"a": 1e999}', "```json\n{}\n```"]
)
def test_whatever_was_said_can_be_planned_and_stored(
    planner: DeliveryPlanner, text: str | None
) -> None:
    plan = planner.plan(
        run(), completed(text), definition(webhook(), template="{{ result }}{{ x }}"), QUIET, NOW
    )

    json.dumps(dict(_only(plan.messages).body), allow_nan=False)


ONLY_NEWS = Rule(("data", "new"), Test.NEQ, (0,))


@pytest.mark.parametrize(
    ("when", "text", "sent"),
    [
        (ONLY_NEWS, '{"new": 0}', False),
        (ONLY_NEWS, '{"new": 2}', True),
        (ONLY_NEWS, "no JSON", True),
        (Rule(("data", "new"), Test.EXISTS), "no JSON", False),
        (Rule(("result",), Test.CONTAINS, ("URGENT",)), "All is well.", False),
        (Rule(("result",), Test.CONTAINS, ("URGENT",)), "x" * 20_000 + "URGENT", True),
        (Rule(("result",), Test.EXISTS), "", True),
    ],
)
def test_a_result_that_the_filter_holds_back_is_quiet(
    planner: DeliveryPlanner, when: Filter, text: str, sent: bool
) -> None:
    found = definition(webhook())
    delivery = Delivery(targets=(webhook(),), when=when)
    found = replace(found, automation=replace(found.automation, delivery=delivery))

    plan = planner.plan(run(), completed(text), found, QUIET, NOW)

    assert (len(plan.messages), plan.reason) == ((1, None) if sent else (0, "quiet"))
    assert any("delivery.when" in each for each in plan.notes) is not sent


@pytest.mark.parametrize("when", [Rule(("data", "new"), Test.IN, (1,)), ONLY_NEWS])
def test_no_filter_over_the_result_holds_back_an_alert(
    planner: DeliveryPlanner, when: Filter
) -> None:
    target = webhook()
    found = definition(target, alert=alerting(target))
    delivery = Delivery(targets=(target,), when=when)
    found = replace(found, automation=replace(found.automation, delivery=delivery))

    failing = FailureState(consecutive=1)
    held_back = replace(failure(), text='{"new": 0}', payload={"new": 0})
    letter = planner.plan(run(), completed('{"new": 1}'), found, QUIET, NOW).messages[0]

    failed = planner.plan(run(), held_back, found, failing, NOW)
    lost = planner.plan_dead_letter(letter, "gone", found, failing, NOW)

    for plan in (failed, lost):
        assert (_only(plan.messages).kind, plan.reason) == (MessageKind.FAILURE_ALERT, None)


@pytest.mark.parametrize(
    ("text", "sent"),
    [("The disk is full!", True), ('{"severity": "high"}', True), ('{"severity": "low"}', False)],
)
def test_a_filter_may_let_messages_without_json_through(
    planner: DeliveryPlanner, text: str, sent: bool
) -> None:
    high = Rule(("data", "severity"), Test.IN, ("high",))
    delivery = Delivery(targets=(webhook(),), when=Any((Rule(("data",), Test.EQ, (None,)), high)))
    found = definition(webhook())
    found = replace(found, automation=replace(found.automation, delivery=delivery))

    assert bool(planner.plan(run(), completed(text), found, QUIET, NOW).messages) is sent


def test_a_quiet_result_still_ends_an_alert(planner: DeliveryPlanner) -> None:
    target = webhook()
    found = definition(target, alert=alerting(target))
    delivery = Delivery(targets=(target,), when=ONLY_NEWS)
    found = replace(found, automation=replace(found.automation, delivery=delivery))
    state = FailureState(known={target.key: Told(alerting=True)})

    plan = planner.plan(run(), completed('{"new": 0}'), found, state, NOW)

    assert (_only(plan.messages).kind, plan.reason) == (MessageKind.RECOVERY, "quiet")
