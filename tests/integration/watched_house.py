"""A served workspace on a real disk, and a way to wait for what it becomes."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from amodal_rt.clock import SystemClock
from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.domain.automation import AgentWork, Automation
from amodal_rt.domain.workspace import AutomationState, Snapshot
from amodal_rt.ports import SNAPSHOT
from amodal_rt.workspace.service import Workspace

PATIENCE = 10.0
"""Seconds; a machine under load is slow, a change that is never seen is a defect."""


class AheadClock(SystemClock):
    """The clock of the machine; what a grace is counted by may be `ahead` of it."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


def session_of(automation: Automation) -> AgentWork:
    """Its work, which is an agent session."""
    assert isinstance(automation.work, AgentWork)
    return automation.work


class House:
    """A served workspace, and a way to wait for what its next snapshots say."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.signals, self.clock = ProcessSignals(), AheadClock()
        self.workspace = Workspace(
            root, archive=None, signals=self.signals, clock=self.clock, process_env={}
        )

    def write(self, file: str, text: str) -> Path:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def automation(self, name: str, prompt: str = "look", **more: object) -> Path:
        return self.write(f"automations/{name}.json", text_of(name, prompt, **more))

    def state(self, name: str) -> AutomationState:
        return self.workspace.snapshot().automations[name]

    def prompt(self, name: str) -> str | None:
        state = self.workspace.snapshot().automations.get(name)
        definition = state.definition if state else None
        return session_of(definition.automation).messages[-1].content if definition else None

    async def until(self, holds: Callable[[Snapshot], bool]) -> Snapshot:
        """The first snapshot from now on that `holds`."""
        with self.signals.listen(SNAPSHOT) as changed:
            async with asyncio.timeout(PATIENCE):
                while not holds(self.workspace.snapshot()):
                    await changed()
        return self.workspace.snapshot()

    async def until_prompt(self, name: str, prompt: str | None) -> None:
        await self.until(lambda _: self.prompt(name) == prompt)


def text_of(name: str, prompt: str = "look", **more: object) -> str:
    return json.dumps({"title": name.title(), "trigger": "manual", "prompt": prompt, **more})
