"""A daemon as a process: one at a time, stopped kindly, killed hard, back again."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from daemon_child import Child, automation, daemon, eventually, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    automation(folder, "digest", schedule="0 9 * * 1-5")
    automation(folder, "hook", trigger="webhook")
    return folder


def test_every_automation_is_announced_with_what_comes_next(root: Path) -> None:
    write(root, "automations/broken.json", '{"title": "x"')
    with daemon(root) as child:
        url = child.client.get("/v1/automations/hook")["webhook_url"]
        said = child.greeted()

    assert 'no model configured: "rehearsal" serves' in said
    assert " digest  cron 0 9 * * 1-5 UTC  next " in said
    assert " hook    webhook " in said
    assert url in said
    assert "local only, unsigned" in said
    assert "error: automations/broken.json:1:" in said


def test_what_strangers_wrote_cannot_command_the_terminal(root: Path) -> None:
    write(root, "automations/evil.json", {"title": "x", "\x1b[2Jkey": 1, "prompt": "x"})
    with daemon(root) as child:
        said = child.greeted()

    assert "automations/evil.json" in said
    assert "\x1b" not in said


def test_a_second_daemon_is_refused_and_harms_nothing(root: Path) -> None:
    with daemon(root) as child:
        second = Child(root)
        status = second.process.wait(20)

        assert status == 1
        assert f"daemon_running: another daemon (pid {child.process.pid})" in child.output
        assert child.client.get("/v1/status")["pid"] == child.process.pid


def test_after_a_kill_the_next_one_starts_over_what_was_left(root: Path) -> None:
    with daemon(root) as first:
        key = first.client.get("/v1/automations/hook")["webhook_url"].rsplit("/", 1)[1]
        accepted = first.post(f"{first.url}/webhooks/{key}", b'{"n": 1}')[1]
        first.kill()
    assert (root / ".amodal-rt/control.sock").exists()

    with daemon(root) as second:
        again = second.client.get("/v1/automations/hook")["webhook_url"].rsplit("/", 1)[1]
        run = second.finished(accepted["run_id"])

    assert again == key
    assert run["status"] in {"completed", "failed"}


def test_an_orderly_stop_leaves_nothing_but_the_ledger(root: Path) -> None:
    with daemon(root) as child:
        assert child.stop() == 0

    left = sorted(path.name for path in (root / ".amodal-rt").iterdir())
    assert "control.sock" not in left
    assert "daemon.json" not in left
    assert ".gitignore" in left
    assert not list((root.parent / "amodal-rt").iterdir())


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_both_signals_stop_it(root: Path, name: str) -> None:
    with daemon(root) as child:
        child.process.send(signal.Signals[name])

        assert child.process.wait(20) == 0


def test_state_is_private(root: Path) -> None:
    with daemon(root) as child:
        state = child.state
        modes = {path.name: path.stat().st_mode & 0o777 for path in state.iterdir()}

        assert state.stat().st_mode & 0o777 == 0o700
        assert modes["control.sock"] == 0o600
        assert modes["daemon.json"] == 0o600
        assert (state / ".gitignore").read_text() == "*\n"


def test_a_state_folder_too_deep_for_a_socket_is_served_from_the_runtime_folder(
    root: Path, tmp_path: Path
) -> None:
    state = tmp_path / ("d" * 120) / "state"
    with daemon(root, AMODAL_RT_STATE_DIR=str(state)) as child:
        found = child.client.get("/v1/status")

        assert found["state_dir"] == str(state)
        assert child.client.path.parent == tmp_path / "amodal-rt"
        assert child.client.path.stat().st_mode & 0o777 == 0o600


def test_a_port_that_is_taken_is_named_and_nothing_stays(root: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        child = Child(root, listen=listen)

        assert child.process.wait(20) == 1
        assert "address_in_use" in child.output
        assert listen in child.output
    assert not (root / ".amodal-rt/control.sock").exists()


def test_the_environment_says_where_to_listen_when_no_flag_does(root: Path) -> None:
    write(root, "amodal.json", {"listen": "127.0.0.1:1"})
    child = Child(root, listen="", AMODAL_RT_LISTEN="127.0.0.1:0")
    try:
        child.ready()
        assert child.client.get("/v1/status")["url"].startswith("http://127.0.0.1:")
    finally:
        child.kill()


def test_the_workspace_says_where_to_listen_in_the_end(root: Path) -> None:
    write(root, "amodal.json", {"listen": "127.0.0.1:0", "publicUrl": "https://hooks.example"})
    child = Child(root, listen="")
    try:
        child.ready()
        hook = child.client.get("/v1/automations/hook")
        assert hook["webhook_url"].startswith("https://hooks.example/webhooks/auto_")
        assert hook["local_only"] is False
    finally:
        child.kill()


def test_a_given_webhook_key_makes_the_same_urls_everywhere(root: Path, tmp_path: Path) -> None:
    ids = []
    for name in ("one", "two"):
        state = str(tmp_path / name)
        with daemon(root, AMODAL_RT_WEBHOOK_KEY="k" * 32, AMODAL_RT_STATE_DIR=state) as child:
            ids.append(child.client.get("/v1/automations/hook")["webhook_url"].rsplit("/", 1)[1])

    assert ids[0] == ids[1]


def test_systemd_is_told_when_it_is_ready_and_when_it_stops(root: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.settimeout(20)
        variables = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        with daemon(root, **variables) as child:
            said = [supervisor.recv(200) for _ in range(3)]
            child.stop()
        while (last := supervisor.recv(200)) == b"WATCHDOG=1":
            pass

    assert sorted({message.split(b"\n")[0] for message in said}) == [b"READY=1", b"WATCHDOG=1"]
    assert last.startswith(b"STOPPING=1")


def test_the_only_running_daemon_of_a_user_is_found(root: Path) -> None:
    script = (
        "from amodal_rt.client import running_daemons\n"
        "print(*(each.workspace for each in running_daemons()))"
    )
    with daemon(root):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={"XDG_RUNTIME_DIR": str(root.parent), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=True,
        )

    assert done.stdout.strip() == str(root)


def test_logs_are_lines_of_json_when_asked(root: Path) -> None:
    with daemon(root, AMODAL_RT_LOG="json") as child:
        child.stop()
        lines = [line for line in child.output.splitlines() if line.startswith("{")]

    events = [json.loads(line)["event"] for line in lines]
    assert "daemon.ready" in events
    assert "daemon.stopped" in events


def test_a_saved_file_is_served_without_a_restart(root: Path) -> None:
    with daemon(root) as child:
        automation(root, "fresh", schedule={"every": "15m"})

        def fresh() -> object:
            rows = child.client.get("/v1/automations")
            return next((row for row in rows if row["name"] == "fresh"), None)

        assert eventually(fresh, 5)["schedule"] == "every 15m"
