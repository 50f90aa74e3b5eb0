"""The verbs of automations mean what the specification says, whichever door asks."""

from dataclasses import replace
from datetime import timedelta

import pytest
from desk import ADA, Desk, cron, definition, live, webhook

from amodal_rt import ids
from amodal_rt.domain.automation import Lifecycle
from amodal_rt.domain.identity import Identities, Member
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.run import RunStatus
from amodal_rt.domain.trigger import EventCondition, EventTrigger
from amodal_rt.domain.workspace import AutomationState, WorkspaceSettings
from amodal_rt.errors import ConflictError, InvalidError, NotFoundError
from amodal_rt.ports import FACTS, RunFilter

BROKEN = Problem(
    file="automations/a.json", line=3, column=5, code="unknown_key", message="no such key"
)
UNSET = Problem(file="automations/a.json", code="env_missing", message="TOKEN is not set")


async def test_a_scheduled_automation_is_listed_in_full(desk: Desk) -> None:
    desk.files.add(live(definition("daily-digest", cron("0 9 * * 1-5"))))

    (row,) = await desk.automations.list_all(ADA)

    assert row == {
        "name": "daily-digest",
        "title": "Daily Digest",
        "id": ids.automation("daily-digest"),
        "triggers": ["cron"],
        "events": [],
        "schedule": "0 9 * * 1-5",
        "timezone": "UTC",
        "status": "active",
        "reason": None,
        "stale": False,
        "signed": None,
        "next_run_at": "2026-03-02T09:00:00Z",
        "webhook_url": None,
        "last_run": None,
    }


async def test_an_automation_that_waits_for_events_lists_their_names_once(desk: Desk) -> None:
    names = ("github.*", "deploy.finished", "github.*")
    conditions = tuple(EventCondition(event=each) for each in names)
    desk.files.add(live(definition("a", EventTrigger(conditions=conditions, key="0"), cron())))

    (row,) = await desk.automations.list_all(ADA)

    assert (row["triggers"], row["events"]) == (["event", "cron"], ["github.*", "deploy.finished"])


async def test_whose_maker_is_no_member_any_more_is_shown_as_paused(desk: Desk) -> None:
    for name, status in (("gone", Lifecycle.ACTIVE), ("draft", Lifecycle.DRAFT)):
        desk.files.add(live(definition(name, cron(), created_by="bob", status=status)))
    desk.files.add(live(definition("here", cron(), created_by="ada")))
    team = Identities(members={"ada": Member(id="ada")}, known=True)
    desk.files.current = replace(desk.files.current, identities=team)

    rows = {row["name"]: row for row in await desk.automations.list_all(ADA)}

    told = {name: (row["status"], row["reason"]) for name, row in rows.items()}
    assert told == {
        "gone": ("paused", "creator_invalid"),
        "draft": ("paused", "creator_invalid"),
        "here": ("active", None),
    }
    assert rows["gone"]["next_run_at"] is None
    assert rows["here"]["next_run_at"] is not None
    shown = await desk.automations.show(ADA, "gone")
    assert "createdBy bob" in str(shown["creator_rule"])
    await desk.automations.pause(ADA, "gone", reason="on holiday")
    assert (await desk.automations.show(ADA, "gone"))["reason"] == "on holiday"
    run = await desk.automations.trigger(ADA, "gone")
    assert run["status"] == "pending"


async def test_a_webhook_is_listed_with_its_url_and_whether_it_is_signed(desk: Desk) -> None:
    desk.files.add(live(definition("hook", webhook())))

    (row,) = await desk.automations.list_all(ADA)

    assert row["webhook_url"] == f"http://127.0.0.1:3847/webhooks/{ids.webhook(b'key', 'hook', 0)}"
    assert (row["signed"], row["next_run_at"], row["schedule"]) == (False, None, None)


async def test_a_public_url_takes_the_place_of_the_local_one(desk: Desk) -> None:
    desk.files.add(live(definition("hook", webhook())))
    local = await desk.automations.show(ADA, "hook")
    settings = WorkspaceSettings(public_url="https://hooks.example/")
    desk.files.current = replace(desk.files.current, settings=settings)

    public = await desk.automations.show(ADA, "hook")

    assert str(public["webhook_url"]).startswith("https://hooks.example/webhooks/auto_")
    assert (local["local_only"], public["local_only"]) == (True, False)


