"""A storm at one provider's door: few of its events are wanted by any of many automations."""

import hashlib
import hmac
import json
import sqlite3
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from bench.daemon import daemon, workspace
from bench.doors import stuck_model
from bench.load import Load, post
from bench.report import Figure

EVENTS = 10_000
AUTOMATIONS = 1_000
CONNECTIONS = 32
_WANTED = 100
"""One event in so many is of a repository that an automation waits for."""
_SECRET = "the secret of a storm, long enough"


def measure() -> list[Figure]:
    """Signed events of GitHub against a thousand automations, of a type each or of one type with
    a filter each, and against one."""
    alone = _storm(1, _by_filter, "issues")
    return [
        *_figures("of a type each", _storm(AUTOMATIONS, _by_type, None), alone),
        *_figures("of one type", _storm(AUTOMATIONS, _by_filter, "issues"), alone),
    ]


def _figures(what: str, load: Load, alone: Load) -> list[Figure]:
    return [
        Figure(
            name=f"an event of a storm, {AUTOMATIONS:,} automations {what}",
            value=1e3 / load.rate,
            unit="ms",
            baseline=1e3 / alone.rate,
            baseline_name="one automation",
            aim="< 1 ms",
            at_most=1,
        ),
        Figure(
            name="  p99 until the 202",
            value=load.p99,
            unit="ms",
            baseline=alone.p99,
            baseline_name="one automation",
            aim="< 1000 ms",
            at_most=1000,
        ),
    ]


def _storm(automations: int, keys: Callable[[int], Mapping[str, object]], kind: str | None) -> Load:
    """What the sender saw. Every event that is wanted left a row, every other one misses alone."""
    with (
        stuck_model() as model,
        workspace(_files(automations, keys, model.getsockname()[1])) as root,
        daemon(root) as running,
    ):
        url = running.client.get("/v1/integrations")[0]["url"]
        headers = partial(_signed, kind)
        # The first run imports its provider's library for seconds, once in a daemon's life.
        first = post(url, [_said("repo-0", EVENTS)], connections=1, headers=headers)
        held = model.accept()[0]
        bodies = [_body(number) for number in range(EVENTS)]
        load = post(url, bodies, connections=CONNECTIONS, headers=headers)
        held.close()
        if {*first.statuses, *load.statuses} != {202}:
            raise RuntimeError(f"not every event was accepted: {first.statuses}, {load.statuses}")
        runs, missed = _counted(root / ".amodal-rt")
    # Of the first event and of every hundredth.
    wanted = 1 + EVENTS // _WANTED
    if automations > 1 and (runs, missed) != (wanted, (EVENTS + 1) * automations - wanted):
        raise RuntimeError(f"{runs} runs and {missed} misses")
    return load


def _counted(state: Path) -> tuple[int, int]:
    with sqlite3.connect(f"file:{state / 'ledger.sqlite'}?mode=ro", uri=True) as connection:
        (runs,) = connection.execute("SELECT COUNT(*) FROM runs").fetchone()
        (missed,) = connection.execute("SELECT SUM(missed) FROM events").fetchone()
    return int(runs), int(missed)


def _by_type(number: int) -> Mapping[str, object]:
    return {"trigger": f"github.repo-{number}.opened"}


def _by_filter(number: int) -> Mapping[str, object]:
    wanted = {"repository.full_name": f"acme/repo-{number}"}
    return {"trigger": "github.issues.opened", "filter": wanted}


def _files(
    automations: int, keys: Callable[[int], Mapping[str, object]], port: int
) -> dict[str, object]:
    """What runs do beside is no part of what an event costs: the first one waits for its model."""
    provider = {"type": "openai-compatible", "baseUrl": f"http://127.0.0.1:{port}/v1"}
    rest = {"prompt": "x", "connections": [], "model": "stuck:model"}
    files: dict[str, object] = {
        f"automations/job-{number}.json": {"title": f"Job {number}", **keys(number), **rest}
        for number in range(automations)
    }
    return {
        **files,
        "amodal.json": {
            "providers": {"stuck": {**provider, "apiKey": "env:STORM_SECRET"}},
            "limits": {"concurrency": 1},
        },
        "integrations/github.json": {"provider": "github", "secret": "env:STORM_SECRET"},
        ".env": f"STORM_SECRET={_SECRET}\n",
    }


def _body(number: int) -> bytes:
    place = number // _WANTED
    name = f"repo-{place}" if number % _WANTED == 0 else f"other-{number}"
    return _said(name, number)


def _said(name: str, number: int) -> bytes:
    issue = {"number": number, "title": "Checkout is slow", "draft": False}
    said = {"action": "opened", "issue": issue, "repository": {"full_name": f"acme/{name}"}}
    return json.dumps({**said, "sender": {"login": "octocat"}}).encode()


def _signed(named: str | None, body: bytes) -> Mapping[str, str]:
    """With `named` None each repository has a type of its own."""
    repository: str = json.loads(body)["repository"]["full_name"]
    kind = named or repository.partition("/")[2]
    signature = hmac.new(_SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {
        "X-GitHub-Event": kind,
        "X-GitHub-Delivery": hashlib.sha256(body).hexdigest()[:36],
        "X-Hub-Signature-256": f"sha256={signature}",
    }
