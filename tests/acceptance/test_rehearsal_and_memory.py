"""Rehearsals leave no trace in memory or at strangers; real runs know the one before."""

import json
from typing import Any

import pytest
from files import Workspace
from outside import Site, post_json
from stub_http import Stub
from stub_model import Chat, Model, Say, Turn, use
from waiting import eventually


@pytest.fixture(scope="module")
def running(shared_site: Site, shared_model: Model) -> Site:
    files = Workspace(shared_site.workspace)
    files.settings(shared_model.settings())
    files.secrets(MODEL_KEY="key")
    shared_site.up()
    return shared_site


@pytest.fixture
def model(shared_model: Model) -> Model:
    shared_model.forget()
    return shared_model


@pytest.fixture
def live(running: Site, model: Model) -> Site:
    return running


@pytest.fixture
def shared_files(live: Site) -> Workspace:
    return Workspace(live.workspace)


def test_a_run_is_told_what_the_last_one_said(
    live: Site, model: Model, shared_files: Workspace
) -> None:
    shared_files.automation("diary")
    live.live("diary")
    model.brain = lambda chat: Say(f"remembered word {len(model.chats)}")
    live.ask("automations", "trigger", "diary", "--wait")
    live.ask("automations", "trigger", "diary", "--rehearse", "--wait")
    live.ask("automations", "trigger", "diary", "--wait")
    first, second = model.chats

    assert "lastRunSummary" not in first.everything
    assert "remembered word" not in first.everything
    assert "lastRunSummary" in second.everything
    assert "lastRunTimestamp" in second.everything
    assert "remembered word 1" in second.everything
    assert "[rehearsal]" not in second.everything


def test_a_rehearsal_asks_no_model_and_writes_nothing(
    live: Site, model: Model, shared_files: Workspace, receiver: Stub
) -> None:
    target = {"type": "webhook", "url": f"{receiver.url}/in"}
    far = {"type": "webhook", "url": "https://hooks.slack.test/services/x"}
    shared_files.automation("dry", writeEnabled=True, delivery={"targets": [target, far]})
    live.live("dry")
    run = live.ask("automations", "trigger", "dry", "--rehearse", "--wait")
    told = eventually(lambda: receiver.requests, "loopback is told")[0].json()

    assert (run["status"], run["model"]) == ("completed", "rehearsal")
    assert model.chats == []
    assert told["model"] == "rehearsal"
    assert told["text"].startswith("[rehearsal]")
    statuses = {each["status"] for each in live.ask("runs", "show", run["run_id"])["deliveries"]}
    assert "suppressed" in statuses


def test_a_configured_model_without_its_key_is_never_replaced(
    site: Site, model: Model, files: Workspace
) -> None:
    files.write(".env", "")
    files.automation("keyless")
    site.up()
    row = site.automation("keyless")

    assert row["status"] == "invalid"
    assert "MODEL_KEY" in row["reason"]
    assert site.ops("automations", "trigger", "keyless").code == 3
    rehearsed = site.ops("automations", "trigger", "keyless", "--rehearse", "--wait", "--json")
    assert rehearsed.code in {0, 3}


def test_fallback_serves_when_the_first_model_is_down(
    site: Site, model: Model, files: Workspace
) -> None:
    files.settings(
        model.settings(
            model="smart", models={"smart": ["down:gone", "stub:scripted"]},
            providers={
                **model.settings()["providers"],
                "down": {"type": "openai-compatible", "baseUrl": "http://127.0.0.1:9/v1"},
            },
        )
    )  # fmt: skip
    files.automation("patient")
    site.up()
    run = site.ask("automations", "trigger", "patient", "--wait")

    assert (run["status"], run["model"]) == ("completed", "stub:scripted")


