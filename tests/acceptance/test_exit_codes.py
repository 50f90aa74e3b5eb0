"""Exit codes and errors: what scripts around the command line rely on."""

import pytest
import shapes
from files import Workspace
from outside import Site
from stub_model import Chat, Model, Refuse, Say, Turn
from waiting import eventually


def _brain(chat: Chat) -> Turn:
    return Refuse(400, "bad request") if "fail" in chat.prompt else Say("fine")


@pytest.fixture(scope="module")
def ready(shared_site: Site, shared_model: Model) -> Site:
    shared_model.brain = _brain
    files = Workspace(shared_site.workspace)
    files.settings(shared_model.settings())
    files.secrets(MODEL_KEY="key")
    files.automation("works")
    files.automation("breaks", prompt="Please fail.")
    files.automation("wrong", schedule="61 * * * *")
    files.automation("stopped", status="paused", schedule="0 9 * * *")
    shared_site.up()
    return shared_site


def test_zero_when_the_run_completes(ready: Site) -> None:
    assert ready.ops("automations", "trigger", "works").code == 0
    assert ready.ops("automations", "trigger", "works", "--wait", "--json").code == 0


def test_one_when_the_run_fails(ready: Site) -> None:
    told = ready.ops("automations", "trigger", "breaks")
    waited = ready.ops("automations", "trigger", "breaks", "--wait", "--json")

    assert told.code == 1
    assert "failed" in told.out + told.err
    assert waited.code == 1
    assert (waited.json()["status"], waited.json()["reason"]) == ("failed", "error")
    assert waited.json()["error"]


@pytest.mark.parametrize(
    "words",
    [
        ("automations", "trigger"),
        ("automations", "trigger", "works", "--payload", "{not json"),
        ("automations", "list", "--colour"),
        ("automations", "history", "works", "--limit", "many"),
        ("automations", "pause"),
        ("automations", "explode", "works"),
    ],
)
def test_two_for_a_command_that_cannot_be_understood(ready: Site, words: tuple[str, ...]) -> None:
    done = ready.ops(*words)

    assert done.code == 2, done
    assert done.err.strip()
    assert "Traceback" not in done.err
    document = ready.ops(*words, "--json")
    assert document.code == 2
    assert document.json()["error"].keys() == shapes.ERROR
    assert document.json()["error"]["code"] == "usage"


def test_three_for_an_automation_that_is_invalid(ready: Site) -> None:
    done = ready.ops("automations", "trigger", "wrong")

    assert done.code == 3
    assert "wrong" in done.err


@pytest.mark.parametrize(
    "words",
    [
        ("automations", "show", "nobody"),
        ("automations", "trigger", "nobody"),
        ("automations", "pause", "nobody"),
        ("automations", "history", "nobody"),
        ("automations", "why", "nobody"),
        ("automations", "rotate-url", "nobody"),
        ("runs", "show", "run_0000000000000000"),
        ("runs", "logs", "run_0000000000000000"),
        ("runs", "cancel", "run_0000000000000000"),
        ("events", "show", "evt_0000000000000000"),
        ("deliveries", "show", "dlv_0000000000000000"),
        ("deliveries", "retry", "dlv_0000000000000000"),
        ("connections", "tools", "nobody"),
        ("connections", "test", "nobody"),
    ],
)
def test_four_for_what_does_not_exist(ready: Site, words: tuple[str, ...]) -> None:
    done = ready.ops(*words)

    assert done.code == 4, done


def test_five_without_a_daemon(site: Site) -> None:
    Workspace(site.workspace).automation("alone")
    done = site.ops("automations", "list", "--json")

    assert done.code == 5
    assert done.json()["error"]["kind"] == "unavailable"
    assert "amodal-rt up" in done.err


def test_four_without_a_workspace(site: Site) -> None:
    done = site.ops("automations", "list", cwd=site.empty)

    assert done.code == 4
    assert str(site.empty) in done.err


def test_errors_are_one_line_and_a_hint_and_with_json_a_document(ready: Site) -> None:
    told = ready.ops("automations", "show", "work")
    document = ready.ops("automations", "show", "work", "--json")

    assert told.out == ""
    assert "work" in told.err.splitlines()[0]
    error = document.json()["error"]
    assert document.json().keys() == {"error"}
    assert error.keys() == shapes.ERROR
    assert error["kind"] == "not_found"
    assert error["message"] in document.err


def test_resume_of_what_the_file_pauses_fails_and_names_the_line(ready: Site) -> None:
    done = ready.ops("automations", "resume", "stopped")

    assert done.code == 1
    assert "automations/stopped.json:3" in done.err
    assert ready.automation("stopped")["status"] == "paused"


def test_trigger_works_on_a_paused_automation(ready: Site) -> None:
    assert ready.ops("automations", "trigger", "stopped").code == 0


def test_activate_changes_one_word_of_the_file(ready: Site) -> None:
    path = ready.workspace / "automations" / "stopped.json"
    before = path.read_bytes()
    done = ready.ops("automations", "activate", "stopped")

    assert done.code == 0
    assert path.read_bytes() == before.replace(b'"paused"', b'"active"')
    eventually(lambda: ready.automation("stopped")["status"] == "active", "active again")
