"""The client speaks plain HTTP/1.1 to whoever listens, and says plainly when nobody does."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from amodal_rt.client import Client, find_client, running_daemons
from amodal_rt.errors import ConflictError, InternalError, TimedOutError, UnavailableError
from amodal_rt.settings import runtime_folder

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@contextmanager
def answering(path: Path, *answers: bytes, hold: bool = False) -> Iterator[list[bytes]]:
    """Accept one connection per answer; the list holds the requests as they came."""
    requests: list[bytes] = []
    release = threading.Event()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                requests.append(_request(connection))
                connection.sendall(answer)
                if hold:
                    release.wait(10)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield requests
    finally:
        release.set()
        thread.join()
        listener.close()


def _request(connection: socket.socket) -> bytes:
    seen = b""
    while b"\r\n\r\n" not in seen:
        seen += connection.recv(65_536)
    head, _, body = seen.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            while len(body) < int(line.split(b":")[1]):
                body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def client(path: Path, timeout: float = 10) -> Client:
    return Client(path, actor="ada", timeout=timeout)


def test_a_document_is_asked_for_and_read(tmp_path: Path) -> None:
    body = json.dumps([{"name": "café"}]).encode()
    answer = OK + f"Content-Length: {len(body)}\r\n\r\n".encode() + body

    with answering(tmp_path / "s", answer) as requests:
        found = client(tmp_path / "s").get("/v1/runs", {"status": "failed", "automation": "a b"})

    assert found == [{"name": "café"}]
    head = requests[0].decode().split("\r\n")
    assert head[0] == "GET /v1/runs?status=failed&automation=a+b HTTP/1.1"
    assert "X-Actor: ada" in head


def test_a_body_is_sent_as_json(tmp_path: Path) -> None:
    with answering(tmp_path / "s", OK + b"Content-Length: 2\r\n\r\n{}") as requests:
        client(tmp_path / "s").post("/v1/automations/ä b/trigger", {"payload": [1]})

    head, _, body = requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/automations/%C3%A4%20b/trigger HTTP/1.1")
    assert json.loads(body) == {"payload": [1]}


def test_an_actor_cannot_add_a_header(tmp_path: Path) -> None:
    with answering(tmp_path / "s", OK + b"Content-Length: 2\r\n\r\n{}") as requests:
        Client(tmp_path / "s", actor="eve\r\nX-Other: 1").get("/v1/status")

    assert b"\r\nX-Other" not in requests[0]


def test_lines_arrive_one_by_one_however_they_were_cut(tmp_path: Path) -> None:
    chunks = [b'{"seq', b'uence": 1}\n{"sequence": 2}\n', b'{"sequence": 3}\n']
    framed = b"".join(f"{len(each):x}\r\n".encode() + each + b"\r\n" for each in chunks)
    answer = OK + b"Transfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"

    with answering(tmp_path / "s", answer):
        lines = list(client(tmp_path / "s").lines("/v1/runs/run_1/journal", {"follow": "1"}))

    assert [line["sequence"] for line in lines] == [1, 2, 3]


def test_a_stream_that_breaks_off_is_an_error_and_not_an_end(tmp_path: Path) -> None:
    answer = OK + b'Transfer-Encoding: chunked\r\n\r\n10\r\n{"sequence": 1}\n\r\n'

    with answering(tmp_path / "s", answer), pytest.raises(UnavailableError) as caught:
        list(client(tmp_path / "s").lines("/v1/runs/run_1/journal"))

    assert caught.value.code == "daemon_unreachable"


def test_the_daemons_error_keeps_its_kind_code_and_hint(tmp_path: Path) -> None:
    error = {"code": "paused_by_file", "kind": "conflict", "message": "no", "hint": "edit it"}
    body = json.dumps({"error": error}).encode()
    answer = b"HTTP/1.1 409 Conflict\r\n" + f"Content-Length: {len(body)}\r\n\r\n".encode() + body

    with answering(tmp_path / "s", answer), pytest.raises(ConflictError) as caught:
        client(tmp_path / "s").post("/v1/automations/a/resume")

    assert caught.value.document() == error


def test_an_answer_in_no_known_words_is_internal(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 502 Bad\r\nContent-Length: 4\r\n\r\noops"

    with answering(tmp_path / "s", answer), pytest.raises(InternalError):
        client(tmp_path / "s").get("/v1/status")


def test_nobody_there_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as caught:
        client(tmp_path / "s").get("/v1/status")

    assert caught.value.code == "daemon_unreachable"
    assert "amodal-rt up" in (caught.value.hint or "")


def test_a_daemon_that_says_nothing_times_out(tmp_path: Path) -> None:
    with answering(tmp_path / "s", b"", hold=True), pytest.raises(TimedOutError):
        client(tmp_path / "s", timeout=0.05).get("/v1/status")


def test_what_takes_long_has_a_bound_of_its_own_and_the_others_keep_theirs(tmp_path: Path) -> None:
    hasty = client(tmp_path / "s", timeout=0.05)

    with answering(tmp_path / "s", b"", hold=True), pytest.raises(TimedOutError, match=r"0\.2 s"):
        hasty.within(0.2).get("/v1/status")
    (tmp_path / "s").unlink()
    with answering(tmp_path / "s", b"", hold=True), pytest.raises(TimedOutError, match=r"0\.05 s"):
        hasty.get("/v1/status")


def test_a_daemon_that_hangs_up_is_unreachable(tmp_path: Path) -> None:
    with answering(tmp_path / "s", b""), pytest.raises(UnavailableError) as caught:
        client(tmp_path / "s").get("/v1/status")

    assert caught.value.code == "daemon_unreachable"
    assert "closed the connection" in caught.value.message


def test_the_socket_is_where_the_daemon_recorded_it(tmp_path: Path) -> None:
    record = {"pid": 1, "socket": "/short", "workspace": "/w", "state_dir": str(tmp_path)}
    (tmp_path / "daemon.json").write_text(json.dumps(record))

    assert find_client(tmp_path, actor="ada").path == Path("/short")


def test_the_socket_is_in_the_state_folder_when_nothing_is_recorded(tmp_path: Path) -> None:
    assert find_client(tmp_path, actor="ada").path == tmp_path / "control.sock"


def test_only_daemons_that_accept_are_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = runtime_folder()
    assert folder is not None
    for name in ("alive", "dead"):
        record = {
            "pid": 1,
            "socket": str(tmp_path / name),
            "workspace": f"/{name}",
            "state_dir": "/s",
            "url": None,
        }
        (folder / f"{name}.json").write_text(json.dumps(record))
    (folder / "broken.json").write_text("{")

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "alive"))
        listener.listen()
        found = running_daemons()

    assert [record.workspace for record in found] == [Path("/alive")]


def test_a_runtime_folder_that_others_may_enter_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "amodal-rt").mkdir(mode=0o755)
    (tmp_path / "amodal-rt").chmod(0o755)

    assert runtime_folder() is None


def test_importing_the_client_imports_nothing_heavy() -> None:
    script = "import sys, amodal_rt.client; print(*sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    heavy = {"asyncio", "aiohttp", "pydantic", "sqlalchemy", "typer", "rich", "http.client"}
    assert heavy & set(done.stdout.split()) == set()
