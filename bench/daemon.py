"""A daemon process on a workspace of its own, as a user would start it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from amodal_rt.client import Client, find_client

WAIT_SECONDS = 60


class Daemon:
    """A running daemon; `ready_seconds` is from the start of its process to `/readyz` 200."""

    def __init__(self, root: Path, process: subprocess.Popen[bytes], ready_seconds: float) -> None:
        self.root = root
        self.process = process
        self.ready_seconds = ready_seconds
        self.state = root / ".amodal-rt"
        self.url = str(json.loads((self.state / "daemon.json").read_text())["url"])
        self.client: Client = find_client(self.state, actor="bench")

    def memory_mb(self) -> float:
        """Resident memory of the process."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("the daemon has no memory figure")


@contextmanager
def workspace(files: Mapping[str, object]) -> Iterator[Path]:
    """A folder with `automations/` and the given files, gone afterwards."""
    root = Path(tempfile.mkdtemp(prefix="amodal-bench-"))
    try:
        (root / "automations").mkdir()
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        yield root
    finally:
        shutil.rmtree(root)


@contextmanager
def daemon(root: Path) -> Iterator[Daemon]:
    """Start, wait until ready, stop."""
    environment = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    command = [sys.executable, "-m", "amodal_rt", "up", "--workspace", str(root)]
    log = (root / "daemon.log").open("wb")
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0"], stdout=log, stderr=log, env=environment
    )
    try:
        _wait_ready(root, process)
        yield Daemon(root, process, time.perf_counter() - began)
    finally:
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def _wait_ready(root: Path, process: subprocess.Popen[bytes]) -> None:
    record = root / ".amodal-rt" / "daemon.json"
    until = time.perf_counter() + WAIT_SECONDS
    while time.perf_counter() < until:
        if process.poll() is not None:
            raise RuntimeError((root / "daemon.log").read_text())
        if record.exists() and _ready(record):
            return
        time.sleep(0.002)
    raise RuntimeError("the daemon did not become ready")


def _ready(record: Path) -> bool:
    try:
        url = json.loads(record.read_text())["url"]
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return answer.status == 200
    except (ValueError, KeyError, OSError, urllib.error.URLError):
        return False
