"""The daemon as a process: alone in its folder, private, ending well."""

import signal
import socket
import stat
from pathlib import Path

import pytest
from files import Workspace
from outside import Site, free_port, post_json, send_quietly
from stub_model import Model
from waiting import eventually


@pytest.fixture
def files(site: Site, model: Model) -> Workspace:
    made = Workspace(site.workspace)
    made.settings(model.settings())
    made.secrets(MODEL_KEY="key")
    made.automation("one", trigger="webhook")
    return made


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_second_daemon_of_the_same_workspace_is_refused(site: Site, files: Workspace) -> None:
    daemon = site.up()
    second = site.run(
        "amodal-rt", "up", "--workspace", str(site.workspace), "--listen", "127.0.0.1:0"
    )

    assert second.code not in {0, 2}
    assert str(daemon.pid) in second.err
    assert post_json(site.hook("one"), {}).status == 202


def test_a_killed_daemon_does_not_stand_in_the_way_of_the_next(
    site: Site, files: Workspace
) -> None:
    daemon = site.up()
    daemon.kill()
    assert site.ops("automations", "list").code == 5
    daemon.start()

    assert site.ops("automations", "list").code == 0


def test_state_is_private_and_never_in_git(site: Site, files: Workspace) -> None:
    site.up()
    state = site.workspace / ".amodal-rt"
    sockets = [each for each in state.iterdir() if stat.S_ISSOCK(each.stat().st_mode)]

    assert _mode(state) == 0o700
    assert (state / ".gitignore").read_text().strip() == "*"
    assert [_mode(each) for each in sockets] == [0o600]
    for path in state.rglob("*"):
        assert _mode(path) & 0o077 == 0 or _mode(path.parent) == 0o700


def test_sigterm_lets_a_running_run_finish(site: Site, model: Model, files: Workspace) -> None:
    daemon = site.up()
    gate = model.hang()
    url = site.hook("one")
    run_id = post_json(url, {}).json()["run_id"]
    eventually(lambda: model.inflight == 1, "it runs")
    daemon.terminate()
    eventually(lambda: send_quietly(f"{daemon.url}/readyz") != 200, "it takes no new work")
    gate.set()

    assert daemon.wait() == 0
    assert not daemon.record.exists()
    daemon.start()
    run = site.ask("runs", "show", run_id)
    assert (run["status"], run["result"]["text"]) == ("completed", "released")
    assert run["attempt"] == 1


def test_a_second_signal_stops_at_once(site: Site, model: Model, files: Workspace) -> None:
    daemon = site.up()
    model.hang()
    post_json(site.hook("one"), {})
    eventually(lambda: model.inflight == 1, "it runs")
    daemon.terminate()
    eventually(lambda: send_quietly(f"{daemon.url}/readyz") != 200, "it stops")
    daemon.terminate()

    assert daemon.wait(10) in {0, 1, 128 + signal.SIGTERM, -signal.SIGTERM}


def test_an_idle_daemon_ends_at_once(site: Site, files: Workspace) -> None:
    assert site.up().stop() == 0


def test_a_taken_port_is_said_in_words(site: Site, files: Workspace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = site.run(
            "amodal-rt", "up", "--workspace", str(site.workspace), "--listen", f"127.0.0.1:{port}"
        )

    assert done.code not in {0, 2}
    assert str(port) in done.err
    assert "Traceback" not in done.err


def test_the_only_running_daemon_is_found_from_anywhere(site: Site, files: Workspace) -> None:
    site.up()
    done = site.ops("automations", "list", "--json", cwd=site.empty)

    assert [row["name"] for row in done.json()] == ["one"]


def test_the_workspace_is_found_from_a_folder_inside_it_and_by_name(
    site: Site, files: Workspace
) -> None:
    site.up()
    inside = site.ops("automations", "list", cwd=site.workspace / "automations")
    flag = site.ops("automations", "list", "--workspace", str(site.workspace), cwd=site.empty)
    variable = site.run(
        "ops", "automations", "list", cwd=site.empty, AMODAL_RT_WORKSPACE=str(site.workspace)
    )

    assert [inside.code, flag.code, variable.code] == [0, 0, 0]


def test_a_workspace_far_down_has_its_socket_elsewhere(site: Site, model: Model) -> None:
    """A socket's path may have 107 bytes; folders may have more."""
    deep = site.root / ("d" * 60) / ("e" * 60)
    files = Workspace(deep)
    files.automation("far", trigger="webhook")
    site.up(workspace=deep)
    done = site.ops("automations", "list", "--workspace", str(deep), "--json")

    assert [row["name"] for row in done.json()] == ["far"]


def test_the_state_folder_may_be_elsewhere(site: Site, files: Workspace) -> None:
    state = site.root / "state"
    site.variables["AMODAL_RT_STATE_DIR"] = str(state)
    site.up(AMODAL_RT_STATE_DIR=str(state))

    assert site.ops("automations", "list").code == 0
    assert not (site.workspace / ".amodal-rt").exists()
    assert _mode(state) == 0o700


def test_the_address_comes_from_flag_environment_or_settings(
    site: Site, model: Model, files: Workspace
) -> None:
    port = free_port()
    files.settings(model.settings(listen=f"127.0.0.1:{port}", publicUrl="https://hooks.acme.test"))
    daemon = site.up()
    assert daemon.url != f"http://127.0.0.1:{port}"
    assert site.hook("one").startswith("https://hooks.acme.test/webhooks/auto_")


@pytest.mark.parametrize(
    "words",
    [
        ("amodal-rt", "version"),
        ("amodal-rt", "schema"),
        ("amodal-rt", "validate", "--json"),
        ("amodal-rt", "convert", "automations/note.md"),
        ("amodal-rt", "init", "../another"),
        ("ops", "automations", "next", "one", "--json"),
        ("amodal-rt", "--help"),
        ("ops", "--help"),
    ],
    ids=" ".join,
)
def test_what_needs_no_daemon_starts_none(site: Site, words: tuple[str, ...]) -> None:
    files = Workspace(site.workspace)
    files.automation("one", schedule="0 9 * * *")
    files.write("automations/note.md", "---\ntitle: Note\n---\nWork.\n")
    done = site.run(*words)

    assert done.code == 0, done
    assert done.out.strip()
    assert not (site.workspace / ".amodal-rt").exists()
