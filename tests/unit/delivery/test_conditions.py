"""When the workspace's conditions alert, and when they are silent."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from delivery_samples import NOW, CountingIds, webhook

from amodal_rt.delivery import notices
from amodal_rt.delivery.conditions import COOLDOWN, Sighting, begun, ended
from amodal_rt.domain.condition import Condition, ConditionKind, Ruling
from amodal_rt.domain.delivery import Format, MessageKind, OutboxMessage, Target

FULL = Sighting(
    kind=ConditionKind.QUEUE_FULL, about="runs", subject="The queue", detail="10 runs wait"
)
LOST = Sighting(
    kind=ConditionKind.ALERT_FAILED, about="t a", subject="#ops", target="t", automation="a"
)
TARGETS = (webhook("https://a.example/1", "first"), webhook("https://b.example/2", "second"))
MINUTE = timedelta(minutes=1)


def _write(condition: Condition) -> tuple[OutboxMessage, ...]:
    return notices.alert(condition, TARGETS, workspace="acme", now=NOW, ids=CountingIds())


def _begun(
    known: Condition | None,
    sighting: Sighting = FULL,
    at: datetime = NOW,
    targets: tuple[Target, ...] = TARGETS,
) -> Ruling | None:
    return begun(known, sighting, targets, _write, at)


def test_it_alerts_when_it_begins_and_not_while_it_stands() -> None:
    ruling = _begun(None)

    assert ruling is not None
    assert len(ruling.messages) == 2
    stands = ruling.condition
    assert (stands.told, stands.alerted_at, stands.since) == (True, NOW, NOW)
    assert _begun(stands, at=NOW + 10 * COOLDOWN) is None


def test_its_end_is_told_once_to_those_who_were_told() -> None:
    ruling = _begun(None)
    assert ruling is not None
    over = ended(ruling.condition, _write, NOW + MINUTE)

    assert over is not None
    assert len(over.messages) == 2
    assert over.condition.cleared_at == NOW + MINUTE
    assert ended(over.condition, _write, NOW + 2 * MINUTE) is None
    assert ended(None, _write, NOW) is None


def test_one_that_comes_and_goes_alerts_once_in_the_cooldown() -> None:
    first = _begun(None)
    assert first is not None
    over = ended(first.condition, _write, NOW + MINUTE)
    assert over is not None
    again = _begun(over.condition, at=NOW + 2 * MINUTE)

    assert again is not None
    assert again.messages == ()
    assert again.condition.since == NOW + 2 * MINUTE
    assert not again.condition.told
    silent = ended(again.condition, _write, NOW + 3 * MINUTE)
    assert silent is not None
    assert silent.messages == ()


def test_one_that_still_stands_when_the_cooldown_is_over_alerts_then() -> None:
    first = _begun(None)
    assert first is not None
    over = ended(first.condition, _write, NOW + MINUTE)
    assert over is not None
    again = _begun(over.condition, at=NOW + 2 * MINUTE)
    assert again is not None
    assert _begun(again.condition, at=NOW + COOLDOWN - MINUTE) is None

    late = _begun(again.condition, at=NOW + COOLDOWN)

    assert late is not None
    assert len(late.messages) == 2
    assert late.condition.since == NOW + 2 * MINUTE


def test_a_clock_that_was_set_back_silences_nothing() -> None:
    known = Condition(
        key=FULL.key,
        kind=FULL.kind,
        subject="x",
        since=NOW,
        alerted_at=NOW,
        cleared_at=NOW,
        told=True,
    )

    ruling = _begun(known, at=NOW - 2 * COOLDOWN)

    assert ruling is not None
    assert ruling.messages


def test_without_anybody_to_tell_it_is_on_record_and_told_when_there_is_somebody() -> None:
    ruling = _begun(None, targets=())
    assert ruling is not None
    assert ruling.messages == ()
    assert not ruling.condition.unreported
    assert _begun(ruling.condition, targets=()) is None

    told = _begun(ruling.condition, at=NOW + MINUTE)

    assert told is not None
    assert told.condition.told


def test_what_nobody_heard_of_is_told_as_soon_as_there_is_somebody_however_lately() -> None:
    lately = Condition(
        key=LOST.key, kind=LOST.kind, subject="#ops", since=NOW, alerted_at=NOW, unreported=True
    )

    ruling = _begun(lately, LOST, at=NOW + MINUTE)

    assert ruling is not None
    assert ruling.messages


def test_an_alert_that_failed_and_could_be_told_to_nobody_is_unreported_until_it_is() -> None:
    ruling = _begun(None, LOST, targets=())
    assert ruling is not None
    assert ruling.condition.unreported
    assert _begun(ruling.condition, LOST, targets=()) is None

    told = _begun(ruling.condition, LOST, at=NOW + MINUTE)
    assert told is not None
    assert (told.condition.unreported, told.condition.told) == (False, True)

    over = ended(ruling.condition, _write, NOW + MINUTE)
    assert over is not None
    assert not over.condition.unreported


def test_what_a_target_receives() -> None:
    condition = Condition(
        key="k",
        kind=ConditionKind.FILE_INVALID,
        since=NOW - MINUTE,
        subject="automations/a.json",
        automation="a",
        detail="automations/a.json:3:1: <!here> no",
    )
    slack = replace(TARGETS[0], format=Format.SLACK)
    alert, escaped = notices.alert(
        condition, (TARGETS[0], slack), workspace="acme", now=NOW, ids=CountingIds()
    )
    (over,) = notices.recovery(condition, TARGETS[:1], workspace=None, now=NOW, ids=CountingIds())

    assert (alert.kind, alert.run_id, alert.automation) == (MessageKind.WORKSPACE_ALERT, None, "a")
    assert alert.expires_at - alert.created_at == timedelta(hours=24)
    assert alert.body == {
        "automation": "a",
        "status": "alert",
        "condition": "file_invalid",
        "timestamp": "2026-03-02T09:00:00Z",
        "since": "2026-03-02T08:59:00Z",
        "subject": "automations/a.json",
        "error": "automations/a.json:3:1: <!here> no",
        "delivery_id": None,
        "workspace": "acme",
        "text": "acme: automations/a.json has been invalid for over a minute: "
        "automations/a.json:3:1: &lt;!here> no",
    }
    assert "&lt;!here&gt;" in str(escaped.body["text"])
    assert over.kind is MessageKind.WORKSPACE_RECOVERY
    assert (over.body["status"], over.body["error"]) == ("recovered", None)
    assert over.body["text"] == "automations/a.json is invalid no more"


@pytest.mark.parametrize("kind", list(ConditionKind))
def test_every_kind_has_its_words(kind: ConditionKind) -> None:
    condition = Condition(key="k", kind=kind, since=NOW, subject="digest")
    for write in (notices.alert, notices.recovery):
        (message,) = write(condition, TARGETS[:1], workspace=None, now=NOW, ids=CountingIds())
        assert "{" not in str(message.body["text"])
        assert message.body["condition"] == kind.value


def test_each_alert_that_was_lost_is_passed_on_while_its_target_fails_and_once() -> None:
    one, two = (replace(LOST, lost=id, detail=f"{id}: 404") for id in ("msg_1", "msg_2"))
    first = _begun(None, one)
    assert first is not None
    second = _begun(first.condition, two, at=NOW + MINUTE)

    assert second is not None
    assert len(second.messages) == 2
    assert "msg_2: 404" in str(second.messages[0].body["text"])
    assert second.condition.since == NOW
    assert _begun(second.condition, two, at=NOW + MINUTE) is None
    assert _begun(second.condition, LOST, at=NOW + MINUTE) is None


def test_an_alert_that_was_lost_is_passed_on_however_lately_another_was() -> None:
    first = _begun(None, replace(LOST, lost="msg_1", detail="msg_1: 404"))
    assert first is not None
    over = ended(first.condition, _write, NOW + MINUTE)
    assert over is not None
    again = _begun(over.condition, replace(LOST, lost="msg_2", detail="msg_2: 404"), NOW + MINUTE)

    assert again is not None
    assert len(again.messages) == 2


def test_an_alert_that_was_lost_and_can_be_passed_to_nobody_is_on_record_as_that() -> None:
    first = _begun(None, replace(LOST, lost="msg_1", detail="msg_1: 404"))
    assert first is not None
    second = _begun(first.condition, replace(LOST, lost="msg_2", detail="msg_2: 404"), targets=())

    assert second is not None
    assert (second.messages, second.condition.unreported) == ((), True)
    assert second.condition.detail == "msg_2: 404"


def _lost_to_nobody(count: int) -> Condition:
    known: Condition | None = None
    for number in range(1, count + 1):
        lost = replace(
            LOST, lost=f"msg_{number}", detail=f"msg_{number}: 404. It said: {'x' * 500}"
        )
        ruling = _begun(known, lost, targets=())
        assert ruling is not None
        known = ruling.condition
    assert known is not None
    return known


def test_all_that_nobody_heard_of_is_named_the_first_words_of_three_and_how_many_more() -> None:
    said = _lost_to_nobody(5).said or ""

    places = [said.find(f"msg_{number}: 404") for number in (5, 4, 3)]
    assert places == sorted(places)
    assert places[0] == 0
    assert "msg_2" not in said
    assert said.endswith("… and 2 more")
    assert len(said) < 1_000


def test_what_nobody_heard_of_is_told_with_the_next_and_forgotten_then() -> None:
    told = _begun(_lost_to_nobody(2), replace(LOST, lost="msg_3", detail="msg_3: 404"))
    assert told is not None
    after = _begun(told.condition, replace(LOST, lost="msg_4", detail="msg_4: 404"), targets=())
    assert after is not None

    text = str(told.messages[0].body["text"])
    assert [f"msg_{number}: 404" in text for number in (1, 2, 3)] == [True] * 3
    assert after.condition.said == "msg_4: 404"


def test_one_that_is_seen_again_is_not_one_more() -> None:
    two = _lost_to_nobody(2)

    for again in ("msg_2", "msg_1"):
        assert _begun(two, replace(LOST, lost=again, detail=f"{again}: 404"), targets=()) is None