def test_data_is_the_answer_parsed_and_a_template_makes_the_message(
    live: Site, model: Model, shared_files: Workspace, receiver: Stub
) -> None:
    answer = {"open": 3, "names": ["a", "b"], "automation": "a key that cannot win"}
    model.brain = lambda _: Say(json.dumps(answer))
    template = "{{ automation }}: {{ open }} open of {{ names | join: '+' }}{{ nowhere }}"
    target = {"type": "webhook", "url": f"{receiver.url}/json"}
    slack = {"type": "webhook", "url": f"{receiver.url}/slack", "format": "slack", "label": "#ops"}
    shared_files.automation("count", delivery={"targets": [target, slack], "template": template})
    live.live("count")
    run = live.ask("automations", "trigger", "count", "--wait")
    eventually(lambda: len(receiver.requests) == 2, "both are told")
    (plain,) = receiver.sent("POST", "/json")
    (short,) = receiver.sent("POST", "/slack")

    assert run["result"]["payload"] == answer
    assert plain.json()["data"] == answer
    assert plain.json()["message"] == plain.json()["text"] == "count: 3 open of a+b"
    assert short.json() == {"text": "count: 3 open of a+b"}
    history = eventually(
        lambda: "#ops" in (text := live.ops("automations", "history", "count").out) and text,
        "history names the label",
    )
    assert receiver.url not in str(history).replace(f"{receiver.url}/json", "")


def test_a_long_result_is_cut_in_the_message_and_kept_in_the_run(
    live: Site, model: Model, shared_files: Workspace, receiver: Stub
) -> None:
    model.brain = lambda _: Say("é" * 20_000 + "the end")
    shared_files.automation(
        "long", delivery={"targets": [{"type": "webhook", "url": receiver.url}]}
    )
    live.live("long")
    run = live.ask("automations", "trigger", "long", "--wait")
    told = eventually(lambda: receiver.requests, "it is told")[0].json()

    assert told["truncated"] is True
    assert len(told["result"].encode()) <= 16_384
    assert run["result"]["text"].endswith("the end")


def test_a_delivery_that_fails_for_good_is_listed_and_can_be_retried(
    live: Site, model: Model, shared_files: Workspace
) -> None:
    from stub_http import Reply

    answers = [410, 200]
    with Stub(lambda _: Reply(answers.pop(0))) as fickle:
        shared_files.automation(
            "told", delivery={"targets": [{"type": "webhook", "url": fickle.url}]}
        )
        live.live("told")
        run = live.ask("automations", "trigger", "told", "--wait")

        def listed(status: str) -> list[dict[str, Any]]:
            rows = live.ask("deliveries", "list")
            return [
                each for each in rows if (each["automation"], each["status"]) == ("told", status)
            ]

        (dead,) = eventually(lambda: listed("dead"), "it is given up")
        assert live.ops("deliveries", "retry", dead["delivery_id"]).code == 0
        (delivered,) = eventually(lambda: listed("delivered"), "it has arrived")

    assert run["status"] == "completed"
    assert dead["last_error"]
    assert delivered["delivery_id"] == dead["delivery_id"]
    assert live.ops("deliveries", "retry", dead["delivery_id"]).code == 1


def test_redirects_and_addresses_that_nobody_allowed_are_not_followed(
    site: Site, model: Model, files: Workspace, receiver: Stub
) -> None:
    files.settings({**model.settings(), "egress": {"allowPrivate": []}})
    files.connection("local", {"protocol": "rest", "baseUrl": receiver.url})
    files.automation("curious")

    def look(chat: Chat) -> Turn:
        if chat.turn == 0:
            return use("request", connection="local", method="GET", endpoint="/")
        return Say(chat.results[-1])

    model.brain = look
    site.up()
    run = site.ask("automations", "trigger", "curious", "--wait")

    assert receiver.requests == []
    assert "allowPrivate" in run["result"]["text"]


def test_replay_starts_a_new_run_from_the_same_event(
    live: Site, model: Model, shared_files: Workspace
) -> None:
    shared_files.automation("again", trigger="webhook")
    live.live("again")
    model.brain = lambda chat: Say("yes" if "marker-77" in chat.prompt else "no")
    first = post_json(live.hook("again"), {"word": "marker-77"}).json()
    live.finished(first["run_id"])
    replayed = live.ask("runs", "replay", first["run_id"])
    second = live.finished(replayed["run_id"])

    assert replayed["run_id"] != first["run_id"]
    assert second["result"]["text"] == "yes"
