"""Daemons that share one PostgreSQL: webhooks accepted, and how soon a run starts somewhere."""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from amodal_rt.clock import parse_iso
from bench import doors, sessions
from bench.daemon import Daemon, daemon, workspace
from bench.load import Load, post
from bench.report import Figure

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

REQUESTS = 2_000
STARTS = 30
_WARM = 10
DAEMONS = (1, 2, 4)
_NOBODY = "one daemon on a file"

Files = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Found:
    """Accepts a second and their p99 over all doors; from accepted to started, in ms."""

    rate: float
    p99: float
    start: float
    worst_start: float


def measure() -> list[Figure]:
    """Accepts and starts with one, two and four daemons, beside one on a file, in one run."""
    import postgres_server

    missing = postgres_server.available()
    if missing is not None:
        print(f"skipped: {missing}", file=sys.stderr, flush=True)
        return []
    server = postgres_server.Server()
    server.start()
    try:
        alone = _found(1, None)
        shared = {number: _found(number, lambda: server.url(server.fresh())) for number in DAEMONS}
    finally:
        server.close()
    return [figure for number in DAEMONS for figure in _figures(number, shared[number], alone)]


def _figures(number: int, found: _Found, alone: _Found) -> list[Figure]:
    who = f"{number} daemon{'s' if number > 1 else ''}"
    rest: dict[str, Any] = {"baseline_name": _NOBODY}
    return [
        Figure(
            name=f"PostgreSQL, {who}: webhooks accepted durably",
            value=found.rate,
            unit="/s",
            baseline=alone.rate,
            **rest,
        ),
        Figure(name="  p99 until the 202", value=found.p99, unit="ms", baseline=alone.p99, **rest),
        Figure(
            name=f"  accepted → started (median of {STARTS})",
            value=found.start,
            unit="ms",
            baseline=alone.start,
            **rest,
        ),
        Figure(
            name="  accepted → started (the slowest)",
            value=found.worst_start,
            unit="ms",
            baseline=alone.worst_start,
            **rest,
        ),
    ]


def _found(number: int, fresh: Callable[[], str] | None) -> _Found:
    """`fresh` gives the URL of an empty database; None stands for a file."""
    with doors.stuck_model() as model:
        files = doors.hook_files(model.getsockname()[1])
        with _daemons(files, number, fresh) as running:
            rate, p99 = _accepts(running, model)
    with tempfile.TemporaryDirectory() as folder, sessions.provider(Path(folder)) as (url, _):
        files = sessions.agent_files(url)
        files["automations/hook.json"] = {"title": "Hook", "trigger": "webhook", "prompt": "x"}
        with _daemons(files, number, fresh) as running:
            starts = _starts(running)
    return _Found(rate, p99, median(starts), max(starts))


@contextmanager
def _daemons(files: Files, number: int, fresh: Callable[[], str] | None) -> Iterator[list[Daemon]]:
    """So many daemons, each on a workspace of its own with the same files."""
    if fresh is not None:
        files = {
            **files,
            "amodal.json": {**files["amodal.json"], "database": "env:BENCH_DATABASE"},
            ".env": f"{files['.env']}BENCH_DATABASE={fresh()}\n",
        }
    with ExitStack() as stack:
        roots = [stack.enter_context(workspace(files)) for _ in range(number)]
        yield [stack.enter_context(daemon(root)) for root in roots]


def _hooks(running: list[Daemon]) -> list[str]:
    return [each.client.get("/v1/automations/hook")["webhook_url"] for each in running]


def _accepts(running: list[Daemon], model: Any) -> tuple[float, float]:
    hooks = _hooks(running)
    connections = doors.CONNECTIONS // len(hooks)
    bodies = [(doors.BODY % number) + b"x" * 60 + b'"}' for number in range(REQUESTS + 300)]

    def load(place: int, first: int, end: int) -> Load:
        share = bodies[first:end][place :: len(hooks)]
        return post(hooks[place], share, connections=connections)

    with ThreadPoolExecutor(len(hooks)) as pool:

        def all_doors(first: int, end: int) -> list[Load]:
            return list(pool.map(lambda place: load(place, first, end), range(len(hooks))))

        all_doors(0, 300)
        # The first runs take every slot, whichever daemon carries them; the rest must queue.
        held = [model.accept()[0] for _ in range(doors.SLOTS)]
        began = time.perf_counter()
        loads = all_doors(300, len(bodies))
        took = time.perf_counter() - began
    for connection in held:
        connection.close()
    for each in loads:
        doors.require_accepted(each)
    return REQUESTS / took, max(each.p99 for each in loads)


def _starts(running: list[Daemon]) -> list[float]:
    """From accepted to started of one run after another: none waits for a slot."""
    hooks = _hooks(running)
    taken: list[float] = []
    for number in range(_WARM + STARTS):
        body = b'{"start":%d}' % number
        doors.require_accepted(post(hooks[number % len(hooks)], [body], connections=1))
        run = _ended(running[0])
        accepted, started = parse_iso(run["created_at"]), parse_iso(run["started_at"])
        taken.append((started - accepted).total_seconds() * 1000)
    return taken[_WARM:]


def _ended(running: Daemon) -> dict[str, Any]:
    until = time.perf_counter() + 60
    while time.perf_counter() < until:
        newest = running.client.get("/v1/runs", {"limit": "1"})[0]
        if newest["status"] not in ("pending", "running"):
            return newest
        time.sleep(0.02)
    raise RuntimeError("a run did not end")
