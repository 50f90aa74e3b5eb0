"""Webhook ids: stable, found by id, rotated singly."""

import asyncio
from collections.abc import Mapping

from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.domain.workspace import AutomationState, Snapshot
from amodal_rt.intake.endpoints import Endpoints
from amodal_rt.ports import FACTS, AutomationFacts
from amodal_rt.settings import Environment

KEY = b"k" * 32


class Files:
    """A catalogue and a ledger of rotations, to be changed by the test."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.version = 1
        self.rotations: dict[str, int] = {}

    def snapshot(self) -> Snapshot:
        states = {name: AutomationState(name=name, file=f"{name}.json") for name in self.names}
        return Snapshot(version=self.version, automations=states)

    def environment(self) -> Environment:
        return Environment()

    async def automation_facts(self) -> Mapping[str, AutomationFacts]:
        return {
            name: AutomationFacts(name=name, rotation=count)
            for name, count in self.rotations.items()
        }


def test_an_id_leads_back_to_its_automation() -> None:
    files = Files("a", "b")
    endpoints = Endpoints(KEY, files, files)

    assert endpoints.find(endpoints.id_for("a")) == "a"
    assert endpoints.find(endpoints.id_for("b")) == "b"
    assert endpoints.find("auto_0000000000000000") is None
    assert endpoints.find("") is None


def test_ids_are_stable_under_one_key_and_differ_under_another() -> None:
    files = Files("a")

    assert Endpoints(KEY, files, files).id_for("a") == Endpoints(KEY, files, files).id_for("a")
    assert Endpoints(KEY, files, files).id_for("a") != Endpoints(b"x", files, files).id_for("a")


def test_a_new_snapshot_counts_at_once() -> None:
    files = Files("a")
    endpoints = Endpoints(KEY, files, files)
    assert endpoints.find(endpoints.id_for("b")) is None

    files.names, files.version = ["b"], 2

    assert endpoints.find(endpoints.id_for("b")) == "b"
    assert endpoints.find(endpoints.id_for("a")) is None


async def test_a_rotation_moves_one_automation_and_ends_its_old_id() -> None:
    files = Files("a", "b")
    endpoints = Endpoints(KEY, files, files)
    old, other = endpoints.id_for("a"), endpoints.id_for("b")

    files.rotations = {"a": 1}
    await endpoints.refresh()

    assert endpoints.id_for("a") != old
    assert endpoints.find(endpoints.id_for("a")) == "a"
    assert endpoints.find(old) is None
    assert endpoints.find(other) == "b"


async def test_a_changed_fact_is_noticed_without_being_asked_for() -> None:
    files, signals = Files("a"), ProcessSignals()
    endpoints = Endpoints(KEY, files, files)
    old = endpoints.id_for("a")
    running = asyncio.create_task(endpoints.run(signals))
    await asyncio.sleep(0)

    files.rotations = {"a": 1}
    signals.notify(FACTS)
    for _ in range(10):
        await asyncio.sleep(0)

    assert endpoints.id_for("a") != old

    running.cancel()
    assert endpoints.find(old) is None
