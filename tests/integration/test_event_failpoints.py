"""Killed between an effect of the outside world and what is on record of it, nothing is lost."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from daemon_child import Child, automation, daemon, eventually, write

EVENT = "shop.price_changed"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    write(folder, "amodal.json", {"egress": {"allowPrivate": ["127.0.0.0/8"]}})
    return folder


class _Prices(BaseHTTPRequestHandler):
    """Says the same price for ever."""

    def do_GET(self) -> None:
        body = json.dumps({"price": 7}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def prices() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Prices)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def ended(child: Child, name: str, count: int) -> list[dict[str, Any]]:
    """Its runs, oldest first, once there are so many and none is open."""

    def look() -> list[dict[str, Any]] | None:
        found = child.client.get("/v1/runs", {"automation": name, "limit": "50"})
        going = any(each["status"] in ("pending", "running") for each in found)
        return list(reversed(found)) if len(found) >= count and not going else None

    return eventually(look)


@pytest.mark.parametrize("place", ["gate.before_read", "gate.after_read"])
def test_a_gate_is_asked_again_and_opens_once(root: Path, prices: str, place: str) -> None:
    write(root, "connections/shop/spec.json", {"protocol": "rest", "baseUrl": prices})
    gate = {"connection": "shop", "endpoint": "/price", "path": "price", "changed": True}
    automation(root, "look", trigger=EVENT, connections=["shop"], when=gate)

    with daemon(root, AMODAL_RT_FAILPOINTS=f"{place}=kill") as first:
        first.client.post("/v1/events", {"type": EVENT})
        eventually(lambda: not first.process.alive)
    with daemon(root) as second:
        ended(second, "look", 1)
        second.client.post("/v1/events", {"type": EVENT})
        found = ended(second, "look", 2)

    # A rehearsal moves no gate, so what opened once opens again; none is asked of twice.
    assert [each["status"] for each in found] == ["completed", "completed"]
    assert [each["attempt"] > 1 for each in found] == [True, False]


@pytest.mark.parametrize("place", ["expect.before_probe", "expect.after_probe"])
def test_a_probe_is_asked_again_and_the_run_completes_once(
    root: Path, prices: str, place: str
) -> None:
    write(root, "connections/shop/spec.json", {"protocol": "rest", "baseUrl": prices})
    probe = {"connection": "shop", "endpoint": "/price", "filter": {"price": 7}}
    only = {"id": "a", "kind": "transform", "value": {"done": True}}
    graph = {"kind": "WorkflowGraph", "start_node": "a", "nodes": [only]}
    automation(
        root, "look", prompt=None, workflow=graph, trigger=EVENT, connections=["shop"],
        expect={"probe": probe, "schema": {"required": ["done"]}},
    )  # fmt: skip

    with daemon(root, AMODAL_RT_FAILPOINTS=f"{place}=kill") as first:
        first.client.post("/v1/events", {"type": EVENT})
        eventually(lambda: not first.process.alive)
    with daemon(root) as second:
        [found] = ended(second, "look", 1)

    assert (found["status"], found["attempt"] > 1) == ("completed", True)


@pytest.mark.parametrize("place", ["bus.before_match", "bus.after_match"])
def test_an_event_is_matched_once(root: Path, place: str) -> None:
    automation(root, "look", trigger=EVENT, connections=[])
    automation(root, "after", trigger="automation.run.completed", connections=[])

    with daemon(root, AMODAL_RT_FAILPOINTS=f"{place}=kill") as first:
        first.client.post("/v1/automations/look/trigger")
        eventually(lambda: not first.process.alive)
    with daemon(root) as second:
        found = ended(second, "after", 1)

    # Its own end is an event too: the chain goes on until depth forbids it.
    assert [each["depth"] for each in found] == sorted({each["depth"] for each in found})
    assert found[0]["depth"] == 1


@pytest.mark.parametrize("place", ["trigger.before_configure", "trigger.after_configure"])
def test_a_trigger_is_registered_at_the_next_start(root: Path, place: str) -> None:
    args = ["-m", "amodal_rt.testing.trigger_server", "--control", str(root.parent / "control")]
    spec = {"protocol": "mcp", "transport": "stdio", "command": sys.executable, "args": args}
    write(root, "connections/notes/spec.json", spec)
    automation(root, "sort", trigger="notes.item.created", connections=[])

    with daemon(root, AMODAL_RT_FAILPOINTS=f"{place}=kill") as first:
        eventually(lambda: not first.process.alive)
    with daemon(root) as second:
        path = "/v1/automations/sort"
        shown = eventually(lambda: _active(second.client.get(path)["remote_triggers"]))

    assert [each["type"] for each in shown] == ["item.created"]


def _active(triggers: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    return triggers if triggers and all(each["state"] == "active" for each in triggers) else None
