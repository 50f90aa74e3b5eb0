"""A daemon whose workflow wants to write what a person decides on, and the service behind it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from daemon_child import Child, write

ACCESS: dict[str, Any] = {
    "endpoints": {"POST /deals": {"confirm": "approve", "above": {"data.amount": 100}}}
}
GRAPH: dict[str, Any] = {
    "kind": "WorkflowGraph",
    "start_node": "pay",
    "nodes": [
        {
            "id": "pay",
            "kind": "request",
            "connection": "crm",
            "method": "POST",
            "endpoint": "/deals",
            "data": "{{ payload }}",
            "on_success": "said",
            "on_error": "said",
        },
        {"id": "said", "kind": "transform", "value": "went on"},
    ],
}
LARGE = {"amount": 700, "to": "ada"}


@dataclass
class Bank:
    """What reached the service, and what it answers."""

    url: str
    reached: list[dict[str, Any]] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    status: int = 201


@contextmanager
def bank() -> Iterator[Bank]:
    """A service on a free port; `POST /alerts` is where alerts go."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    found = Bank(f"http://127.0.0.1:{server.server_address[1]}")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            own = self.path == "/alerts"
            if own:
                found.told.append(body)
            else:
                headers = {name.lower(): value for name, value in self.headers.items()}
                found.reached.append({"path": self.path, "body": body, "headers": headers})
            answer = json.dumps({"id": len(found.reached)}).encode()
            self.send_response(200 if own else found.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server.RequestHandlerClass = Handler
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


def furnish(root: Path, url: str, **keys: Any) -> None:
    """A workspace whose automation `pay` writes to the service at `url`."""
    write(
        root,
        "amodal.json",
        {
            "egress": {"allowPrivate": ["127.0.0.0/8"]},
            "targets": {"alerts": {"type": "webhook", "url": f"{url}/alerts"}},
            "alerts": {"targets": ["alerts"]},
        },
    )
    auth = {"type": "bearer", "token": "env:BANK_KEY"}
    spec = {"protocol": "rest", "baseUrl": url, "auth": auth, "external": False}
    write(root, "connections/crm/spec.json", spec)
    write(root, "connections/crm/access.json", ACCESS)
    write(root, "workflows/pay.json", GRAPH)
    plain = {"title": "Pay", "workflow": "pay", "writeEnabled": True, "connections": ["crm"]}
    write(root, "automations/pay.json", plain | keys)


SECRET = {"BANK_KEY": "s3cr3t-canary-0123"}


def parked(child: Child, payload: object = LARGE) -> str:
    """Run it until it has parked its write; the write's id."""
    run = child.client.post("/v1/automations/pay/trigger", {"payload": payload})
    ended = child.finished(run["run_id"])
    assert (ended["status"], ended["reason"]) == ("completed", "awaiting_approval"), ended
    [found] = [
        each for each in child.client.get("/v1/approvals") if each["run_id"] == run["run_id"]
    ]
    return found["id"]
