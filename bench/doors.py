"""The webhook door: durable accepts against a bare handler."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from bench.daemon import daemon, workspace
from bench.load import Load, post
from bench.report import Figure

CROWDS = (32, 64, 128, 256)
"""Connections at once. Up to the first the wait for the disk counts most: all of them stand in one
sync. The more there are, the more it is the processor's time that counts."""
_TURN, _TURNS = 1_500, 3
REQUESTS = 500 + len(CROWDS) * _TURNS * _TURN
CONNECTIONS = CROWDS[0]
SLOTS = 3
"""Runs of one automation at once, unless its file says otherwise."""
BODY = b'{"number":%d,"action":"opened","repository":{"full_name":"acme/shop"},"title":"'


def measure() -> list[Figure]:
    """Accepts a second and their p99, while every slot of the automation is busy and events
    queue up; beside them a handler that does nothing, and one that only writes the body."""
    bodies = [(BODY % number) + b"x" * 60 + b'"}' for number in range(REQUESTS)]
    with (
        _served("bench.bare_server") as bare,
        tempfile.TemporaryDirectory(prefix="amodal-bench-") as folder,
        _served("bench.durable_server", f"{folder}/rows.sqlite") as written,
        stuck_model() as model,
        workspace(hook_files(model.getsockname()[1])) as root,
        daemon(root) as running,
    ):
        hook = running.client.get("/v1/automations/hook")["webhook_url"]
        first = post(hook, bodies[:500], connections=CONNECTIONS)
        require_accepted(first)
        # The first run imports its provider's library for seconds: a figure of its own.
        held = [model.accept()[0] for _ in range(SLOTS)]
        for url in (bare, written):
            post(url, bodies[:500], connections=CONNECTIONS)
        loads = _in_turns((hook, bare, written), bodies[500:])
        for connection in held:
            connection.close()
    figures = [figure for crowd in CROWDS for figure in _figures(crowd, *loads[crowd])]
    figures.append(
        Figure(name="  p99 while the first run of all starts", value=first.p99, unit="ms")
    )
    return figures


def _in_turns(
    urls: tuple[str, str, str], bodies: list[bytes]
) -> dict[int, tuple[list[Load], list[Load], list[Load]]]:
    """By connections, the loads of each address; in turns, so that what else the machine does
    meanwhile meets all of them."""
    loads = {crowd: (list[Load](), list[Load](), list[Load]()) for crowd in CROWDS}
    rest = iter(range(0, len(bodies), _TURN))
    for _ in range(_TURNS):
        for crowd in CROWDS:
            place = next(rest)
            for url, found in zip(urls, loads[crowd], strict=True):
                found.append(post(url, bodies[place : place + _TURN], connections=crowd))
            require_accepted(loads[crowd][0][-1])
    return loads


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


def _figures(
    crowd: int, ours: list[Load], bare: list[Load], written: list[Load]
) -> Iterator[Figure]:
    is_aim = crowd == CONNECTIONS
    yield Figure(
        name=f"webhooks accepted durably, {crowd} connections",
        value=median(load.rate for load in ours),
        unit="/s",
        baseline=median(load.rate for load in bare),
        baseline_name="bare aiohttp handler",
        aim="≥ 0.5 ×",
        at_least=0.5,
        of_ratio=True,
    )
    yield Figure(
        name="  p99 until the 202",
        value=median(load.p99 for load in ours),
        unit="ms",
        baseline=median(load.p99 for load in bare),
        baseline_name="bare aiohttp handler",
        aim="< 20 ms" if is_aim else None,
        at_most=20 if is_aim else None,
    )
    yield Figure(
        name="  a handler that only writes the body, durably",
        value=median(load.rate for load in written),
        unit="/s",
        baseline=median(load.rate for load in bare),
        baseline_name="bare aiohttp handler",
    )


def require_accepted(load: Load) -> None:
    if set(load.statuses) != {202}:
        raise RuntimeError(f"not every webhook was accepted: {load.statuses}")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _served(module: str, *more: str) -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", module, str(port), *more])
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
