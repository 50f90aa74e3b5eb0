"""The webhook door: durable accepts against a bare handler."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from bench.daemon import daemon, workspace
from bench.load import Load, post
from bench.report import Figure

REQUESTS = 8_000
_TURN = 1_500
CONNECTIONS = 32
SLOTS = 3
"""Runs of one automation at once, unless its file says otherwise."""
BODY = b'{"number":%d,"action":"opened","repository":{"full_name":"acme/shop"},"title":"'


def measure() -> list[Figure]:
    """Accepts a second and their p99, while every slot of the automation is busy and events
    queue up."""
    bodies = [(BODY % number) + b"x" * 60 + b'"}' for number in range(REQUESTS)]
    bare: list[Load] = []
    ours: list[Load] = []
    with (
        _bare() as url,
        stuck_model() as model,
        workspace(hook_files(model.getsockname()[1])) as root,
        daemon(root) as running,
    ):
        hook = running.client.get("/v1/automations/hook")["webhook_url"]
        first = post(hook, bodies[:500], connections=CONNECTIONS)
        # The first run imports its provider's library for seconds: a figure of its own.
        held = [model.accept()[0] for _ in range(SLOTS)]
        post(url, bodies[:500], connections=CONNECTIONS)
        # In turns: what else the machine does meanwhile meets both.
        for place in range(500, REQUESTS, _TURN):
            bare.append(post(url, bodies[place : place + _TURN], connections=CONNECTIONS))
            ours.append(post(hook, bodies[place : place + _TURN], connections=CONNECTIONS))
        for connection in held:
            connection.close()
    for load in (first, *ours):
        require_accepted(load)
    return _figures(first, ours, bare)


def hook_files(port: int) -> dict[str, object]:
    """One webhook whose agent asks a model that never answers."""
    provider = {
        "type": "openai-compatible",
        "baseUrl": f"http://127.0.0.1:{port}/v1",
        "apiKey": "env:BENCH_KEY",
    }
    return {
        "automations/hook.json": {
            "title": "Hook",
            "trigger": "webhook",
            "prompt": "x",
            "model": "stuck:model",
        },
        "amodal.json": {
            "providers": {"stuck": provider},
            "limits": {"queue": REQUESTS + 1_000},
        },
        ".env": "BENCH_KEY=bench-key-for-the-stuck-model\n",
    }


def _figures(first: Load, ours: list[Load], bare: list[Load]) -> list[Figure]:
    return [
        Figure(
            name=f"webhooks accepted durably, {CONNECTIONS} connections",
            value=median(load.rate for load in ours),
            unit="/s",
            baseline=median(load.rate for load in bare),
            baseline_name="bare aiohttp handler",
            aim="≥ 0.5 ×",
            at_least=0.5,
            of_ratio=True,
        ),
        Figure(
            name="  p99 until the 202",
            value=median(load.p99 for load in ours),
            unit="ms",
            baseline=median(load.p99 for load in bare),
            baseline_name="bare aiohttp handler",
            aim="< 20 ms",
            at_most=20,
        ),
        Figure(name="  p99 while the first run of all starts", value=first.p99, unit="ms"),
    ]


def require_accepted(load: Load) -> None:
    if set(load.statuses) != {202}:
        raise RuntimeError(f"not every webhook was accepted: {load.statuses}")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _bare() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.bare_server", str(port)])
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}/hook"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def stuck_model() -> Iterator[socket.socket]:
    """A provider that takes the request and never answers: slots stay busy, runs queue."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        listener.settimeout(60)
        yield listener


def wait_for(port: int) -> None:
    """Return when something listens there."""
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise RuntimeError(f"nothing listens on {port}")