async def test_names_are_listed_in_order(desk: Desk) -> None:
    for name in ("b", "a", "c"):
        desk.files.add(live(definition(name)))

    assert [row["name"] for row in await desk.automations.list_all(ADA)] == ["a", "b", "c"]


async def test_the_last_run_is_the_newest_that_was_not_skipped(desk: Desk) -> None:
    desk.files.add(live(definition("a")))
    run = await desk.automations.trigger(ADA, "a")

    (row,) = await desk.automations.list_all(ADA)

    assert row["last_run"] == {"run_id": run["run_id"], "status": "pending", "started_at": None}


@pytest.mark.parametrize(
    ("file", "paused", "shown"),
    [
        (Lifecycle.ACTIVE, False, "active"),
        (Lifecycle.ACTIVE, True, "paused"),
        (Lifecycle.DRAFT, False, "draft"),
        (Lifecycle.DRAFT, True, "paused"),
        (Lifecycle.PAUSED, False, "paused"),
        (Lifecycle.PAUSED, True, "paused"),
    ],
)
async def test_the_stricter_of_file_and_ledger_is_shown(
    desk: Desk, file: Lifecycle, paused: bool, shown: str
) -> None:
    desk.files.add(live(definition("a", cron(), status=file)))
    if paused:
        await desk.automations.pause(ADA, "a")

    row = await desk.automations.show(ADA, "a")

    assert row["status"] == shown
    assert (row["next_run_at"] is not None) is (shown == "active")


async def test_a_broken_file_is_invalid_and_its_last_good_version_stale(desk: Desk) -> None:
    good = definition("a", cron())
    desk.files.add(
        AutomationState(name="a", file=good.file, definition=good, problems=(BROKEN,), stale=True)
    )

    row = await desk.automations.show(ADA, "a")

    assert (row["status"], row["stale"]) == ("invalid", True)
    assert row["reason"] == "automations/a.json:3:5: no such key"
    assert row["next_run_at"] == "2026-03-02T09:00:00Z"
    assert row["problems"] == [BROKEN.document()]


async def test_a_file_that_never_was_good_is_shown_without_content(desk: Desk) -> None:
    desk.files.add(AutomationState(name="a", file="automations/a.json", problems=(BROKEN,)))

    row = await desk.automations.show(ADA, "a")

    assert (row["status"], row["title"], row["triggers"]) == ("invalid", "a", [])
    assert row["prompt"] is None


async def test_an_unset_variable_makes_it_invalid_and_stops_its_schedule(desk: Desk) -> None:
    good = definition("a", cron())
    desk.files.add(AutomationState(name="a", file=good.file, definition=good, blocked=(UNSET,)))

    row = await desk.automations.show(ADA, "a")

    assert (row["status"], row["next_run_at"]) == ("invalid", None)


async def test_pausing_cancels_what_is_pending_and_tells_everybody(desk: Desk) -> None:
    desk.files.add(live(definition("a", cron())))
    run = await desk.automations.trigger(ADA, "a")

    with desk.signals.listen(FACTS) as told:
        row = await desk.automations.pause(ADA, "a", reason="noisy")
        await told()

    assert (row["status"], row["reason"]) == ("paused", "noisy")
    assert row["paused"] == {"reason": "noisy", "at": "2026-03-01T12:00:00Z"}
    (cancelled,) = await desk.ledger.list_runs(RunFilter(automation="a"))
    assert (cancelled.run_id, cancelled.status) == (run["run_id"], RunStatus.CANCELLED)


async def test_resuming_names_the_next_run(desk: Desk) -> None:
    desk.files.add(live(definition("a", cron())))
    await desk.automations.pause(ADA, "a")

    row = await desk.automations.resume(ADA, "a")

    assert (row["status"], row["next_run_at"]) == ("active", "2026-03-02T09:00:00Z")


async def test_pausing_once_more_keeps_why_it_was_paused(desk: Desk) -> None:
    desk.files.add(live(definition("a", cron())))
    await desk.automations.pause(ADA, "a", reason="on holiday")

    row = await desk.automations.pause(ADA, "a")

    assert isinstance(row["paused"], dict)
    assert row["paused"]["reason"] == "on holiday"


