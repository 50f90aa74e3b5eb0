"""A daemon behind a webhook, and what it acknowledged compared with what its ledger holds."""

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger_work import Told, look
from lives import PATIENCE, Life, Zygote, read_json

from amodal_rt.client import Client, find_client


@dataclass
class Sent:
    """What the senders were answered."""

    accepted: dict[str, float] = field(default_factory=dict)
    """When each event was acknowledged, by its id."""
    refused: list[float] = field(default_factory=list)
    without_retry_after: int = 0
    other: list[int] = field(default_factory=list)
    broken_off: int = 0
    """Requests that nobody answered: the daemon had gone."""

    @property
    def first_refusal(self) -> float | None:
        return self.refused[0] if self.refused else None


class Hooked:
    """One workspace with one webhook. `state` may lie on another disk."""

    def __init__(self, folder: Path, state: Path | None = None) -> None:
        self.root = folder / "w"
        self.state = state or self.root / ".amodal-rt"
        self.ledger = self.state / "ledger.sqlite"
        self.log = folder / "log"
        self.sent = Sent()
        self._lock = threading.Lock()
        (self.root / "automations").mkdir(parents=True)
        document = {"title": "Hook", "prompt": "Look.", "trigger": "webhook"}
        (self.root / "automations/hook.json").write_text(json.dumps(document))
        self.variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "AMODAL_RT_STATE_DIR": str(self.state),
        }

    @property
    def client(self) -> Client:
        return find_client(self.state, actor="ada")

    def bear(self, zygote: Zygote) -> Life:
        """A daemon that may or may not come up."""
        return zygote.bear(self.root, self.log, self.variables, "127.0.0.1:0")

    def rise(self, zygote: Zygote) -> Life:
        """A daemon that serves."""
        life = self.bear(zygote)
        self._until_served(life.pid, lambda: life.alive)
        return life

    def rise_alone(self) -> subprocess.Popen[bytes]:
        """A daemon that serves, as the command that people type: it has an exit status."""
        command = [sys.executable, "-m", "amodal_rt", "up", "--workspace", str(self.root)]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*command, "--listen", "127.0.0.1:0"],
                env=self.variables,
                stdout=log,
                stderr=log,
            )
        self._until_served(process.pid, lambda: process.poll() is None)
        return process

    def _until_served(self, pid: int, alive: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            assert alive(), self.log.read_text()
            record = read_json(self.state / "daemon.json")
            if record and record.get("pid") == pid and record.get("url"):
                break
            time.sleep(0.01)
        self.url = self.client.get("/v1/automations/hook")["webhook_url"]

    def post(self, body: bytes = b'{"n": 1}') -> int:
        """One webhook; its status, 0 when the connection broke."""
        host, _, path = self.url.removeprefix("http://").partition("/")
        connection = http.client.HTTPConnection(host, timeout=20)
        try:
            connection.request("POST", f"/{path}", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            document: Any = json.loads(answer.read() or b"{}")
        except (OSError, http.client.HTTPException, ValueError):
            with self._lock:
                self.sent.broken_off += 1
            return 0
        finally:
            connection.close()
        with self._lock:
            if answer.status in (200, 202):
                self.sent.accepted[document["event_id"]] = time.monotonic()
            elif answer.status == 503:
                self.sent.refused.append(time.monotonic())
                self.sent.without_retry_after += answer.getheader("Retry-After") is None
            else:
                self.sent.other.append(answer.status)
        return answer.status

    def ready(self) -> tuple[int, str | None]:
        """What `/readyz` answers, and its reason why not."""
        connection = http.client.HTTPConnection(
            self.url.removeprefix("http://").partition("/")[0], timeout=20
        )
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()).get("reason")
        finally:
            connection.close()

    def pour(self, count: int, size: int = 100, senders: int = 2) -> None:
        """`count` webhooks from several senders; each stops when nobody answers."""
        body = json.dumps({"text": "x" * size}).encode()

        def send() -> None:
            for _ in range(count // senders):
                if self.post(body) == 0:
                    return

        threads = [threading.Thread(target=send) for _ in range(senders)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    def judge(self) -> tuple[list[str], list[str]]:
        """What was acknowledged and is lost, and what is broken, once nobody serves."""
        found = look(self.ledger, Told(events=set(self.sent.accepted)))
        return found.lost, found.broken
