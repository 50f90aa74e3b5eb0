"""What happens in one scene: a workspace, a client that insists, and lives that may end.

The client's history is JSON Lines, `{op, id, ok, …}`: what was asked, and what was
acknowledged. Every step is repeated until it is answered, over as many lives as it takes.
"""

import hashlib
import hmac
import json
import os
import signal
import sqlite3
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from lives import PATIENCE, Life, Zygote, read_json
from world import World

from amodal_rt.client import Client, find_client
from amodal_rt.errors import AmodalError

T = TypeVar("T")
SECRET = "hk-c4n4ry-hook-0123456789"
CANARIES = (SECRET, "mk-c4n4ry-model")
TINY = Path(__file__).with_name("tiny_mcp.py")
WEBHOOKS = ("hook:w1", "hook:w2", "hook:w1", "writer:r1", "tools:t1", "flaky:f1", "hook:w3")
"""Which automation gets which id, in this order; one of them twice."""
FAILING = ("broken:b1", "broken:b2")


class Story:
    """One scene, played once. `fates` are what the failpoints of each life are armed with."""

    def __init__(
        self, folder: Path, name: str, *, world: World, zygote: Zygote, fates: tuple[str, ...] = ()
    ) -> None:
        self.folder, self.name = folder, name
        self.root = folder / "w"
        self.ledger = self.root / ".amodal-rt" / "ledger.sqlite"
        self.history: list[dict[str, Any]] = []
        self.lives = 0
        self.deaths = 0
        self._fates = list(fates)
        self._world, self._zygote = world, zygote
        self._life: Life | None = None
        self._url = ""
        self.promised = False
        """Whether a life said that it was ready before the slot was due."""
        self.slot = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)

    def play(self) -> None:
        """All of it, to a daemon that has stopped when it was asked to."""
        self._furnish()
        for each in WEBHOOKS:
            self._insist(lambda each=each: self._post(*each.split(":")))
        self._insist(lambda: self._ask("pause", "quiet"))
        self._insist(lambda: self._ask("resume", "quiet"))
        self._insist(lambda: self._ask("activate", "sketch"))
        self._edit()
        for each in FAILING:
            self._insist(lambda each=each: self._post(*each.split(":")))
        self.settle()

    def settle(self) -> None:
        """Until nothing is open, then stop; again when the stop was the death."""
        until = time.monotonic() + PATIENCE
        while True:
            life = self._living()
            self._insist(self._is_settled)
            life = self._life or life
            life.send(signal.SIGTERM)
            status = life.wait()
            self._life = None
            if status == 0:
                break
            self._mourn(life, status)
            assert time.monotonic() < until, f"it never stops well:\n{life.output()}"
        (self.folder / "history.jsonl").write_text(
            "".join(json.dumps(each) + "\n" for each in self.history), encoding="utf-8"
        )

    def end(self) -> None:
        """Leave nothing behind, however it went."""
        if self._life is not None:
            self._life.kill()

    def hits(self, life: int) -> list[str]:
        """`name:nth` of every failpoint that one life passed, the first life being 1."""
        path = self.folder / f"life-{life}.hits"
        return path.read_text().split() if path.exists() else []

    def arrived(self) -> list[dict[str, Any]]:
        """What reached the services from this scene, the child process's own list included."""
        calls = self.folder / "tiny-calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [
            *self._world.arrived(self.name),
            *({"at": "tiny", **json.loads(each)} for each in lines),
        ]

    def _living(self) -> Life:
        """The daemon, born again if it died, ready."""
        until = time.monotonic() + PATIENCE
        while True:
            if self._life is None:
                self._life = self._bear()
            record = read_json(self.root / ".amodal-rt" / "daemon.json")
            if record and record["pid"] == self._life.pid and record["url"]:
                self._url = record["url"]
                self.promised = self.promised or datetime.now(UTC) < self.slot
                return self._life
            if not self._life.alive:
                self._mourn(self._life, self._life.wait())
                self._life = None
            assert time.monotonic() < until, "it is never ready"
            time.sleep(0.004)

    def _bear(self) -> Life:
        self.lives += 1
        fate = self._fates.pop(0) if self._fates else ""
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.folder),
            "AMODAL_RT_FAILPOINTS": fate,
            "AMODAL_RT_FAILPOINTS_LOG": str(self.folder / f"life-{self.lives}.hits"),
        }
        log = self.folder / f"life-{self.lives}.log"
        return self._zygote.bear(self.root, log, variables, "127.0.0.1:0")

    def _mourn(self, life: Life, status: int) -> None:
        """A killed process says nothing; any other end is a fault of its own."""
        assert status == -signal.SIGKILL, f"ended by itself with {status}:\n{life.output()}"
        self.deaths += 1

    def _insist(self, step: Callable[[], T | None]) -> T:
        """Do it until it is done, over as many lives as it takes."""
        until = time.monotonic() + PATIENCE
        last: object = None
        while True:
            life = self._living()
            try:
                if (done := step()) is not None:
                    return done
            except (OSError, AmodalError, sqlite3.Error) as error:
                last = error
            if not life.alive:
                self._mourn(life, life.wait())
                self._life = None
            assert time.monotonic() < until, f"never: {last!r}\n{life.output()}"
            time.sleep(0.01)

    @property
    def _client(self) -> Client:
        return find_client(self.root / ".amodal-rt", actor="ada")

    def _post(self, automation: str, identity: str) -> dict[str, Any] | None:
        """One signed webhook. Done when it is acknowledged."""
        path = urlsplit(self._client.get(f"/v1/automations/{automation}")["webhook_url"]).path
        body = json.dumps({"id": identity}).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Event-Id": identity,
            "X-Signature-256": "sha256="
            + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest(),
        }
        said = {"op": "webhook", "automation": automation, "id": identity}
        self.history.append({**said, "ok": None})
        request = urllib.request.Request(self._url + path, data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                document = json.loads(answer.read())
                self.history.append({**said, "ok": True, "status": answer.status, **document})
                return document
        except urllib.error.HTTPError as error:
            with error:
                if error.code != 503:
                    raise AssertionError(f"{error.code}: {error.read()!r}") from error
            self.history.append({**said, "ok": False, "status": error.code})
            return None

    def _ask(self, verb: str, automation: str) -> dict[str, Any]:
        document = self._client.post(f"/v1/automations/{automation}/{verb}")
        self.history.append({"op": verb, "automation": automation, "ok": True})
        return document

    def _edit(self) -> None:
        """A person saves a file while the daemon runs."""
        self._automation("hook", title="Renamed", **_hook(self._services))
        self._insist(lambda: self._client.get("/v1/automations/hook")["title"] == "Renamed" or None)

    def _is_settled(self) -> bool | None:
        if datetime.now(UTC) < self.slot:
            return None
        uri = f"file:{self.ledger}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=5)) as ledger:
            # Of one moment: the slot may fall due between two answers.
            ledger.execute("BEGIN")
            (runs,) = ledger.execute(
                "SELECT count(*) FROM runs WHERE status IN ('pending', 'running')"
            ).fetchone()
            (owed,) = ledger.execute(
                "SELECT count(*) FROM outbox WHERE status IN ('pending', 'sending')"
            ).fetchone()
            (slots,) = ledger.execute("SELECT count(*) FROM occurrences").fetchone()
        return (runs == 0 and owed == 0 and slots >= self.promised) or None

    @property
    def _services(self) -> str:
        return f"{self._world.services.url}/{self.name}"

    def _furnish(self) -> None:
        here = self._services
        settings = self._world.model.settings(
            limits={"concurrency": 10}, alerts={"heartbeatUrl": f"{here}/heartbeat"}
        )
        self._write("amodal.json", settings)
        self._write(".env", f"MODEL_KEY={CANARIES[1]}\nHOOK_SECRET={SECRET}\n")
        (self.root / ".env").chmod(0o600)
        self._write("stores/kept.json", {"schema": {"type": "object"}})
        crm = {"protocol": "rest", "baseUrl": here, "auth": {"type": "none"}}
        self._write("connections/crm/spec.json", crm)
        tiny = {"protocol": "mcp", "transport": "stdio", "command": sys.executable,
                "args": ["-I", "-S", str(TINY), str(self.folder / "tiny-calls")]}  # fmt: skip
        self._write("connections/tiny/spec.json", tiny)
        web = {"protocol": "mcp", "transport": "http", "url": f"{here}/mcp"}
        self._write("connections/web/spec.json", web)
        alert = {"failureAlert": {"targets": [{"type": "webhook", "url": f"{here}/alerts"}]}}
        result = {"delivery": {"targets": [{"type": "webhook", "url": f"{here}/results"}]}}
        writes = {"writeEnabled": True, **_TAKES, **alert, **result}
        self._automation("hook", **_hook(here))
        self._automation("writer", connections=["crm"], **writes)
        self._automation("tools", connections=["tiny", "web"], **writes)
        again = {"retry": {"attempts": 1, "backoffSeconds": 1}}
        self._automation("flaky", connections=[], **_TAKES, **result, **again)
        self._automation("broken", connections=[], **_TAKES, **alert)
        self._automation("quiet", connections=[], schedule="0 9 1 1 *")
        self._automation("sketch", connections=[], status="draft")
        at = self.slot.isoformat().replace("+00:00", "Z")
        self._automation("slot", connections=[], schedule={"at": at})

    def _automation(self, name: str, **keys: Any) -> None:
        document = {"title": name, "prompt": f"This is scene-{self.name} {name}.", **keys}
        self._write(f"automations/{name}.json", document)

    def _write(self, file: str, content: object) -> None:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.draft")
        draft.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        draft.replace(path)


_TAKES: dict[str, Any] = {
    "trigger": "webhook",
    "webhookAuth": {
        "type": "hmac-sha256", "secret": "env:HOOK_SECRET", "dedupeHeader": "X-Event-Id"
    },
}  # fmt: skip


def _hook(here: str) -> dict[str, Any]:
    targets = [{"type": "webhook", "url": f"{here}/{place}"} for place in ("results", "shaky")]
    return {"connections": [], **_TAKES, "delivery": {"targets": targets}}
