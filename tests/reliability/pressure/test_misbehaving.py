"""Models, servers and tools that hang, drip, flood and lie: each run ends, everything goes on."""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

import pytest
from daemon_child import Child, automation, daemon, eventually, write
from figures import Figures
from hostile_http import Hostile
from stub_model import Chat, Model, Say, Turn, Use, get, use

SECONDS = 2
"""`limits.timeoutSeconds` of every run here."""
SUPERVISOR_SECONDS = 5.0
SERVER = str(Path(__file__).parent / "mcp_child.py")
MODELS = ("silent", "drips", "drips_head", "streams", "floods", "garbage", "nonsense", "closes")
TOOLS = ("silent", "drips", "floods", "ring", "garbage")
CHILDREN = ("hangs", "swallows", "floods", "one_line", "forks", "exits", "spins")
MEMORY_MB = 200
"""How far the daemon may grow while gigabytes are thrown at it."""


def _house(root: Path, model: Model, hostile: Hostile) -> list[str]:
    """A workspace with one automation for each way to misbehave; their names."""
    settings = model.settings()
    for mode in MODELS:
        settings["providers"][f"bad-{mode.replace('_', '-')}"] = {
            "type": "openai-compatible",
            "baseUrl": f"{hostile.url}/{mode}/v1",
            "apiKey": "env:MODEL_KEY",
        }
        reference = f"bad-{mode.replace('_', '-')}:m"
        _automation(root, f"model-{mode}", model=reference)
    for mode in TOOLS:
        spec = {"protocol": "rest", "baseUrl": f"{hostile.url}/{mode}"}
        write(root, f"connections/http-{mode}/spec.json", spec)
        _automation(root, f"http-{mode}", connections=[f"http-{mode}"])
    for mode in (*CHILDREN, "never_starts"):
        name = f"mcp-{mode.replace('_', '-')}"
        spec = {"protocol": "mcp", "command": sys.executable, "args": [SERVER, mode],
                "env": {"AMODAL_TEST_CALLS": str(root.parent)}}  # fmt: skip
        write(root, f"connections/{name}/spec.json", spec)
        write(root, f"connections/{name}/access.json", {"tools": {"work": {"intent": "read"}}})
        _automation(root, name, connections=[name])
    write(root, "amodal.json", settings)
    automation(root, "healthy", trigger="webhook", connections=[])
    return [
        *(f"model-{mode}" for mode in MODELS),
        *(f"http-{mode}" for mode in TOOLS),
        *(f"mcp-{mode.replace('_', '-')}" for mode in (*CHILDREN, "never_starts")),
    ]


def _automation(root: Path, name: str, **keys: Any) -> None:
    limits = {"timeoutSeconds": SECONDS, "concurrency": 1}
    automation(root, name, prompt=f"I am {name}.", limits=limits, **keys)


def _brain(chat: Chat) -> Turn:
    """Uses the one tool that the run has, then says that it is done."""
    if chat.turn or not chat.tools:
        return Say("done")
    for name in chat.tools:
        if name.endswith("__work"):
            return Use(((name, {}),))
    told = chat.everything
    found = next((mode for mode in TOOLS if f"I am http-{mode}." in told), None)
    return Use((get(f"http-{found}", "/items"),)) if found else Say("done")


def _memory_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _processes_below(pid: int) -> dict[int, str]:
    """Each process that descends from it, with its command."""
    found: dict[int, str] = {}
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in map(int, task.read_text("ascii").split()):
                words = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ")
                found |= {child: words.decode("utf-8", "replace"), **_processes_below(child)}
        except OSError:
            continue
    return found


def _unused(mode: str, calls: Path | None) -> bool:
    return calls is not None and mode in CHILDREN and not (calls / mode).exists()


def _no_process_below(pid: int, calls: Path | None = None) -> None:
    """None but servers that were never called: on a busy machine a run may end before."""

    def left_below() -> list[str]:
        words = (each.split() for each in _processes_below(pid).values())
        return [" ".join(each) for each in words if each and not _unused(each[-1], calls)]

    until = time.monotonic() + 60
    while left := left_below():
        assert time.monotonic() < until, left
        time.sleep(0.1)


