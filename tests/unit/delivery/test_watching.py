"""The watch over a real ledger: what it sees, whom it tells, and what a restart keeps."""

import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from delivery_samples import alerting, definition, webhook
from watch_scene import BAD, OPS, PAGER, Scene, invalid

from amodal_rt.delivery.conditions import COOLDOWN
from amodal_rt.delivery.watching import SELDOM_SECONDS
from amodal_rt.domain.breaker import Health
from amodal_rt.domain.budget import Amount, Hold, Spent
from amodal_rt.domain.condition import ConditionKind
from amodal_rt.domain.delivery import AttemptResult, MessageKind, Target
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.workspace import AutomationState
from amodal_rt.testing.ledger import MemoryLedger, MemoryStore


async def test_a_workspace_that_is_well_says_nothing(scene: Scene) -> None:
    scene.put(invalid())
    assert await scene.look() == []
    assert await scene.look(600) == []
    assert scene.watch.degraded == ()
    assert scene.watch.overdue == ()
    assert scene.watch.looked_at == scene.clock.monotonic()


async def test_a_file_that_is_invalid_for_over_a_minute_is_told_and_so_is_its_mending(
    scene: Scene,
) -> None:
    scene.put(invalid(BAD))
    assert await scene.look() == []
    assert await scene.look(59) == []
    assert await scene.look(1) == ["alert file_invalid automations/digest.json > ops"]
    assert await scene.look(7_200) == []
    scene.put(invalid())
    assert await scene.look() == ["recovered file_invalid automations/digest.json > ops"]
    (_, alert) = await scene.ledger.list_messages(limit=10)
    assert alert.message.automation == "digest"
    assert alert.message.body["error"] == BAD.sentence()


