"""All that the control socket serves, over TCP with a token; and doors that are split."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest
from daemon_child import Child, automation, daemon, write

from amodal_rt.client import TcpClient
from amodal_rt.errors import AmodalError, DeniedError, InvalidError, NotFoundError
from amodal_rt.servers.control import control_routes
from amodal_rt.servers.control_tcp import control_guarded


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Generator[Child, None, None]:
    """One daemon for the module."""
    root = tmp_path_factory.mktemp("verbs") / "workspace"
    write(root, "connections/runtime/spec.json", {"protocol": "runtime"})
    automation(root, "manual", connections=["runtime"])
    automation(root, "hook", trigger="webhook", connections=[])
    with daemon(root) as running:
        yield running


def token(child: Child, *scopes: str) -> str:
    name = "-".join((*scopes, str(len(child.client.get("/v1/tokens")))))
    made = child.client.post("/v1/tokens", {"name": name, "scopes": list(scopes)})
    return str(made["secret"])


def ops(url: str, secret: str | None, *words: str) -> tuple[int, Any, str]:
    """Exit status, JSON document and standard error of `ops --url …`."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    if secret is not None:
        environment["AMODAL_RT_TOKEN"] = secret
    done = subprocess.run(
        [sys.executable, "-m", "amodal_rt", "ops", "--url", url, *words, "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


class Nothing:
    """Has every verb: only the routes are asked for."""

    def __getattr__(self, name: str) -> None:
        return None


def test_every_route_of_the_socket_is_there_over_tcp() -> None:
    nothing: Any = Nothing()
    socket = control_routes(nothing)

    there = {(each.method, each.path) for each in control_guarded(nothing)}

    assert there == {
        *(("GET", path) for path in socket.reads),
        *(("POST", path) for path in socket.changes),
        ("GET", "/v1/runs/{id}/journal"),
    }


def test_a_run_is_started_and_followed_from_afar(child: Child) -> None:
    client = TcpClient(child.url, token=token(child, "trigger", "read"))

    run = client.post("/v1/automations/manual/trigger", {"payload": {"n": 1}})
    entries = list(client.lines(f"/v1/runs/{run['run_id']}/journal", {"follow": "1"}))
    done = client.get(f"/v1/runs/{run['run_id']}")

    assert entries[-1]["type"] == "run.finished"
    assert (done["status"], done["requester"]) == ("completed", run["requester"])
    assert str(done["requester"]).startswith("token:")


def test_a_token_does_what_its_scopes_say(child: Child) -> None:
    reader = TcpClient(child.url, token=token(child, "read"))
    starter = TcpClient(child.url, token=token(child, "trigger"))

    refused = []
    for client, method, path in (
        (reader, "POST", "/v1/automations/manual/trigger"),
        (reader, "POST", "/v1/automations/manual/pause"),
        (reader, "GET", "/v1/tokens"),
        (starter, "POST", "/v1/automations/manual/pause"),
        (starter, "POST", "/v1/tokens"),
        (starter, "GET", "/v1/runs"),
    ):
        with pytest.raises(DeniedError) as caught:
            client.get(path) if method == "GET" else client.post(path, {})
        refused.append(caught.value.code)
    (hook,) = [each for each in reader.get("/v1/automations") if each["name"] == "hook"]

    assert refused == ["scope_missing"] * 6
    assert hook["webhook_url"] is None


def test_a_token_speaks_in_no_other_name(child: Child) -> None:
    starter = TcpClient(child.url, token=token(child, "trigger"))

    with pytest.raises(AmodalError) as caught:
        starter.post("/v1/events", {"type": "automation.run.failed"})
    own = starter.post("/v1/events", {"type": "deploy.finished"})
    event = child.client.get(f"/v1/events/{own['event_id']}")

    assert caught.value.code == "reserved_type"
    assert str(event["actor"]).startswith("token:")


def test_ops_reaches_a_daemon_by_its_url(child: Child) -> None:
    secret = token(child, "manage")

    code, rows, _ = ops(child.url, secret, "automations", "list")
    missing, told, _ = ops(child.url, secret, "automations", "show", "manul")
    nobody, denied, _ = ops(child.url, None, "automations", "list")
    nowhere, gone, _ = ops("http://127.0.0.1:9", secret, "automations", "list")

    assert (code, {each["name"] for each in rows}) == (0, {"manual", "hook"})
    assert (missing, told["error"]["hint"]) == (4, "did you mean manual?")
    assert (nobody, denied["error"]["code"]) == (1, "unauthorized")
    assert (nowhere, gone["error"]["code"]) == (5, "daemon_unreachable")


@pytest.mark.parametrize("url", ["127.0.0.1:3847", "ftp://here", "http://", "http://a:b@here"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidError) as caught:
        TcpClient(url, token=None)

    assert caught.value.code == "bad_url"


def _get(url: str, headers: Mapping[str, str] | None = None) -> int:
    try:
        request = urllib.request.Request(url, headers=dict(headers or {}))
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_split_doors_carry_webhooks_here_and_all_else_there(tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    automation(root, "hook", trigger="webhook", connections=[])
    write(root, "amodal.json", {"adminListen": "127.0.0.1:0"})
    with daemon(root) as child:
        status = child.client.get("/v1/status")
        public, admin = status["url"], status["admin_url"]
        secret = token(child, "manage")
        headers = {"Authorization": f"Bearer {secret}"}
        hook = child.client.get("/v1/automations/hook")["webhook_url"]

        answered = {
            "health": (_get(f"{public}/healthz"), _get(f"{admin}/healthz")),
            "verbs": (_get(f"{public}/v1/runs", headers), _get(f"{admin}/v1/runs", headers)),
            "token": (_get(f"{public}/v1/runs"), _get(f"{admin}/v1/runs")),
            "people": (_get(f"{public}/dashboard/sign-in"), _get(f"{admin}/dashboard/sign-in")),
        }
        link = child.client.post("/v1/dashboard/link")["url"]
        greeted = child.greeted()
        taken, _ = child.post(hook)
        with pytest.raises(NotFoundError):
            TcpClient(public, token=secret).get("/v1/runs")

    assert public != admin
    assert hook.startswith(public)
    assert answered == {
        "health": (200, 200),
        "verbs": (404, 200),
        "token": (404, 401),
        "people": (404, 200),
    }
    assert link.startswith(f"{admin}/dashboard/link/")
    assert f"dashboard at {admin}/ " in greeted
    assert taken == 202
