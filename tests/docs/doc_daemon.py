"""The program of this tree as a process, in a folder with an environment of its own."""

import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


class Daemon:
    """`amodal-rt up` on a copy of the example workspace, and commands against it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = folder / "workspace"
        self.environment = {
            "PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "AMODAL_RT_LISTEN": "127.0.0.1:0",
        }
        (folder / "run").mkdir(mode=0o700)
        self._process: subprocess.Popen[str] | None = None

    def start(self, *command: str) -> None:
        """Start it, by `command` or plainly, and wait until it is ready."""
        if not command:
            shutil.copytree(ROOT / "automations.example", self.workspace)
            command = ("amodal-rt", "up", "--workspace", str(self.workspace))
        with (self.folder / "out").open("w") as out, (self.folder / "err").open("w") as err:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=out, stderr=err, text=True
            )
        self._until_ready()

    def _until_ready(self) -> None:
        deadline = time.monotonic() + 45
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, self.output()
            # Its record appears a little before it has greeted.
            if "daemon.ready" in self.output():
                return
            time.sleep(0.05)
        raise AssertionError(f"not ready: {self.output()}")

    def stop(self) -> None:
        """End it, politely and then not."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)

    def output(self) -> str:
        """What it has printed on both streams."""
        return (self.folder / "out").read_text() + (self.folder / "err").read_text()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command in the folder, to its end."""
        return subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    def ask(self, *words: str) -> Any:
        """The document that `ops … --json` prints."""
        done = self.run("ops", *words, "--json")
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def save(self, name: str, document: object) -> None:
        """Write an automation and wait until it is live."""
        text = json.dumps(document)
        (self.workspace / "automations" / f"{name}.json").write_text(text, encoding="utf-8")
        deadline = time.monotonic() + 10
        while self.run("ops", "automations", "show", name).returncode != 0:
            assert time.monotonic() < deadline, f"{name} never came alive: {self.output()}"
            time.sleep(0.05)


def call(url: str, body: bytes) -> tuple[int, Any]:
    """POST to a webhook: status and document."""
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