class Watch:
    """Posts webhooks all the while and looks at the daemon's memory."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.hook = child.client.get("/v1/automations/healthy")["webhook_url"]
        self.took: list[float] = []
        self.runs: list[str] = []
        self.most_mb = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self.before_mb = _memory_mb(self.child.process.pid)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            began = time.monotonic()
            status, answer = self.child.post(self.hook)
            assert status == 202, answer
            self.took.append(time.monotonic() - began)
            self.runs.append(answer["run_id"])
            self.most_mb = max(self.most_mb, _memory_mb(self.child.process.pid))


def test_nothing_that_misbehaves_outlives_its_deadline_or_harms_others(
    scene: Path, model: Model, figures: Figures
) -> None:
    model.brain = _brain
    root = scene / "w"
    with Hostile() as hostile:
        names = _house(root, model, hostile)
        with daemon(root, MODEL_KEY="key") as child:
            for warm in ("healthy", "http-ring"):
                started = child.client.post(f"/v1/automations/{warm}/trigger", {})
                assert child.finished(started["run_id"])["status"] == "completed"
            with Watch(child) as watch:
                runs = {
                    name: child.client.post(f"/v1/automations/{name}/trigger", {})["run_id"]
                    for name in names
                }
                rows = {name: child.finished(run_id) for name, run_id in runs.items()}
            late = {
                name: row["duration_seconds"]
                for name, row in rows.items()
                if row["duration_seconds"] > SECONDS + SUPERVISOR_SECONDS
            }
            assert not late
            assert {row["status"] for row in rows.values()} <= {"failed", "completed"}
            hanging = ("model-silent", "model-drips", "http-silent", "mcp-hangs", "mcp-spins")
            assert {rows[name]["reason"] for name in hanging} == {"timed_out"}, rows
            # All ten slots are free, and every other run had its turn.
            for run_id in watch.runs:
                assert child.finished(run_id)["status"] == "completed"
            assert watch.most_mb - watch.before_mb < MEMORY_MB
            _no_process_below(child.process.pid, scene)
            figures.add("misbehaving", len(names))
            figures.add("webhooks_beside", len(watch.runs))
            slow = sorted(watch.took)[int(len(watch.took) * 0.9)]
            figures.note("webhook_p90_ms", round(slow * 1000))
            figures.note("growth_mb", round(watch.most_mb - watch.before_mb))
            assert slow < 1.0
            assert max(watch.took) < SUPERVISOR_SECONDS
            assert child.stop() == 0


def test_a_loop_that_stands_still_is_told_of_and_goes_on(scene: Path, model: Model) -> None:
    root = scene / "w"
    write(root, "amodal.json", model.settings())
    automation(root, "one")
    armed = {"AMODAL_RT_FAILPOINTS": "run.before_execute=sleep:2500"}
    with daemon(root, MODEL_KEY="key", **armed) as child:
        started = child.client.post("/v1/automations/one/trigger", {})
        assert child.finished(started["run_id"])["status"] == "completed"
        eventually(lambda: "daemon.loop_freed" in child.output)
        told = next(line for line in child.output.splitlines() if "daemon.loop_blocked" in line)
    assert "failpoints.py" in told


def test_a_loop_that_never_comes_back_ends_the_process_and_the_run_is_recovered(
    scene: Path, model: Model, figures: Figures
) -> None:
    root = scene / "w"
    write(root, "amodal.json", model.settings())
    automation(root, "one")
    armed = {"AMODAL_RT_FAILPOINTS": "run.before_execute=sleep:120000"}
    child = Child(root, MODEL_KEY="key", AMODAL_RT_WATCHDOG_SECONDS="2", **armed).ready()
    try:
        run_id = child.client.post("/v1/automations/one/trigger", {})["run_id"]
        assert child.process.wait(30) == 70
        assert "daemon.loop_dead" in child.output
        assert "Current thread" in child.output or "Thread 0x" in child.output
    finally:
        if child.process.alive:
            os.kill(child.process.pid, signal.SIGKILL)
    with daemon(root, MODEL_KEY="key") as again:
        assert again.finished(run_id)["status"] == "completed"
    figures.add("misbehaving")


@pytest.mark.parametrize("mode", ["spins", "swallows"])
def test_an_mcp_server_that_answers_no_more_is_ended_and_started_anew(
    scene: Path, model: Model, mode: str
) -> None:
    root = scene / "w"
    write(root, "amodal.json", model.settings())
    spec = {"protocol": "mcp", "command": sys.executable, "args": [SERVER, mode]}
    write(root, "connections/kid/spec.json", spec)
    write(root, "connections/kid/access.json", {"tools": {"work": {"intent": "read"}}})
    # Long enough that its call reaches the server, however long that takes to start.
    automation(root, "one", limits={"timeoutSeconds": 4 * SECONDS})
    model.brain = lambda chat: Say("done") if chat.turn else use("kid__work")
    with daemon(root, MODEL_KEY="key") as child:
        for _ in range(2):
            started = child.client.post("/v1/automations/one/trigger", {})
            assert child.finished(started["run_id"])["reason"] == "timed_out"
            _no_process_below(child.process.pid)
