"""Stopping: kindly, at once, by force, and because the disk cannot be trusted."""

import http.server
import signal
import threading
import time
import urllib.error
from collections.abc import Generator
from pathlib import Path

import pytest
from daemon_child import Child, automation, daemon, eventually, write


class Slow:
    """A service whose answers a test holds back."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.release = threading.Event()
        self.requests = 0
        outer = self

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests += 1
                outer.asked.set()
                outer.release.wait(60)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"[]")

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def slow() -> Generator[Slow, None, None]:
    service = Slow()
    yield service
    service.close()


@pytest.fixture
def root(tmp_path: Path, slow: Slow) -> Path:
    folder = tmp_path / "workspace"
    automation(folder, "reader", connections=["slow"])
    automation(folder, "hook", trigger="webhook", connections=[])
    spec = {"protocol": "rest", "baseUrl": slow.url, "testPath": "/rows"}
    write(folder, "connections/slow/spec.json", spec)
    write(folder, "amodal.json", {"egress": {"allowPrivate": ["127.0.0.0/8"]}})
    return folder


def begin(child: Child, slow: Slow) -> str:
    """A run that waits for the slow service."""
    run_id = child.client.post("/v1/automations/reader/trigger")["run_id"]
    assert slow.asked.wait(30), child.output
    return run_id


def test_a_running_run_finishes_within_the_grace_period(root: Path, slow: Slow) -> None:
    with daemon(root) as child:
        run_id = begin(child, slow)
        url = child.url
        child.process.send(signal.SIGTERM)
        eventually(lambda: "daemon.stopping" in child.output)
        eventually(lambda: refused(child, url))
        assert child.client.get(f"/v1/runs/{run_id}")["status"] == "running"
        slow.release.set()

        assert child.process.wait(20) == 0
    with daemon(root) as again:
        run = again.client.get(f"/v1/runs/{run_id}")

    assert (run["status"], run["attempt"], slow.requests) == ("completed", 1, 1)


def refused(child: Child, url: str) -> bool:
    """Nothing new is taken over TCP."""
    try:
        child.post(f"{url}/webhooks/auto_none")
    except (urllib.error.URLError, ConnectionError):
        return True
    return False


def test_a_second_signal_ends_it_now(root: Path, slow: Slow) -> None:
    with daemon(root) as child:
        run_id = begin(child, slow)
        child.process.send(signal.SIGTERM)
        eventually(lambda: "daemon.stopping" in child.output)
        began = time.monotonic()
        child.process.send(signal.SIGTERM)
        child.process.wait(20)

        assert time.monotonic() - began < 4
    slow.release.set()
    with daemon(root) as again:
        assert again.finished(run_id)["status"] in {"completed", "failed"}


def test_a_run_cut_off_by_a_kill_ends_exactly_once(root: Path, slow: Slow) -> None:
    with daemon(root) as child:
        run_id = begin(child, slow)
        child.kill()
    slow.release.set()
    with daemon(root) as again:
        run = again.finished(run_id)
        entries = list(again.client.lines(f"/v1/runs/{run_id}/journal"))
        rows = again.client.get("/v1/runs")

    assert run["status"] in {"completed", "failed"}
    assert [entry["type"] for entry in entries].count("run.finished") == 1
    assert [row["run_id"] for row in rows] == [run_id]


def test_a_running_run_is_cancelled_by_a_person(root: Path, slow: Slow) -> None:
    with daemon(root) as child:
        run_id = begin(child, slow)

        cancelled = child.client.post(f"/v1/runs/{run_id}/cancel")

        assert cancelled["status"] == "cancelled"
        slow.release.set()
        assert child.stop() == 0


def test_a_ledger_that_cannot_be_trusted_ends_the_daemon(root: Path) -> None:
    """Nothing is acknowledged that is not durable, and a supervisor gets to restart it."""
    with daemon(root, AMODAL_RT_FAILPOINTS="ledger.before_commit:40=raise") as child:
        url = child.client.get("/v1/automations/hook")["webhook_url"]
        acknowledged: list[str] = []
        broken_at = 0.0
        while child.process.alive:
            try:
                status, answer = child.post(url, b"{}")
            except OSError:
                status, answer = 0, {}
            if status == 202:
                assert not broken_at, "acknowledged after the ledger broke"
                acknowledged.append(answer["run_id"])
            else:
                broken_at = broken_at or time.monotonic()
        ended_after = time.monotonic() - broken_at

        assert child.process.wait() == 1
        assert acknowledged
        assert ended_after < 1.5
    with daemon(root) as again:
        for run_id in acknowledged:
            assert again.client.get(f"/v1/runs/{run_id}")["run_id"] == run_id
