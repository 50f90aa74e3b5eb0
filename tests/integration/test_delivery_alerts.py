"""Failure alerts over the real ledger: what is counted, who is told, and what a restart keeps."""

import asyncio
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "delivery"))

from delivery_desk import Desk, statuses  # pyright: ignore[reportMissingImports]
from delivery_samples import alerting, completed, definition, failure, webhook  # pyright: ignore[reportMissingImports]

from amodal_rt.delivery.backoff import UNHEARD_PAUSE
from amodal_rt.domain.delivery import (
    Attempt,
    AttemptResult,
    DeliveryStatus,
    FailureState,
    MessageKind,
    Told,
)
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import RunStatus
from amodal_rt.testing.receiver import Receiver

HOUR = timedelta(hours=1).total_seconds()


def _alert_statuses(receiver: Receiver) -> list[tuple[str, int]]:
    return [(each.json["status"], each.json["consecutive_failures"]) for each in receiver.requests]


async def test_the_second_failure_alerts_and_the_cooldown_keeps_the_third_quiet(
    desk: Desk, receiver: Receiver
) -> None:
    known = definition(alert=alerting(webhook(receiver.url()), after=2))
    async with desk.sending():
        await desk.finish(known, failure())
        assert await desk.messages() == []
        await desk.finish(known, failure())
        await desk.settled()
        desk.clock.advance(HOUR / 2)
        await desk.finish(known, failure())
        assert len(await desk.messages()) == 1
        desk.clock.advance(HOUR / 2)
        await desk.finish(known, failure())
        await desk.settled(2)

    assert _alert_statuses(receiver) == [("failure", 2), ("failure", 4)]


async def test_a_restart_between_changes_nothing(tmp_path: Path, receiver: Receiver) -> None:
    known = definition(alert=alerting(webhook(receiver.url()), after=2))
    path = tmp_path / "ledger.db"

    first = Desk(path)
    async with first.ledger, first.sending():
        await first.finish(known, failure())
    second = Desk(path, first)
    async with second.ledger, second.sending():
        await second.finish(known, failure())
        await second.settled()
    third = Desk(path, second)
    third.clock.advance(HOUR - 1)
    async with third.ledger, third.sending():
        await third.finish(known, failure())
        assert len(await third.messages()) == 1
    fourth = Desk(path, third)
    fourth.clock.advance(1)
    async with fourth.ledger, fourth.sending():
        await fourth.finish(known, failure())
        await fourth.settled(2)

    assert _alert_statuses(receiver) == [("failure", 2), ("failure", 4)]


async def test_an_alert_on_its_way_is_not_owed_twice_even_over_a_restart(
    tmp_path: Path, receiver: Receiver
) -> None:
    known = definition(alert=alerting(webhook(receiver.url())))
    first = Desk(tmp_path / "ledger.db")
    async with first.ledger:
        await first.finish(known, failure())
        await first.finish(known, failure())
    second = Desk(tmp_path / "ledger.db", first)
    async with second.ledger:
        await second.finish(known, failure())
        async with second.sending():
            (record,) = await second.settled()

    assert record.status is DeliveryStatus.DELIVERED
    assert _alert_statuses(receiver) == [("failure", 1)]