async def test_an_invalid_file_is_not_activated(desk: Desk) -> None:
    desk.files.add(AutomationState(name="a", file="automations/a.json", problems=(BROKEN,)))

    with pytest.raises(InvalidError) as caught:
        await desk.automations.activate(ADA, "a")

    assert caught.value.code == "unknown_key"


async def test_what_nothing_can_run_as_it_stands_is_not_activated(desk: Desk) -> None:
    whole = live(definition("a", cron(), status=Lifecycle.DRAFT))
    desk.files.add(replace(whole, blocked=(UNSET,)))

    with pytest.raises(InvalidError) as caught:
        await desk.automations.activate(ADA, "a")

    assert caught.value.code == "env_missing"
    assert desk.written == []


@pytest.mark.parametrize("status", [Lifecycle.PAUSED, Lifecycle.DRAFT])
async def test_what_the_file_holds_back_cannot_be_resumed(desk: Desk, status: Lifecycle) -> None:
    desk.files.add(live(definition("a", cron(), status=status)))

    with pytest.raises(ConflictError) as caught:
        await desk.automations.resume(ADA, "a")

    assert caught.value.code == "paused_by_file"
    assert "automations/a.json:4" in caught.value.message


async def test_all_are_paused_at_once(desk: Desk) -> None:
    for name in ("a", "b"):
        desk.files.add(live(definition(name, cron())))

    rows = await desk.automations.pause_all(ADA, reason="holiday")

    assert [row["status"] for row in rows] == ["paused", "paused"]


async def test_activate_and_reset_write_the_file(desk: Desk) -> None:
    desk.files.add(live(definition("a", cron(), status=Lifecycle.DRAFT)))

    activated = await desk.automations.activate(ADA, "a")
    reset = await desk.automations.reset(ADA, "a")

    assert (activated["status"], reset["status"]) == ("active", "draft")
    assert desk.written == [("a", Lifecycle.ACTIVE), ("a", Lifecycle.DRAFT)]


async def test_a_rotated_url_is_another_one(desk: Desk) -> None:
    desk.files.add(live(definition("hook", webhook())))
    before = await desk.automations.show(ADA, "hook")

    after = await desk.automations.rotate_url(ADA, "hook")

    assert after["webhook_url"] != before["webhook_url"]
    assert str(after["webhook_url"]).endswith(ids.webhook(b"key", "hook", 1))


async def test_only_a_webhook_has_a_url_to_rotate(desk: Desk) -> None:
    desk.files.add(live(definition("a", cron())))

    with pytest.raises(ConflictError) as caught:
        await desk.automations.rotate_url(ADA, "a")

    assert caught.value.code == "no_webhook"


@pytest.mark.parametrize(
    "verb", ["show", "pause", "resume", "activate", "reset", "rotate_url", "trigger"]
)
async def test_an_unknown_name_gets_the_nearest_one(desk: Desk, verb: str) -> None:
    desk.files.add(live(definition("daily-digest")))

    with pytest.raises(NotFoundError) as caught:
        await getattr(desk.automations, verb)(ADA, "daily-digset")

    assert caught.value.code == "automation_not_found"
    assert caught.value.hint == "did you mean daily-digest?"


async def test_the_next_run_moves_on_when_its_time_has_come(desk: Desk) -> None:
    desk.files.add(live(definition("a", cron())))
    before = await desk.automations.show(ADA, "a")
    desk.clock.offset = timedelta(days=1)

    after = await desk.automations.show(ADA, "a")

    assert before["next_run_at"] == "2026-03-02T09:00:00Z"
    assert after["next_run_at"] == "2026-03-03T09:00:00Z"


async def test_the_next_run_is_right_again_after_the_clock_was_set_back(desk: Desk) -> None:
    desk.files.add(live(definition("a", cron())))
    desk.clock.offset = timedelta(days=1)
    await desk.automations.show(ADA, "a")
    desk.clock.offset = timedelta()

    assert (await desk.automations.show(ADA, "a"))["next_run_at"] == "2026-03-02T09:00:00Z"
