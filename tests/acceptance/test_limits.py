"""Bounds that nothing escapes: how many at once, how long, how often."""

import time
from typing import Any

import pytest
from files import Workspace
from outside import Site, post_json
from stub_model import Chat, Model, Refuse, Say, Turn, use
from waiting import always, eventually

AUTOMATIONS: dict[str, dict[str, Any]] = {
    "busy": {"trigger": "webhook"},
    "brisk": {"trigger": "webhook", "limits": {"concurrency": 1, "onLimit": "skip"}},
    "many-0": {"trigger": "webhook"},
    "many-1": {"trigger": "webhook"},
    "many-2": {"trigger": "webhook"},
    "many-3": {"trigger": "webhook"},
    "slow": {"trigger": "webhook", "limits": {"timeoutSeconds": 1, "concurrency": 1}},
    "long": {"trigger": "webhook", "limits": {"concurrency": 1}},
    "pausable": {"trigger": "webhook", "limits": {"concurrency": 1}},
    "chatty": {"limits": {"maxTurns": 3}},
    "rare": {"trigger": "webhook", "limits": {"startsPerHour": 2}},
    "steady": {},
    "stubborn": {"retry": {"attempts": 1, "backoffSeconds": 1}},
}

FIRST_TRY = 5
"""Requests of one attempt: what passes by itself is asked again four times within it."""


@pytest.fixture(scope="module")
def running(shared_site: Site, shared_model: Model) -> Site:
    files = Workspace(shared_site.workspace)
    files.settings(shared_model.settings())
    files.secrets(MODEL_KEY="key")
    files.connection("self", {"protocol": "runtime"})
    for name, keys in AUTOMATIONS.items():
        files.automation(name, **keys)
    shared_site.up()
    return shared_site


@pytest.fixture
def model(shared_model: Model) -> Model:
    shared_model.forget()
    return shared_model


@pytest.fixture
def site(running: Site, model: Model) -> Site:
    return running


def _statuses(site: Site, name: str) -> list[str]:
    return [row["status"] for row in site.ask("runs", "list", "--automation", name)]


def test_no_more_than_three_of_one_automation_run_at_once(site: Site, model: Model) -> None:
    gate = model.hang()
    url = site.hook("busy")
    for number in range(5):
        assert post_json(url, {"n": number}).json()["status"] == "accepted"

    eventually(lambda: model.inflight == 3, "three are with the model")
    assert sorted(_statuses(site, "busy")) == ["pending"] * 2 + ["running"] * 3
    always(lambda: model.inflight == 3, "no fourth", seconds=0.5)
    gate.set()
    eventually(lambda: _statuses(site, "busy") == ["completed"] * 5, "all have their turn")
    assert model.most_inflight == 3


def test_on_limit_skip_ends_the_fourth_webhook_at_once(site: Site, model: Model) -> None:
    gate = model.hang()
    url = site.hook("brisk")
    first = post_json(url, {"n": 1}).json()
    eventually(lambda: model.inflight == 1, "the first is with the model")
    second = post_json(url, {"n": 2}).json()
    gate.set()

    assert first["status"] == "accepted"
    assert (second["status"], second["reason"]) == ("skipped", "concurrency_limit")
    assert "concurrency" in site.ask("automations", "why", "brisk")[0]["rule"]


def test_ten_run_at_once_over_all(site: Site, model: Model) -> None:
    gate = model.hang()
    for number in range(4):
        url = site.hook(f"many-{number}")
        for index in range(3):
            assert post_json(url, {"n": index}).status == 202

    eventually(lambda: model.inflight == 10, "ten are with the model")
    always(lambda: model.inflight == 10, "no eleventh", seconds=0.5)
    gate.set()
    eventually(lambda: len(model.chats) == 12, "the last two start")


def test_a_run_that_hangs_is_timed_out_and_frees_its_slot(site: Site, model: Model) -> None:
    model.hang()
    started = time.monotonic()
    run_id = post_json(site.hook("slow"), {}).json()["run_id"]
    run = site.finished(run_id, seconds=15)
    took = time.monotonic() - started
    model.brain = lambda _: Say("quick now")
    after = site.ask("automations", "trigger", "slow", "--wait")

    assert (run["status"], run["reason"]) == ("failed", "timed_out")
    assert took < 1 + 5 + 2
    assert run["duration_seconds"] <= 6
    assert after["status"] == "completed"


def test_a_running_and_a_waiting_run_can_be_cancelled(site: Site, model: Model) -> None:
    model.hang()
    running = post_json(site.hook("long"), {"n": 1}).json()["run_id"]
    waiting = post_json(site.hook("long"), {"n": 2}).json()["run_id"]
    eventually(lambda: model.inflight == 1, "the first is with the model")

    assert site.ops("runs", "cancel", waiting).code == 0
    assert site.ops("runs", "cancel", running).code == 0
    assert site.finished(waiting)["status"] == "cancelled"
    assert site.finished(running)["status"] == "cancelled"
    assert site.ops("runs", "cancel", running).code == 1


def test_pausing_cancels_what_waits_and_lets_what_runs_finish(site: Site, model: Model) -> None:
    gate = model.hang()
    running = post_json(site.hook("pausable"), {"n": 1}).json()["run_id"]
    waiting = post_json(site.hook("pausable"), {"n": 2}).json()["run_id"]
    eventually(lambda: model.inflight == 1, "the first is with the model")
    assert site.ops("automations", "pause", "pausable").code == 0
    gate.set()

    assert site.finished(waiting)["status"] == "cancelled"
    assert site.finished(running)["status"] == "completed"


def test_a_model_that_never_stops_fails_at_its_turns(site: Site, model: Model) -> None:

    def never(chat: Chat) -> Turn:
        return use("request", connection="self", method="GET", endpoint="/runs")

    model.brain = never
    run = site.ops("automations", "trigger", "chatty", "--wait", "--json")

    assert run.code == 1
    assert (run.json()["status"], run.json()["reason"]) == ("failed", "max_turns")
    assert len(model.chats) == 3


def test_starts_per_hour_are_counted(site: Site, model: Model) -> None:
    url = site.hook("rare")
    answers = [post_json(url, {"n": number}).json() for number in range(3)]

    assert [each["status"] for each in answers] == ["accepted", "accepted", "skipped"]
    assert answers[2]["reason"] == "rate_limit"
    for answer in answers[:2]:
        site.finished(answer["run_id"])


def test_a_model_error_that_passes_is_retried_inside_the_run(site: Site, model: Model) -> None:
    moods: list[Turn] = [Refuse(503), Refuse(429), Say("back again")]
    model.brain = lambda _: moods.pop(0)
    run = site.ask("automations", "trigger", "steady", "--wait")

    assert run["status"] == "completed"
    assert run["result"]["text"] == "back again"
    assert run["attempt"] == 1


def test_a_failed_run_is_tried_again_by_its_rule(site: Site, model: Model) -> None:
    model.brain = lambda _: Refuse(500) if len(model.chats) <= FIRST_TRY else Say("second try")
    run = site.ask("automations", "trigger", "stubborn", "--wait")

    assert (run["status"], run["attempt"]) == ("completed", 2)