@pytest.mark.parametrize(("targets", "lines"), [((), 1), ((OPS,), 4)])
async def test_many_broken_files_of_which_nobody_is_told_share_a_line_of_the_log(
    scene: Scene, targets: tuple[Target, ...], lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A first start without its variables would fill the terminal else."""
    scene.tell(*targets)
    names = ["a", "b", "c", "d"]
    broken = invalid(BAD)
    scene.put(*(replace(broken, name=each, file=f"automations/{each}.json") for each in names))
    await scene.look()
    caplog.clear()
    await scene.look(61)

    told = [each for each in caplog.records if each.message == "workspace.alert"]
    assert len(told) == lines
    assert len(await scene.ledger.conditions()) == 4
    if lines == 1:
        assert told[0].__dict__["fields"]["subjects"].count(", ") == 3


async def test_a_file_that_is_mended_within_the_minute_is_not_told(scene: Scene) -> None:
    for _ in range(5):
        scene.put(invalid(BAD))
        assert await scene.look(40) == []
        scene.put(invalid())
        assert await scene.look(40) == []


async def test_the_settings_and_other_files_are_watched_too(scene: Scene) -> None:
    problem = Problem(file="amodal.json", code="bad_json", message="comma", line=2)
    warning = replace(problem, file="agents/a.md", severity="warning")
    scene.current = replace(scene.current, problems=(problem, warning))
    await scene.look()
    assert await scene.look(60) == ["alert file_invalid amodal.json > ops"]


async def test_a_folder_that_is_gone_is_told_once_and_not_for_each_of_its_files(
    scene: Scene,
) -> None:
    scene.put(invalid(Problem(file="automations/digest.json", code="file_gone", message="gone")))
    missing = Problem(file="automations", code="workspace_missing", message="the folder is missing")
    scene.current = replace(scene.current, problems=(missing,))
    assert await scene.look() == []
    assert await scene.look(59) == []
    assert scene.watch.missing == ()
    assert await scene.look(1) == ["alert workspace_missing automations > ops"]
    assert scene.watch.missing == (
        "the files of automations are gone: automations: the folder is missing",
    )
    scene.current = replace(scene.current, problems=())
    scene.put(invalid())
    assert await scene.look() == ["recovered workspace_missing automations > ops"]
    assert scene.watch.missing == ()


async def test_an_invalid_file_is_not_mended_by_being_gone(scene: Scene) -> None:
    scene.put(invalid(BAD))
    await scene.look()
    assert len(await scene.look(60)) == 1
    scene.put(invalid(Problem(file=BAD.file, code="file_gone", message="gone")))
    assert await scene.look(5) == []
    scene.put()
    assert await scene.look() == ["recovered file_invalid automations/digest.json > ops"]


async def test_a_restart_alerts_no_second_time_and_knows_what_to_end(
    scene: Scene, tmp_path: Path
) -> None:
    scene.put(invalid(BAD))
    await scene.look()
    assert len(await scene.look(60)) == 1

    again = Scene(tmp_path / "ledger.db", scene)
    async with again.ledger:
        assert await again.look() == []
        assert await again.look(120) == []
        again.put(invalid())
        assert await again.look() == ["recovered file_invalid automations/digest.json > ops"]


async def test_of_two_nodes_one_alerts_and_only_the_one_that_saw_it_ends_it(
    scene: Scene,
) -> None:
    store = MemoryStore()
    ledgers = [MemoryLedger(store, clock=scene.clock) for _ in range(2)]
    for ledger in ledgers:
        await ledger.join(host="a", pid=1, version="1", lease=timedelta(hours=1))
    first, second = (scene.another_watch(ledger) for ledger in ledgers)
    scene.put(invalid(BAD))
    for seconds in (0, 60):
        scene.clock.advance(seconds)
        await first.look()
        await second.look()
    assert len(await ledgers[0].list_messages(limit=10)) == 1
    (condition,) = await ledgers[0].conditions()
    assert condition.seen_by == ledgers[0].node_id

    scene.put(invalid())
    await second.look()
    assert await ledgers[0].conditions() == [condition]
    await ledgers[0].leave()
    await second.look()

    assert await ledgers[0].conditions() == []
    assert len(await ledgers[1].list_messages(limit=10)) == 2


async def test_an_alert_that_a_clock_ahead_has_dated_is_late(scene: Scene) -> None:
    scene.clock.advance(6 * 3_600)
    await scene.message(PAGER, MessageKind.FAILURE_ALERT)
    scene.clock.advance(-6 * 3_600)
    assert await scene.look(SELDOM_SECONDS) == ["alert alert_failed pager > ops"]


async def test_a_full_queue_is_told_until_there_is_room_again(scene: Scene) -> None:
    scene.tell(OPS, queue=10)
    for _ in range(10):
        await scene.run()
    assert await scene.look() == ["alert queue_full The queue > ops"]
    claimed = await scene.ledger.claim(limit=1, overall=99, now=scene.clock.now())
    assert len(claimed) == 1
    assert await scene.look() == []
    await scene.ledger.claim(limit=1, overall=99, now=scene.clock.now())
    assert await scene.look() == ["recovered queue_full The queue > ops"]


async def test_an_event_that_was_refused_is_enough_to_call_the_queue_full(scene: Scene) -> None:
    await scene.watch.look(refused=True)
    (record,) = await scene.ledger.list_messages(limit=10)
    assert record.message.body["condition"] == "queue_full"


async def test_a_disabled_target_is_told_with_what_to_do(scene: Scene) -> None:
    scene.put(invalid())
    dead = await scene.message(webhook("https://gone.example/x", "reports"))
    await scene.settle(dead, AttemptResult.DEAD, health=Health.GONE)

    assert await scene.look() == ["alert target_disabled reports > ops"]
    told = (await scene.ledger.list_messages(limit=1))[0].message.body
    assert "ops deliveries retry --since 24h --target 'reports'" in str(told["error"])

    now = scene.clock.now()
    await scene.ledger.retry_message(dead, at=now, expires_at=now + COOLDOWN)
    assert await scene.look() == ["recovered target_disabled reports > ops"]


@pytest.mark.parametrize("how", ["file gone", "target gone"])
async def test_a_dead_letter_is_over_when_a_result_arrives_there_or_none_goes_there(
    scene: Scene, how: str
) -> None:
    digest = AutomationState(name="digest", file="d", definition=definition(webhook(), PAGER))
    scene.put(digest)
    dead = {"automation": "digest", "target": webhook().key, "told": True}
    await scene.stands(ConditionKind.DEAD_LETTER, **dead)
    await scene.settle(await scene.message(PAGER), AttemptResult.DELIVERED)
    assert await scene.look(60) == []
    await scene.settle(await scene.message(webhook()), AttemptResult.DELIVERED)
    assert await scene.look() == ["recovered dead_letter x > ops"]

    await scene.stands(ConditionKind.DEAD_LETTER, **dead)
    if how == "file gone":
        scene.put()
    else:
        scene.put(replace(digest, definition=definition(PAGER)))
    assert await scene.look(1) == ["recovered dead_letter x > ops"]


async def test_an_invalid_file_ends_no_dead_letter(scene: Scene) -> None:
    scene.put(AutomationState(name="digest", file="d", problems=(BAD,)))
    await scene.stands(
        ConditionKind.DEAD_LETTER, automation="digest", target=webhook().key, told=True
    )
    assert await scene.look(30) == []


async def test_a_failed_alert_is_over_when_its_target_takes_a_message_or_is_unused(
    scene: Scene,
) -> None:
    scene.put(
        AutomationState(name="digest", file="d", definition=definition(alert=alerting(PAGER)))
    )
    await scene.stands(ConditionKind.ALERT_FAILED, target=PAGER.key, told=True)
    assert await scene.look(60) == []
    arrived = await scene.message(PAGER, MessageKind.FAILURE_ALERT)
    await scene.settle(arrived, AttemptResult.DELIVERED)
    assert await scene.look() == ["recovered alert_failed x > ops"]

    await scene.stands(ConditionKind.ALERT_FAILED, target=PAGER.key, told=True)
    scene.put()
    assert await scene.look(1) == ["recovered alert_failed x > ops"]


async def test_a_failed_alert_that_nobody_heard_of_degrades_until_somebody_does(
    scene: Scene,
) -> None:
    scene.put(
        AutomationState(name="digest", file="d", definition=definition(alert=alerting(PAGER)))
    )
    scene.tell()
    await scene.stands(ConditionKind.ALERT_FAILED, target=PAGER.key, unreported=True)
    assert await scene.look(60) == []
    assert len(scene.watch.degraded) == 1

    scene.tell(PAGER)
    assert await scene.look() == []
    assert len(scene.watch.degraded) == 1

    scene.tell(PAGER, OPS)
    assert await scene.look() == ["alert alert_failed x > ops"]
    assert scene.watch.degraded == ()


async def test_one_alert_that_nobody_heard_of_degrades_until_it_arrives_itself(
    scene: Scene,
) -> None:
    scene.put(
        AutomationState(name="digest", file="d", definition=definition(alert=alerting(PAGER)))
    )
    scene.tell()
    lost = await scene.message(PAGER, MessageKind.FAILURE_ALERT)
    about = f"{ConditionKind.ALERT_FAILED} {PAGER.key} digest"
    await scene.stands(ConditionKind.ALERT_FAILED, key=about, target=PAGER.key, unreported=True)
    other = await scene.message(PAGER, MessageKind.FAILURE_ALERT)
    await scene.settle(other, AttemptResult.DELIVERED)
    assert await scene.look(1) == []
    assert len(scene.watch.degraded) == 1

    await scene.settle(lost, AttemptResult.DELIVERED)
    assert await scene.look(1) == []
    assert scene.watch.degraded == ()


async def test_what_arrived_where_it_was_lost_first_degrades_no_more(scene: Scene) -> None:
    scene.put(
        AutomationState(name="digest", file="d", definition=definition(alert=alerting(PAGER)))
    )
    lost = await scene.message(PAGER, MessageKind.FAILURE_ALERT)
    body = {"condition": "alert_failed", "delivery_id": lost, "text": "pager: 404"}
    await scene.message(OPS, MessageKind.WORKSPACE_ALERT, body=body)
    about = f"{ConditionKind.ALERT_FAILED} {OPS.key} digest"
    await scene.stands(ConditionKind.ALERT_FAILED, key=about, target=OPS.key, unreported=True)
    await scene.look(1)
    assert len(scene.watch.degraded) == 1

    await scene.settle(lost, AttemptResult.DELIVERED)
    assert await scene.look(1) == []
    assert scene.watch.degraded == ()


async def test_an_alert_that_is_on_its_way_for_ten_minutes_has_failed(scene: Scene) -> None:
    scene.put(
        AutomationState(name="digest", file="d", definition=definition(alert=alerting(PAGER)))
    )
    await scene.message(PAGER, MessageKind.FAILURE_ALERT)
    assert await scene.look(590) == []
    assert await scene.look(15) == ["alert alert_failed pager > ops"]
    told = (await scene.ledger.list_messages(limit=1))[0].message.body
    assert "It said: Digest failed (timed_out)" in str(told["error"])
    assert told["automation"] == "digest"
    assert await scene.look(60) == []


async def test_without_targets_nothing_is_owed_and_what_stands_is_on_record(scene: Scene) -> None:
    scene.tell()
    scene.put(invalid(BAD))
    await scene.look()
    assert await scene.look(60) == []
    (condition,) = await scene.ledger.conditions()
    assert condition.subject == "automations/digest.json"
    assert scene.watch.degraded == ()

    scene.tell(OPS)
    assert await scene.look() == ["alert file_invalid automations/digest.json > ops"]


async def test_a_budget_is_told_near_its_end_and_at_it_and_full_again_the_next_day(
    scene: Scene,
) -> None:
    async def spend(dollars: float) -> None:
        day = scene.clock.now().date()
        spent = Spent(day=day, automation="digest", model="a:b", cost_usd=dollars)
        hold = Hold(
            run_id="run_a", term=1, step="turn:1", automation="digest", model="a:b", day=day,
            wanted=Amount(),
        )  # fmt: skip
        await scene.ledger.charge(hold, spent)

    whole = "The budget of all automations > ops"
    await spend(3.9)
    assert await scene.look(SELDOM_SECONDS) == []
    await spend(0.2)
    assert await scene.look(SELDOM_SECONDS) == [f"alert budget_near {whole}"]
    await spend(1.0)
    assert await scene.look(SELDOM_SECONDS) == [f"alert budget_spent {whole}"]
    assert await scene.look(SELDOM_SECONDS) == []
    assert sorted(await scene.look(86_400)) == [
        f"recovered budget_near {whole}", f"recovered budget_spent {whole}",
    ]  # fmt: skip
