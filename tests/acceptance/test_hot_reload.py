"""Files change under a running daemon: the change is live, and nothing else is harmed."""

import json
import shutil
from typing import Any

import pytest
from files import Workspace
from outside import Daemon, Site, post_json
from stub_model import Model
from waiting import always, eventually


@pytest.fixture(scope="module")
def daemon(shared_site: Site, shared_model: Model) -> Daemon:
    made = Workspace(shared_site.workspace)
    made.settings(shared_model.settings())
    made.secrets(MODEL_KEY="key")
    made.automation("steady", trigger="webhook", prompt="Steady work.")
    return shared_site.up()


@pytest.fixture
def model(shared_model: Model) -> Model:
    shared_model.forget()
    return shared_model


@pytest.fixture
def site(shared_site: Site, daemon: Daemon, model: Model) -> Site:
    return shared_site


@pytest.fixture
def files(site: Site) -> Workspace:
    return Workspace(site.workspace)


def _row(site: Site, name: str, **wanted: Any) -> dict[str, Any]:
    """The automation's row, once it says what is wanted."""

    def look() -> dict[str, Any] | None:
        row = site.automation(name)
        return row if all(row.get(key) == value for key, value in wanted.items()) else None

    return eventually(look, f"{name} says {wanted}", seconds=10)


def _names(site: Site) -> set[str]:
    return {row["name"] for row in site.ask("automations", "list")}


def _still_works(site: Site) -> None:
    run_id = post_json(site.hook("steady"), {}).json()["run_id"]
    assert site.finished(run_id)["status"] == "completed"


def test_a_new_an_edited_and_a_deleted_file(
    site: Site, model: Model, files: Workspace, daemon: Daemon
) -> None:
    path = files.automation("fresh", prompt="First words.")
    _row(site, "fresh", status="active")
    site.ask("automations", "trigger", "fresh", "--wait")
    first = site.ask("automations", "show", "fresh")["definition"]
    files.automation("fresh", prompt="Second words.", schedule="0 9 * * *")
    _row(site, "fresh", schedule="0 9 * * *")
    run = site.ask("automations", "trigger", "fresh", "--wait")
    second = site.ask("automations", "show", "fresh")["definition"]
    path.unlink()
    _row(site, "fresh", status="invalid", stale=True)
    eventually(lambda: "fresh" not in _names(site), "it is gone", seconds=60)

    assert "First words." in model.chats[0].prompt
    assert "Second words." in model.chats[1].prompt
    assert first != second == run["definition"]
    assert site.ops("automations", "trigger", "fresh").code == 4
    assert site.ask("runs", "show", run["run_id"])["status"] == "completed"
    _still_works(site)


def test_an_atomic_replace_and_a_rename(site: Site, files: Workspace, daemon: Daemon) -> None:
    path = files.automation("draft-one", description="old")
    _row(site, "draft-one", title="Draft One")
    fresh = path.with_name(".draft-one.json.swp")
    fresh.write_text(json.dumps({"title": "Replaced", "prompt": "New."}))
    fresh.replace(path)
    _row(site, "draft-one", title="Replaced")
    path.rename(path.with_name("draft-two.json"))

    eventually(lambda: "draft-two" in _names(site), "the new name is there")
    eventually(lambda: "draft-one" not in _names(site), "the old one is gone")
    _still_works(site)


def test_a_broken_file_keeps_its_last_good_version_even_after_a_restart(
    site: Site, model: Model, files: Workspace, daemon: Daemon
) -> None:
    path = files.automation("fragile", trigger="webhook", prompt="Good words.")
    _row(site, "fragile", status="active")
    url = site.hook("fragile")
    path.write_text('{"title": "Fragile", "prompt": "Bad words.", "shedule": "* * * * *"}')
    row = _row(site, "fragile", status="invalid")
    shown = site.ask("automations", "show", "fragile")
    run = site.finished(post_json(url, {}).json()["run_id"])
    daemon.kill()
    daemon.start()
    after = site.automation("fragile")
    again = site.finished(post_json(url, {}).json()["run_id"])
    path.write_text('{"title": "Mended", "trigger": "webhook", "prompt": "Better words."}')
    _row(site, "fragile", status="active", stale=False, title="Mended")

    assert row["stale"] is True
    assert "shedule" in row["reason"]
    problem = next(each for each in shown["problems"] if each["severity"] == "error")
    assert (problem["file"], problem["line"]) == ("automations/fragile.json", 1)
    assert "schedule" in problem["hint"]
    assert run["status"] == again["status"] == "completed"
    assert (after["status"], after["stale"]) == ("invalid", True)
    assert "Good words." in model.chats[0].prompt
    assert "Good words." in model.chats[1].prompt
    _still_works(site)


