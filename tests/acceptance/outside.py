"""The program from outside: commands, daemons, requests."""

import json
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from installed import Installed
from waiting import eventually

Headers = Mapping[str, str]


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The one document on stdout; fails on anything else there."""
        return json.loads(self.out)

    def lines(self) -> list[Any]:
        """The JSON Lines on stdout."""
        return [json.loads(line) for line in self.out.splitlines() if line]


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Headers
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def send(
    url: str, body: bytes | None = b"{}", headers: Headers | None = None, *, method: str = "POST"
) -> Answer:
    """One request, whatever the status of the answer."""
    sent = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data=body, headers=sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers), error.read())


def post_json(url: str, document: object, headers: Headers | None = None) -> Answer:
    """One POST of a JSON document."""
    return send(url, json.dumps(document).encode(), headers)


@dataclass
class Site:
    """A folder with an environment of its own: nothing of the machine's leaks in."""

    installed: Installed
    root: Path
    variables: dict[str, str] = field(default_factory=dict)
    _daemons: list["Daemon"] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("home", "run", "empty"):
            (self.root / name).mkdir(mode=0o700)

    @property
    def workspace(self) -> Path:
        """Where the workspace is, or will be."""
        return self.root / "workspace"

    @property
    def empty(self) -> Path:
        """A folder with nothing in it."""
        return self.root / "empty"

    def environment(self, **more: str) -> dict[str, str]:
        """What a process is given."""
        return {
            "PATH": f"{self.installed.bin}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.root / "home"),
            "XDG_RUNTIME_DIR": str(self.root / "run"),
            "LANG": "C.UTF-8",
            **self.variables,
            **more,
        }

    def run(
        self, *words: str, cwd: Path | None = None, timeout: float = 60, **variables: str
    ) -> Done:
        """Run a command to its end, in the workspace unless `cwd` says otherwise."""
        folder = cwd or (self.workspace if self.workspace.is_dir() else self.empty)
        done = subprocess.run(
            words,
            cwd=folder,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def ops(self, *words: str, cwd: Path | None = None, timeout: float = 60) -> Done:
        """Run `ops …`."""
        return self.run("ops", *words, cwd=cwd, timeout=timeout)

    def ask(self, *words: str) -> Any:
        """The document of `ops … --json`, which must succeed."""
        done = self.ops(*words, "--json")
        assert done.code == 0, f"ops {' '.join(words)}: {done}"
        return done.json()

    def automation(self, name: str) -> dict[str, Any]:
        """Its row in `ops automations list`, or an empty one."""
        rows = self.ask("automations", "list")
        return next((row for row in rows if row["name"] == name), {})

    def live(self, name: str) -> None:
        """Wait until the running daemon knows an automation that was just written."""
        eventually(lambda: self.automation(name), f"{name} is live", seconds=10)

    def hook(self, name: str) -> str:
        """Its webhook URL."""
        return self.ask("automations", "show", name)["webhook_url"]

    def finished(self, run_id: str, *, seconds: float = 30) -> dict[str, Any]:
        """The run, once it has ended."""

        def look() -> dict[str, Any] | None:
            run: dict[str, Any] = self.ask("runs", "show", run_id)
            return None if run["status"] in {"pending", "running"} else run

        return eventually(look, f"{run_id} has ended", seconds=seconds)

    def journal(self, run_id: str) -> list[dict[str, Any]]:
        """The entries of `ops runs logs`."""
        return self.ops("runs", "logs", run_id, "--json").lines()

    def up(self, **options: Any) -> "Daemon":
        """A daemon of the workspace, ready."""
        daemon = Daemon(self, **options)
        self._daemons.append(daemon)
        daemon.start()
        return daemon

    def close(self) -> None:
        """Leave no process behind."""
        for daemon in self._daemons:
            daemon.kill()


class Daemon:
    """`amodal-rt up` as a process that can be stopped, killed and started again."""

    def __init__(self, site: Site, *, workspace: Path | None = None, **variables: str) -> None:
        self.site = site
        self.workspace = workspace or site.workspace
        self.variables = variables
        self.log = site.root / f"daemon-{len(site._daemons)}.log"
        self.errors = self.log.with_suffix(".err")
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The daemon's process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def record(self) -> Path:
        """The file in which a running daemon describes itself."""
        state = self.variables.get("AMODAL_RT_STATE_DIR")
        return (Path(state) if state else self.workspace / ".amodal-rt") / "daemon.json"

    def start(self, *, listen: str | None = None) -> None:
        """Start it and wait until `/readyz` answers 200. A restart keeps its port."""
        address = listen or self.url.removeprefix("http://") or "127.0.0.1:0"
        words = ["amodal-rt", "up", "--workspace", str(self.workspace), "--listen", address]
        with self.log.open("ab") as out, self.errors.open("ab") as err:
            self._process = subprocess.Popen(
                words,
                cwd=self.site.empty,
                env=self.site.environment(**self.variables),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self.url = eventually(self._address, "the daemon says where it listens", seconds=40)
        eventually(lambda: send_quietly(f"{self.url}/readyz") == 200, "/readyz answers 200")

    def _address(self) -> str | None:
        assert self._process is not None
        assert self._process.poll() is None, f"the daemon ended:\n{self.output()}"
        try:
            record = json.loads(self.record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return record["url"] if record["pid"] == self._process.pid else None

    def output(self) -> str:
        """Everything that it has printed so far, on both streams."""
        return self.log.read_text("utf-8", "replace") + self.errors.read_text("utf-8", "replace")

    def kill(self) -> None:
        """SIGKILL: no word of farewell."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait(10)

    def terminate(self) -> None:
        """SIGTERM, without waiting."""
        os.kill(self.pid, signal.SIGTERM)

    def wait(self, seconds: float = 30) -> int:
        """Its exit code, once it has ended."""
        assert self._process is not None
        return self._process.wait(seconds)

    def stop(self) -> int:
        """SIGTERM and its exit code."""
        self.terminate()
        return self.wait()


def send_quietly(url: str) -> int | None:
    """The status of a GET, or None while nobody answers."""
    try:
        return send(url, None, method="GET").status
    except OSError:
        return None


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
