"""A storm at one provider's door: few of its events are wanted by any of many automations."""

import hashlib
import hmac
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from bench.daemon import daemon, workspace
from bench.load import Load, post
from bench.report import Figure

EVENTS = 10_000
AUTOMATIONS = 1_000
CONNECTIONS = 32
_WANTED = 100
"""One event in so many is of a repository that an automation waits for."""
_SECRET = "the secret of a storm, long enough"


def measure() -> list[Figure]:
    """Signed events of GitHub against a thousand automations, and against one."""
    alone, _, _ = _storm(1)
    load, runs, missed = _storm(AUTOMATIONS)
    wanted = EVENTS // _WANTED
    if runs != wanted or missed != EVENTS * AUTOMATIONS - wanted:
        raise RuntimeError(f"{runs} runs and {missed} misses")
    return [
        Figure(
            name=f"an event of a storm, {AUTOMATIONS:,} automations, 1 % wanted",
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


def _storm(automations: int) -> tuple[Load, int, int]:
    """The load, how many rows of runs it left, and how many misses were counted."""
    with workspace(_files(automations)) as root, daemon(root) as running:
        url = running.client.get("/v1/integrations")[0]["url"]
        bodies = [_body(number) for number in range(EVENTS)]
        load = post(url, bodies, connections=CONNECTIONS, headers=_signed)
        if set(load.statuses) != {202}:
            raise RuntimeError(f"not every event was accepted: {load.statuses}")
        return load, *_counted(root / ".amodal-rt")


def _counted(state: Path) -> tuple[int, int]:
    with sqlite3.connect(f"file:{state / 'ledger.sqlite'}?mode=ro", uri=True) as connection:
        (runs,) = connection.execute("SELECT COUNT(*) FROM runs").fetchone()
        (missed,) = connection.execute("SELECT SUM(missed) FROM events").fetchone()
    return int(runs), int(missed)


def _files(automations: int) -> dict[str, object]:
    files: dict[str, object] = {
        f"automations/job-{number}.json": {
            "title": f"Job {number}",
            "trigger": "github.issues.opened",
            "filter": {"repository.full_name": f"acme/repo-{number}"},
            "prompt": "x",
            "connections": [],
        }
        for number in range(automations)
    }
    return {
        **files,
        "integrations/github.json": {"provider": "github", "secret": "env:STORM_SECRET"},
        ".env": f"STORM_SECRET={_SECRET}\n",
    }


def _body(number: int) -> bytes:
    place = number // _WANTED
    name = f"repo-{place}" if number % _WANTED == 0 else f"other-{number}"
    issue = {"number": number, "title": "Checkout is slow", "draft": False}
    said = {"action": "opened", "issue": issue, "repository": {"full_name": f"acme/{name}"}}
    return json.dumps({**said, "sender": {"login": "octocat"}}).encode()


def _signed(body: bytes) -> Mapping[str, str]:
    signature = hmac.new(_SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {
        "X-GitHub-Event": "issues",
        "X-GitHub-Delivery": hashlib.sha256(body).hexdigest()[:36],
        "X-Hub-Signature-256": f"sha256={signature}",
    }
