"""What a thousand who only listen cost those who send."""

import http.client
import socket
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

from bench.daemon import daemon, workspace
from bench.doors import BODY, hook_files, require_accepted, stuck_model
from bench.load import Load, post
from bench.report import Figure

LISTENERS = 1_000
REQUESTS = 2_000
CONNECTIONS = 8


def measure() -> list[Figure]:
    """The p99 of a webhook's answer with and without a thousand idle streams beside it."""
    bodies = [(BODY % number) + b"x" * 60 + b'"}' for number in range(2 * REQUESTS + 200)]
    with (
        stuck_model() as model,
        workspace(hook_files(model.getsockname()[1])) as root,
        daemon(root) as running,
    ):
        hook = running.client.get("/v1/automations/hook")["webhook_url"]
        made = running.client.post("/v1/tokens", {"name": "bench", "scopes": ["read"]})
        require_accepted(post(hook, bodies[:200], connections=CONNECTIONS))
        (run, *_) = running.client.get("/v1/runs", {"limit": "1"})
        alone = post(hook, bodies[200 : 200 + REQUESTS], connections=CONNECTIONS)
        with ExitStack() as stack:
            for _ in range(LISTENERS):
                stack.enter_context(_listening(running.url, run["run_id"], str(made["secret"])))
            beside = post(hook, bodies[200 + REQUESTS :], connections=CONNECTIONS)
    for load in (alone, beside):
        require_accepted(load)
    return [_figure(alone, beside)]


def _listening(url: str, run_id: str, secret: str) -> socket.socket:
    """A stream that has told where the run stands, and waits."""
    parts = urlsplit(url)
    assert parts.hostname, "a daemon that listens has an address"
    connection = socket.create_connection((parts.hostname, parts.port or http.client.HTTP_PORT))
    connection.sendall(
        f"GET /api/v1/automation_runs/{run_id}/stream HTTP/1.1\r\n"
        f"Host: {parts.netloc}\r\nX-Api-Key: {secret}\r\n\r\n".encode()
    )
    heard, until = b"", time.monotonic() + 30
    while b"run_update" not in heard:
        if time.monotonic() > until:
            raise RuntimeError(f"a stream did not begin: {heard[:200]!r}")
        heard += connection.recv(4096)
    return connection


def _figure(alone: Load, beside: Load) -> Figure:
    return Figure(
        name=f"webhook's p99 beside {LISTENERS:,} idle streams, more than without",
        value=beside.p99 - alone.p99,
        unit="ms",
        baseline=alone.p99,
        baseline_name="without streams",
        aim="≤ 10 ms",
        at_most=10,
    )
