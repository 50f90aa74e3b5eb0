"""A daemon as a child process on a workspace of its own, driven over its sockets."""

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lives import Executed, zygote

from amodal_rt.client import Client, find_client

PATIENCE = 30.0
"""Seconds; only a broken daemon takes them."""


def write(root: Path, file: str, content: object) -> Path:
    """A file of a workspace: a mapping as JSON, a text as it is."""
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def automation(root: Path, name: str, **keys: Any) -> Path:
    """`automations/NAME.json`."""
    document = {"title": name.replace("-", " ").title(), "prompt": "Look around.", **keys}
    return write(root, f"automations/{name}.json", document)


class Child:
    """The process and how to reach it."""

    def __init__(self, root: Path, *, listen: str = "127.0.0.1:0", **variables: str) -> None:
        self.root = root
        self.state = Path(variables.get("AMODAL_RT_STATE_DIR", root / ".amodal-rt"))
        self.log = root.parent / f"{root.name}.log"
        environment = {"PATH": os.environ["PATH"], "HOME": str(root.parent), **variables}
        environment.setdefault("XDG_RUNTIME_DIR", str(root.parent))
        preloads = "LD_PRELOAD" in environment
        bear = Executed if preloads else zygote().bear
        self.process = bear(root, self.log, environment, listen or None)

    @property
    def client(self) -> Client:
        return find_client(self.state, actor="ada")

    @property
    def url(self) -> str:
        return self.client.get("/v1/status")["url"]

    @property
    def output(self) -> str:
        return self.log.read_text("utf-8")

    def greeted(self) -> str:
        """What it has printed once it has said all that it says at its start, which comes after
        `/readyz` is content."""
        return eventually(lambda: "daemon.ready" in self.output and self.output)

    def ready(self) -> "Child":
        """Wait until `/readyz` answers 200."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            assert self.process.alive, self.output
            try:
                record = json.loads((self.state / "daemon.json").read_text())
                with urllib.request.urlopen(f"{record['url']}/readyz", timeout=5) as answer:
                    if answer.status == 200 and record["pid"] == self.process.pid:
                        return self
            except (OSError, ValueError):
                time.sleep(0.01)
        raise AssertionError(f"not ready:\n{self.output}")

    def post(self, url: str, body: bytes = b"{}", **headers: str) -> tuple[int, Any]:
        """One POST; status and document."""
        request = urllib.request.Request(url, data=body, headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def finished(self, run_id: str) -> dict[str, Any]:
        """Follow the run's journal to its end; the run's document."""
        for _ in self.client.lines(f"/v1/runs/{run_id}/journal", {"follow": "1"}):
            pass
        return self.client.get(f"/v1/runs/{run_id}")

    def stop(self, *, times: int = 1) -> int:
        """SIGTERM, and the exit status."""
        for _ in range(times):
            self.process.send(signal.SIGTERM)
            time.sleep(0.05)
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """SIGKILL: nothing is tidied up."""
        self.process.kill()


@contextmanager
def daemon(root: Path, **variables: str) -> Generator[Child, None, None]:
    """A ready daemon, gone after the block."""
    child = Child(root, **variables)
    try:
        yield child.ready()
    finally:
        child.kill()


def eventually(look: Any, seconds: float = PATIENCE) -> Any:
    """The first true answer of `look`."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError("it never came")