async def test_an_alert_that_did_not_arrive_burns_no_cooldown_and_is_owed_again(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.script(404, 404)
    known = definition(alert=alerting(webhook(receiver.url())))
    async with desk.sending():
        await desk.finish(known, failure())
        await desk.settled()
        desk.clock.advance(5)
        await desk.settled(attempts=2)
        await _pending_again(desk)
        # Owed again, it speaks for the next failure too.
        await desk.finish(known, failure())
        desk.clock.advance(UNHEARD_PAUSE.total_seconds())
        records = await desk.settled(attempts=3)

    assert list(statuses(records)) == ["delivered"]
    state = await desk.ledger.failure_state("digest")
    told = Told(alerted_at=desk.clock.now(), alerting=True)
    assert state == FailureState(consecutive=2, known={webhook(receiver.url()).key: told})


async def _pending_again(desk: Desk) -> None:
    while True:
        if list(statuses(await desk.messages())) == ["pending"]:
            return
        await asyncio.sleep(0.002)


async def test_a_target_that_is_down_silences_no_other_target(
    desk: Desk, receiver: Receiver
) -> None:
    async with Receiver() as down:
        down.script(*[503] * 20)
        targets = webhook(receiver.url(), "here"), webhook(down.url(), "there")
        known = definition(alert=alerting(*targets, minutes=1))
        async with desk.sending():
            for told, outcome in enumerate((failure(), completed(), failure(), completed()), 1):
                await desk.finish(known, outcome)
                await receiver.received(told)
                # Until it is on record that this arrived, the next outcome may find it open.
                await desk.settled(told + 1)
                desk.clock.advance(61)

    heard = [each.json["status"] for each in receiver.requests]
    assert heard == ["failure", "recovered", "failure", "recovered"]
    assert {each.json["status"] for each in down.requests} == {"failure"}
    assert len([each for each in await desk.messages() if each.message.target == targets[1]]) == 1


async def test_what_a_target_was_told_outlives_the_messages_that_told_it(
    desk: Desk, receiver: Receiver
) -> None:
    known = definition(alert=alerting(webhook(receiver.url()), minutes=60 * 24 * 30))
    async with desk.sending():
        await desk.finish(known, failure())
        await desk.settled()
        desk.clock.advance(10 * 24 * HOUR)
        await desk.finish(known, failure())
        await desk.ledger.prune(desk.clock.now(), history=timedelta(days=8))
        assert await desk.messages() == []
        await desk.finish(known, failure())
        assert await desk.messages() == []
        await desk.finish(known, completed())
        await desk.settled()
        await desk.finish(known, completed())

    assert _alert_statuses(receiver) == [("failure", 1), ("recovered", 0)]


async def test_a_flapping_automation_alerts_once_an_hour(desk: Desk, receiver: Receiver) -> None:
    known = definition(alert=alerting(webhook(receiver.url())))
    async with desk.sending():
        for _ in range(6):
            await desk.finish(known, failure())
            await desk.settled(len(await desk.messages()))
            desk.clock.advance(300)
            await desk.finish(known, completed())
            await desk.settled(len(await desk.messages()))
            desk.clock.advance(300)

    assert _alert_statuses(receiver) == [("failure", 1), ("recovered", 0)]


async def test_a_recovery_is_told_once_and_the_row_begins_anew(
    desk: Desk, receiver: Receiver
) -> None:
    known = definition(alert=alerting(webhook(receiver.url()), after=2, minutes=0))
    async with desk.sending():
        await desk.finish(known, failure())
        await desk.finish(known, failure())
        await desk.settled()
        await desk.finish(known, completed())
        await desk.finish(known, completed())
        await desk.settled(2)
        await desk.finish(known, completed())
        await desk.finish(known, failure())
        assert len(await desk.messages()) == 2
        await desk.finish(known, failure())
        await desk.settled(3)

    assert _alert_statuses(receiver) == [("failure", 2), ("recovered", 0), ("failure", 2)]


async def test_runs_that_neither_failed_nor_completed_do_neither(
    desk: Desk, receiver: Receiver
) -> None:
    known = definition(alert=alerting(webhook(receiver.url()), after=2))
    async with desk.sending():
        await desk.finish(known, failure())
        await desk.finish(known, Outcome(status=RunStatus.CANCELLED))
        await desk.finish(known, completed(model="rehearsal"))
        await desk.finish(known, failure(), rehearse=True)
        await desk.finish(known, failure())
        await desk.settled()

    assert _alert_statuses(receiver) == [("failure", 2)]


async def test_a_dead_result_counts_as_a_failure_and_alerts(desk: Desk, receiver: Receiver) -> None:
    receiver.script(410)
    targets = webhook(receiver.url("/reports")), webhook(receiver.url("/ops"), "ops")
    known = definition(targets[0], alert=alerting(targets[1]))
    async with desk.sending():
        run_id = await desk.finish(known, completed())
        result, alert = await desk.settled(2)

    assert list(statuses([result, alert])) == ["dead", "delivered"]
    assert alert.message.kind is MessageKind.FAILURE_ALERT
    body = receiver.requests[1].json
    assert (body["status"], body["reason"]) == ("failure", "delivery_failed")
    assert body["error"] == "delivery to reports failed: HTTP 410 Gone"
    assert (body["run_id"], body["consecutive_failures"]) == (run_id, 1)
    found = await desk.ledger.find_run(run_id)
    assert found is not None
    assert found.status is RunStatus.COMPLETED


async def test_a_dead_alert_does_not_alert_about_itself(desk: Desk, receiver: Receiver) -> None:
    receiver.script(410)
    known = definition(alert=alerting(webhook(receiver.url())))
    async with desk.sending():
        await desk.finish(known, failure())
        await desk.settled()

    assert len(await desk.messages()) == 1
    assert (await desk.ledger.failure_state("digest")).consecutive == 1


async def test_an_alert_that_a_crash_swallowed_is_owed_at_the_next_start_and_only_then(
    tmp_path: Path, receiver: Receiver
) -> None:
    """The process died after giving the result up and before owing the alert about it."""
    known = definition(
        webhook(receiver.url("/reports")), alert=alerting(webhook(receiver.url("/ops")))
    )
    first = Desk(tmp_path / "ledger.db")
    async with first.ledger:
        await first.finish(known, completed())
        (letter,) = await first.ledger.claim_messages(limit=1, now=first.clock.now())
        await first.ledger.record_attempt(
            Attempt(
                delivery_id=letter.message.delivery_id,
                result=AttemptResult.DEAD,
                at=first.clock.now(),
                error="HTTP 410 Gone",
            )
        )
        assert len(await first.messages()) == 1

    first.clock.advance(60)
    for _ in range(3):
        again = Desk(tmp_path / "ledger.db", first)
        again.definitions = first.definitions
        async with again.ledger, again.sending():
            await again.settled(2)
        again.clock.advance(2 * HOUR)

    assert [(each.path, each.json["error"]) for each in receiver.requests] == [
        ("/ops", "delivery to reports failed: HTTP 410 Gone")
    ]


async def test_an_automation_that_is_gone_owes_no_alert(desk: Desk, receiver: Receiver) -> None:
    receiver.script(410)
    known = definition(webhook(receiver.url()), alert=alerting(webhook(receiver.url())))
    await desk.finish(known, completed())
    desk.definitions.clear()
    async with desk.sending():
        await desk.settled()

    assert len(await desk.messages()) == 1


async def test_the_newest_version_of_the_file_says_whom_to_alert(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.script(410)
    known = definition(webhook(receiver.url("/reports")))
    await desk.finish(known, completed())
    edited = replace(known.automation, failure_alert=alerting(webhook(receiver.url("/new"), "new")))
    desk.definitions["digest"] = replace(known, automation=edited)
    async with desk.sending():
        await desk.settled(2)

    assert [each.path for each in receiver.requests] == ["/reports", "/new"]