def test_a_file_written_slowly_is_live_when_it_is_whole(
    site: Site, files: Workspace, daemon: Daemon
) -> None:
    text = json.dumps({"title": "Slow", "prompt": "Line after line.", "schedule": "0 9 * * *"})
    path = site.workspace / "automations" / "slow.json"
    with path.open("w") as file:
        file.write(text[: len(text) // 2])
        file.flush()
        row = _row(site, "slow", status="invalid")
        file.write(text[len(text) // 2 :])
    _row(site, "slow", status="active", schedule="0 9 * * *")

    assert row["next_run_at"] is None
    _still_works(site)


def test_two_files_of_one_stem_are_both_invalid_until_one_goes(
    site: Site, files: Workspace, daemon: Daemon
) -> None:
    files.automation("twin", prompt="The JSON one.")
    _row(site, "twin", status="active")
    other = files.write("automations/twin.md", "---\ntitle: Other\n---\nThe Markdown one.\n")
    row = _row(site, "twin", status="invalid")
    other.unlink()
    _row(site, "twin", status="active", title="Twin")

    assert "twin" in row["reason"]
    _still_works(site)


def test_the_folder_may_go_and_come_back(site: Site, files: Workspace, daemon: Daemon) -> None:
    folder = site.workspace / "automations"
    away = site.root / "away"
    folder.rename(away)
    _row(site, "steady", status="invalid", stale=True)
    _still_works(site)
    shutil.copytree(away, folder)
    _row(site, "steady", status="active", stale=False)
    files.automation("later", prompt="After the return.")
    _row(site, "later", status="active")

    _still_works(site)


def test_a_swapped_link_as_mounted_volumes_do_it(
    site: Site, files: Workspace, daemon: Daemon
) -> None:
    """A ConfigMap volume: `automations` -> `..data/automations`, and `..data` is replaced."""
    real = site.workspace / "automations"
    for number in (1, 2):
        version = site.workspace / f"..version-{number}" / "automations"
        shutil.copytree(real, version)
        keys = {"title": f"Version {number}", "prompt": "Work."}
        (version / "mounted.json").write_text(json.dumps(keys))
    shutil.rmtree(real)
    (site.workspace / "..data").symlink_to("..version-1")
    real.symlink_to("..data/automations")
    _row(site, "mounted", title="Version 1")
    fresh = site.workspace / "..data_tmp"
    fresh.symlink_to("..version-2")
    fresh.replace(site.workspace / "..data")

    _row(site, "mounted", title="Version 2")
    _still_works(site)
    real.unlink()
    shutil.copytree(site.workspace / "..version-2" / "automations", real)
    _row(site, "steady", status="active")


def test_a_variable_that_is_set_later_brings_an_automation_to_life(
    site: Site, files: Workspace, daemon: Daemon
) -> None:
    auth = {"type": "hmac-sha256", "secret": "env:LATE_SECRET"}
    files.automation("waiting", trigger="webhook", webhookAuth=auth)
    row = _row(site, "waiting", status="invalid")
    files.secrets(MODEL_KEY="key", LATE_SECRET="now-it-is-there-too")
    _row(site, "waiting", status="active")
    files.secrets(MODEL_KEY="key")
    gone = _row(site, "waiting", status="invalid")

    assert "LATE_SECRET" in row["reason"]
    assert "LATE_SECRET" in gone["reason"]
    assert post_json(site.hook("waiting"), {}).status == 503
    _still_works(site)


def test_a_running_run_finishes_on_the_version_it_started_with(
    site: Site, model: Model, files: Workspace, daemon: Daemon
) -> None:
    gate = model.hang()
    files.automation("long", trigger="webhook", prompt="Old words.")
    before = _row(site, "long", status="active")
    assert before["title"] == "Long"
    definition = site.ask("automations", "show", "long")["definition"]
    run_id = post_json(site.hook("long"), {}).json()["run_id"]
    eventually(lambda: model.inflight == 1, "it runs")
    files.automation("long", title="Longer", trigger="webhook", prompt="New words.")
    _row(site, "long", title="Longer")
    gate.set()
    run = site.finished(run_id)

    assert (run["status"], run["definition"]) == ("completed", definition)
    assert "Old words." in model.chats[0].prompt


def test_settings_agents_and_connections_are_read_again(
    site: Site, model: Model, files: Workspace, daemon: Daemon
) -> None:
    files.write("agents/main.md", "Answer in one word.\n")
    files.connection("self", {"protocol": "runtime"})

    def told() -> bool:
        site.ask("automations", "trigger", "steady", "--wait")
        chat = model.chats[-1]
        return "Answer in one word." in chat.everything and "request" in chat.tools

    eventually(told, "the next run has the new agent and connection")
    files.write("amodal.json", "{broken")
    always(lambda: site.automation("steady")["status"] == "active", "unharmed", seconds=1)
    _still_works(site)
    files.settings(model.settings())
