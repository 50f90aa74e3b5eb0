"""The control socket: every verb, its errors, and who may use it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Generator

import pytest
from daemon_child import Child, automation, daemon, eventually, write

from amodal_rt.client import Client
from amodal_rt.errors import ConflictError, InvalidError, NotFoundError


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Generator[Child, None, None]:
    """One daemon for the module: a test uses its own automations."""
    root = tmp_path_factory.mktemp("control") / "workspace"
    for name in ("manual", "paused-by-hand", "watched", "replayed", "activated"):
        automation(root, name, connections=["runtime"])
    automation(root, "hook", trigger="webhook", connections=["runtime"])
    automation(root, "hook-paused", trigger="webhook", connections=["runtime"])
    automation(root, "paused-by-file", schedule="@daily", status="paused")
    write(root, "connections/runtime/spec.json", {"protocol": "runtime"})
    write(root, "stores/notes.json", {"description": "Notes", "schema": {"type": "object"}})
    write(root, "automations/broken.json", {"title": "Broken"})
    with daemon(root) as running:
        yield running


@pytest.fixture
def client(child: Child) -> Client:
    return child.client


def test_status_describes_the_daemon(child: Child, client: Client) -> None:
    status = client.get("/v1/status")

    assert status["pid"] == child.process.pid
    assert (status["ready"], status["model"]) == (True, "rehearsal")
    assert status["workspace"] == str(child.root)
    assert set(status) >= {"version", "state_dir", "listen", "url", "started_at", "socket"}


def test_all_automations_are_listed_broken_ones_too(client: Client) -> None:
    rows = {row["name"]: row for row in client.get("/v1/automations")}

    assert rows["broken"]["status"] == "invalid"
    assert rows["manual"]["triggers"] == ["manual"]


def test_one_is_shown_with_what_a_person_asks_next(client: Client) -> None:
    row = client.get("/v1/automations/manual")

    assert row["file"] == "automations/manual.json"
    assert (row["prompt"], row["writes"], row["delivery"]) == ("Look around.", "read-only", [])
    assert row["limits"]["concurrency"] == 3


def test_a_run_is_started_followed_and_shown(child: Child, client: Client) -> None:
    run = client.post("/v1/automations/manual/trigger", {"payload": {"n": 1}})

    assert run["run_id"].startswith("run_")
    assert run["session_id"] == f"auto_{run['run_id']}"
    entries = list(client.lines(f"/v1/runs/{run['run_id']}/journal", {"follow": "1"}))
    finished = client.get(f"/v1/runs/{run['run_id']}")

    assert [entry["sequence"] for entry in entries] == list(range(1, len(entries) + 1))
    assert entries[-1]["type"] == "run.finished"
    assert (finished["status"], finished["model"]) == ("completed", "rehearsal")
    assert finished["result"]["text"].startswith("[rehearsal]")
    assert finished["requester"] == "ada"
    assert client.get("/v1/runs", {"automation": "manual"})[0]["run_id"] == run["run_id"]


def test_a_replay_is_another_run(child: Child, client: Client) -> None:
    first = child.finished(client.post("/v1/automations/replayed/trigger")["run_id"])

    again = client.post(f"/v1/runs/{first['run_id']}/replay")

    assert again["run_id"] != first["run_id"]
    assert child.finished(again["run_id"])["status"] == "completed"


def test_pause_and_resume(client: Client) -> None:
    paused = client.post("/v1/automations/paused-by-hand/pause", {"reason": "quiet please"})
    resumed = client.post("/v1/automations/paused-by-hand/resume")

    assert (paused["status"], paused["reason"]) == ("paused", "quiet please")
    assert (resumed["status"], resumed["reason"]) == ("active", None)


def test_a_file_that_pauses_is_named_with_its_line(client: Client) -> None:
    with pytest.raises(ConflictError) as caught:
        client.post("/v1/automations/paused-by-file/resume")

    assert caught.value.code == "paused_by_file"
    assert "automations/paused-by-file.json:" in caught.value.message


def test_activate_and_reset_write_the_file_and_are_live_on_return(
    child: Child, client: Client
) -> None:
    reset = client.post("/v1/automations/activated/reset")
    file = json.loads((child.root / "automations/activated.json").read_text())
    activated = client.post("/v1/automations/activated/activate")

    assert (reset["status"], file["status"], activated["status"]) == ("draft", "draft", "active")


def test_what_is_invalid_cannot_be_started(client: Client) -> None:
    with pytest.raises(InvalidError) as caught:
        client.post("/v1/automations/broken/trigger")

    assert "automations/broken.json" in caught.value.message


def test_a_misspelt_name_gets_the_nearest(client: Client) -> None:
    with pytest.raises(NotFoundError) as caught:
        client.get("/v1/automations/manul")

    assert caught.value.hint == "did you mean manual?"


def test_a_webhook_becomes_an_event_and_a_run(child: Child, client: Client) -> None:
    url = client.get("/v1/automations/hook")["webhook_url"]

    status, answer = child.post(url, b'{"alert": "disk full"}')
    run = child.finished(answer["run_id"])
    event = client.get(f"/v1/events/{answer['event_id']}")

    assert (status, answer["status"]) == (202, "accepted")
    assert (run["trigger"], run["status"]) == ("webhook", "completed")
    assert event["data"] == {"alert": "disk full"}
    assert event["runs"][0]["run_id"] == answer["run_id"]
    assert run["event_id"] == answer["event_id"]


def test_a_duplicate_names_the_first_run_and_starts_nothing(child: Child, client: Client) -> None:
    url = client.get("/v1/automations/hook")["webhook_url"]
    headers = {"webhook-id": "evt-1"}

    first = child.post(url, b'{"same": 1}', **headers)
    second = child.post(url, b'{"same": 1}', **headers)

    assert (first[0], second[0], second[1]["status"]) == (202, 200, "duplicate")
    assert second[1]["run_id"] == first[1]["run_id"]
    assert "replay" in second[1]["hint"]


def test_a_paused_webhook_is_answered_and_skipped(child: Child, client: Client) -> None:
    client.post("/v1/automations/hook-paused/pause", {"reason": "maintenance"})
    url = client.get("/v1/automations/hook-paused")["webhook_url"]

    status, answer = child.post(url, b"{}")
    (why,) = client.get("/v1/automations/hook-paused/why", {"limit": "1"})

    assert (status, answer["status"], answer["reason"]) == (202, "skipped", "paused")
    assert (why["run_id"], why["status"], why["reason"]) == (answer["run_id"], "skipped", "paused")


def test_refused_requests_are_on_record(child: Child, client: Client) -> None:
    url = client.get("/v1/automations/hook")["webhook_url"]
    status, _ = child.post(url, b"x", **{"Content-Encoding": "gzip"})

    rejected = client.get("/v1/events", {"rejected": "1"})

    assert status == 415
    assert (rejected[0]["automation"], rejected[0]["reason"]) == ("hook", "compressed")


def test_a_rotated_url_answers_and_the_old_one_is_unknown(child: Child, client: Client) -> None:
    old = client.get("/v1/automations/hook")["webhook_url"]

    new = client.post("/v1/automations/hook/rotate-url")["webhook_url"]

    assert child.post(old)[0] == 404
    assert child.post(new)[0] == 202


def test_connections_are_listed_with_their_tools(client: Client) -> None:
    (row,) = client.get("/v1/connections")
    tools = client.get("/v1/connections/runtime/tools")
    tested = client.post("/v1/connections/runtime/test")

    assert (row["name"], row["protocol"], row["state"]) == ("runtime", "runtime", "ready")
    assert {tool["intent"] for tool in tools} == {"read"}
    assert tested["ok"] is True


def test_stores_are_listed(client: Client) -> None:
    assert client.get("/v1/stores") == [{"name": "notes", "count": 0, "description": "Notes"}]
    assert client.get("/v1/stores/notes") == []


@pytest.mark.parametrize(
    ("path", "kind", "code"),
    [
        ("/v1/runs/run_none", NotFoundError, "run_not_found"),
        ("/v1/runs/run_none/journal", NotFoundError, "run_not_found"),
        ("/v1/events/evt_none", NotFoundError, "event_not_found"),
        ("/v1/deliveries/msg_none", NotFoundError, "delivery_not_found"),
        ("/v1/connections/none/tools", NotFoundError, "connection_not_found"),
        ("/v1/stores/none", NotFoundError, "store_not_found"),
        ("/v1/automations/none/why", NotFoundError, "automation_not_found"),
        ("/v1/nothing", NotFoundError, "no_such_path"),
        ("/v1/runs?limit=0", InvalidError, "bad_limit"),
        ("/v1/runs?status=done", InvalidError, "bad_status"),
        ("/v1/automations/hook/why?at=noon", InvalidError, "bad_instant"),
        ("/v1/deliveries?status=lost", InvalidError, "bad_status"),
    ],
)
def test_errors_have_a_kind_and_a_code(
    client: Client, path: str, kind: type[Exception], code: str
) -> None:
    bare, _, query = path.partition("?")
    params = dict([query.split("=")]) if query else None

    with pytest.raises(kind) as caught:
        list(client.lines(bare, params))

    assert getattr(caught.value, "code", None) == code


@pytest.mark.parametrize("body", [b"[1]", b"{", b'"text"'])
def test_a_body_that_is_no_object_is_refused(client: Client, body: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(client.path))
        head = [
            "POST /v1/automations/manual/trigger HTTP/1.1",
            "Host: x",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        raw.sendall("\r\n".join([*head, "", ""]).encode() + body)
        answer = b""
        while part := raw.recv(65_536):
            answer += part

    assert answer.startswith(b"HTTP/1.1 422")
    assert b'"bad_body"' in answer


def test_a_follower_that_goes_away_harms_nothing(child: Child, client: Client) -> None:
    run = client.post("/v1/automations/watched/trigger")
    lines = client.lines(f"/v1/runs/{run['run_id']}/journal", {"follow": "1"})
    next(lines)
    lines.close()

    assert child.finished(run["run_id"])["status"] == "completed"
    assert "control.defect" not in child.output


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_another_user_is_refused_even_where_the_file_lets_them_in(
    child: Child, client: Client
) -> None:
    """The socket and its folders are opened wide: the kernel's word about the peer remains."""
    script = f"""
import os, socket
os.setgid(65534); os.setuid(65534)
with socket.socket(socket.AF_UNIX) as raw:
    raw.connect({str(client.path)!r})
    raw.sendall(b"GET /v1/status HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
    print(raw.recv(65536).decode())
"""
    opened = [client.path, *client.path.parents]
    modes = {path: path.stat().st_mode & 0o7777 for path in opened if path.stat().st_uid == 0}
    try:
        for path, mode in modes.items():
            path.chmod(mode | 0o007)
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False
        )
    finally:
        for path, mode in modes.items():
            path.chmod(mode)

    assert done.stdout.startswith("HTTP/1.1 403"), done.stderr
    assert '"not_your_daemon"' in done.stdout


def test_all_but_webhooks_and_health_wants_a_token_on_tcp(child: Child) -> None:
    for path in ("/v1/status", "/v1/automations", "/api/v1/automations", "/webhooks", "/metrics"):
        status, told = child.post(f"{child.url}{path}")
        assert (status, told["error"]["code"]) == (401, "unauthorized"), path


def test_a_deleted_automation_keeps_its_history(child: Child, client: Client) -> None:
    file = automation(child.root, "short-lived")
    eventually(lambda: any(row["name"] == "short-lived" for row in client.get("/v1/automations")))
    run = child.finished(client.post("/v1/automations/short-lived/trigger")["run_id"])
    file.unlink()
    eventually(lambda: all(row["name"] != "short-lived" for row in client.get("/v1/automations")))

    assert client.get("/v1/runs", {"automation": "short-lived"})[0]["run_id"] == run["run_id"]
    assert client.get("/v1/automations/short-lived/why")[0]["run_id"] == run["run_id"]
