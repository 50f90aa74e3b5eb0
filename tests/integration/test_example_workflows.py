"""The workflows of the example, from what starts them to what somebody is told, without a model."""

import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from daemon_child import write

from amodal_rt import Runtime
from amodal_rt.clock import SystemClock
from amodal_rt.testing.receiver import Receiver

EXAMPLE = Path(__file__).parents[2] / "automations.example"
MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
OURS = {"welcome-new-members", "daily-digest-flow", "ingestion-failure"}
FAILED = {"ingestion_id": "cig_1", "status": "failed", "error": "the page answered 404"}


class SetClock(SystemClock):
    """The machine's clock, set to another time at the start."""

    def __init__(self, at: datetime) -> None:
        self._ahead = at - super().now()

    def now(self) -> datetime:
        return super().now() + self._ahead


class Desk:
    """The example, served; what it tells the target `reports` is received."""

    def __init__(self, runtime: Runtime, receiver: Receiver) -> None:
        self.runtime = runtime
        self.receiver = receiver

    async def emitted(self, type: str, data: object) -> dict[str, Any]:
        """The run that an event starts, ended."""
        receipt: Any = await self.runtime.emit(type, data)
        (started,) = receipt["runs"]
        return await self.ended(started["run_id"])

    async def ended(self, run_id: str) -> dict[str, Any]:
        return dict(await self.runtime.wait(run_id, timeout_seconds=30))

    async def nodes(self, run: dict[str, Any]) -> list[str]:
        """The nodes that the run finished, in order."""
        entries: list[Any] = [each async for each in self.runtime.follow(run["run_id"])]
        return [each["data"]["node"] for each in entries if each["type"] == "node.finished"]

    async def told(self, number: int) -> dict[str, Any]:
        """What the receiver got as its message of that number."""
        return (await self.receiver.received(number))[number - 1].json


@asynccontextmanager
async def served(root: Path, receiver: Receiver, at: datetime) -> AsyncGenerator[Desk, None]:
    async with Runtime(root, clock=SetClock(at)) as runtime:
        yield Desk(runtime, receiver)


@pytest.fixture
def root(tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("AMODAL_RT_STATE_DIR", raising=False)
    folder = tmp_path / "workspace"
    shutil.copytree(EXAMPLE, folder)
    for path in (folder / "automations").iterdir():
        if path.stem not in OURS:
            path.unlink()
    targets = {"reports": {"type": "webhook", "url": "env:REPORTS_URL", "label": "reports"}}
    private = {"allowPrivate": ["127.0.0.0/8"]}
    write(folder, "amodal.json", {"name": "example", "targets": targets, "egress": private})
    write(folder, ".env", f"REPORTS_URL={receiver.url('/reports')}\n").chmod(0o600)
    return folder


async def test_an_event_welcomes_a_new_member_once(root: Path, receiver: Receiver) -> None:
    joined = {"thread_id": "thr_1", "user_id": "usr_ada", "name": "Ada"}
    async with served(root, receiver, MONDAY) as desk:
        run = await desk.emitted("thread.member_joined", joined)
        nodes = await desk.nodes(run)
        message = await desk.told(1)
        again = await desk.emitted("thread.member_joined", joined)
        seen = await desk.nodes(again)
        nobody: Any = await desk.runtime.emit("thread.member_joined", joined | {"user_id": None})

    text = "Welcome, Ada! Say what you work on, and ask whatever you like."
    assert (run["status"], run["trigger"], run["model"]) == ("completed", "event", None)
    assert run["result"]["payload"] == {"new": True, "text": text}
    assert run["result"]["output"] == ["Ada is new in thr_1"]
    assert nodes == ["joined", "member", "new", "greeting", "keep", "tell", "greeted"]
    assert (message["automation"], message["result"]) == ("welcome-new-members", text)
    assert seen == ["joined", "member", "new", "known"]
    assert again["result"]["payload"] == {"new": False, "text": text}
    assert nobody["runs"] == []
    assert len(receiver.requests) == 1


async def test_a_slot_counts_what_ran_and_tells_what_failed(root: Path, receiver: Receiver) -> None:
    async with served(root, receiver, MONDAY) as desk:
        # A payload without what the graph wants: a failure of that day.
        broken = await desk.ended(await desk.runtime.trigger("welcome-new-members", payload={}))
        first = await desk.ended(await desk.runtime.trigger("daily-digest-flow"))
    # The slot of five past nine comes and goes while nobody serves, and is caught up.
    async with served(root, receiver, MONDAY + timedelta(minutes=10)) as desk:
        async with SystemClock().deadline(30):
            while not (rows := await desk.runtime.runs(automation="daily-digest-flow", limit=1)):
                await SystemClock().sleep(0.02)
            while rows[0]["scheduled_for"] is None:
                await SystemClock().sleep(0.02)
                rows = await desk.runtime.runs(automation="daily-digest-flow", limit=1)
        run = await desk.ended(str(rows[0]["run_id"]))
        nodes = await desk.nodes(run)
        messages = [await desk.told(number) for number in (1, 2)]

    assert broken["status"] == "failed"
    assert 'node "member"' in broken["error"]
    assert first["result"]["payload"]["counts"]["failed"] == 1
    assert (run["status"], run["trigger"]) == ("completed", "catch_up")
    assert run["scheduled_for"] == "2026-03-02T09:05:00Z"
    assert nodes == ["morning", "runs", "digest", "broken", "tell", "done"]
    payload = run["result"]["payload"]
    assert payload["counts"] == {"completed": 1, "failed": 1, "skipped": 0, "cancelled": 0}
    assert payload["broken"].keys() == {"welcome-new-members"}
    assert run["result"]["output"] == ["1 completed, 1 failed, 0 skipped, 0 cancelled"]
    assert messages[1]["result"] == payload["text"]
    assert messages[1]["run_id"] == run["run_id"]


async def test_the_third_failure_in_a_row_is_escalated_and_a_success_forgets(
    root: Path, receiver: Receiver
) -> None:
    failed = {**FAILED, "source_id": "wiki"}
    async with served(root, receiver, MONDAY) as desk:
        runs = [await desk.emitted("context.ingestion.failed", failed) for _ in range(3)]
        nodes = [await desk.nodes(each) for each in (runs[0], runs[2])]
        message = await desk.told(1)
        house = desk.runtime._house
        events: Any = await house.event_bus.list_all(
            desk.runtime._caller, automation=None, type="ingestion.escalated", limit=9
        )
        well = await desk.emitted(
            "context.ingestion.succeeded",
            {"ingestion_id": "cig_2", "source_id": "wiki", "status": "succeeded"},
        )
        anew = await desk.emitted("context.ingestion.failed", failed)
        other = await desk.emitted("context.ingestion.failed", FAILED)

    text = "wiki could not be read 3 times in a row: the page answered 404"
    assert [each["result"]["payload"]["failures"] for each in runs] == [1, 2, 3]
    assert nodes[0] == ["failed", "before", "count", "keep", "often", "done"]
    assert nodes[1] == ["failed", "before", "count", "keep", "often", "escalate", "tell", "done"]
    assert (message["automation"], message["result"]) == ("ingestion-failure", text)
    assert [each["type"] for each in events] == ["ingestion.escalated"]
    assert well["result"]["payload"]["failures"] == 0
    assert anew["result"]["payload"]["failures"] == 1
    assert other["result"]["payload"]["source"] == "cig_1"
    assert len(receiver.requests) == 1
