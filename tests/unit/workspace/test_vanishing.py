"""A file that is not there: a deletion is believed after a while, a missing folder never."""

import json
import shutil
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.domain.workspace import AutomationState, Snapshot
from amodal_rt.storage.sqlite import SqliteLedger
from amodal_rt.testing.clock import FakeClock
from amodal_rt.workspace.service import Workspace
from amodal_rt.workspace.vanishing import GRACE_SECONDS


class House:
    """A folder, a ledger, and workspaces that come and go."""

    def __init__(self, root: Path, ledger: SqliteLedger, clock: FakeClock) -> None:
        self.root, self.ledger, self.clock = root, ledger, clock
        self.workspace = self._made()

    def _made(self) -> Workspace:
        return Workspace(
            self.root,
            archive=self.ledger,
            signals=ProcessSignals(),
            clock=self.clock,
            process_env={},
        )

    def write(self, file: str, text: str) -> Path:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def automation(self, name: str, prompt: str = "look", **more: object) -> Path:
        keys = {"title": "Job", "trigger": "manual", "prompt": prompt, **more}
        return self.write(f"automations/{name}.json", json.dumps(keys))

    def remove(self, name: str) -> None:
        (self.root / f"automations/{name}.json").unlink()

    async def start(self) -> Snapshot:
        self.workspace = self._made()
        await self.workspace.load()
        return self.workspace.snapshot()

    async def later(self, seconds: float = 0) -> Snapshot:
        await self.clock.advance(seconds)
        await self.workspace.reload()
        return self.workspace.snapshot()

    async def remembered(self) -> set[str]:
        return {each.name for each in await self.ledger.live() if each.kind == "automation"}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    clock = FakeClock()
    async with SqliteLedger(tmp_path / "ledger.db", clock=clock) as ledger:
        made = House(tmp_path / "workspace", ledger, clock)
        for name in ("daily", "other", "third"):
            made.automation(name, f"{name} words")
        await made.start()
        yield made


def _versions(states: Mapping[str, AutomationState]) -> dict[str, str | None]:
    return {name: each.definition and each.definition.hash for name, each in states.items()}


def _codes(snapshot: Snapshot) -> list[str]:
    return [each.code for each in snapshot.problems]


async def test_a_file_that_is_gone_for_a_moment_changes_nothing(house: House) -> None:
    before = house.workspace.snapshot().automations["daily"]
    house.remove("daily")
    gone = (await house.later()).automations["daily"]
    house.automation("daily", "daily words")
    back = (await house.later(GRACE_SECONDS - 1)).automations["daily"]

    assert (gone.stale, gone.runnable, gone.invalid, gone.gone) == (True, True, True, True)
    assert gone.definition is before.definition
    assert [each.code for each in gone.problems] == ["file_gone"]
    assert back == before


async def test_a_file_that_stays_away_is_deleted_and_forgotten(house: House) -> None:
    house.remove("daily")
    assert "daily" in (await house.later()).automations
    assert "daily" in (await house.later(GRACE_SECONDS - 0.5)).automations
    assert "daily" in await house.remembered()

    assert set((await house.later(0.5)).automations) == {"other", "third"}
    assert await house.remembered() == {"other", "third"}


async def test_each_absence_counts_for_itself(house: House) -> None:
    for _ in range(3):
        house.remove("daily")
        await house.later()
        assert "daily" in (await house.later(GRACE_SECONDS - 1)).automations
        house.automation("daily", "daily words")
        assert not (await house.later(5)).automations["daily"].stale


async def test_a_clock_that_jumps_deletes_nothing(house: House) -> None:
    house.remove("daily")
    await house.later()
    house.clock.jump(timedelta(days=1))

    assert "daily" in (await house.later()).automations


async def test_a_file_never_good_is_kept_for_the_while_too_and_cannot_run(house: House) -> None:
    house.write("automations/bad.json", "{")
    await house.later()
    house.remove("bad")
    state = (await house.later()).automations["bad"]

    assert (state.definition, state.runnable, state.gone) == (None, False, True)
    assert "bad" not in (await house.later(GRACE_SECONDS)).automations


@pytest.mark.parametrize("seconds", [0, 3])
async def test_a_rename_is_believed_at_once(house: House, seconds: float) -> None:
    path = house.root / "automations/daily.json"
    path.rename(house.root / "aside")
    if seconds:
        await house.later()
    (house.root / "aside").rename(path.with_name("weekly.json"))

    snapshot = await house.later(seconds)

    assert set(snapshot.automations) == {"weekly", "other", "third"}
    assert not snapshot.automations["weekly"].stale


async def test_a_new_file_with_other_words_is_no_rename(house: House) -> None:
    house.remove("daily")
    house.automation("weekly", "other words")

    assert {"daily", "weekly"} < set((await house.later()).automations)


@pytest.mark.parametrize("how", ["removed", "emptied", "unreadable", "a file"])
async def test_a_folder_that_cannot_be_seen_deletes_nothing(house: House, how: str) -> None:
    before = house.workspace.snapshot()
    folder = house.root / "automations"
    folder.rename(house.root / "aside")
    if how == "unreadable":
        folder.symlink_to(folder.name)
    elif how == "emptied":
        folder.mkdir()
    elif how == "a file":
        folder.write_text("")
    for _ in range(3):
        snapshot = await house.later(GRACE_SECONDS)

        assert {name: each.definition for name, each in snapshot.automations.items()} == {
            name: each.definition for name, each in before.automations.items()
        }
        assert all(each.stale and each.runnable for each in snapshot.automations.values())
        assert "workspace_missing" in _codes(snapshot)
    assert await house.remembered() == {"daily", "other", "third"}

    folder.rmdir() if folder.is_dir() else folder.unlink(missing_ok=True)
    (house.root / "aside").rename(folder)
    assert await house.later() == Snapshot(
        version=house.workspace.snapshot().version, automations=before.automations
    )


async def test_all_files_gone_at_once_are_not_believed_to_be_deleted(house: House) -> None:
    for name in ("daily", "other", "third"):
        house.remove(name)
        snapshot = await house.later(1)

    assert _codes(snapshot) == ["workspace_missing"]
    assert "last good versions run on, 3 in all" in snapshot.problems[0].message
    assert len((await house.later(3_600)).automations) == 3

    # With one of them there again, the others count as deleted like any other.
    house.automation("daily", "daily words")
    assert len((await house.later()).automations) == 3
    assert set((await house.later(GRACE_SECONDS)).automations) == {"daily"}


async def test_the_last_file_alone_can_be_deleted(house: House) -> None:
    for name in ("daily", "other", "third"):
        house.remove(name)
        await house.later()
        await house.later(GRACE_SECONDS)

    assert (house.workspace.snapshot().automations, await house.remembered()) == ({}, set())


async def test_an_empty_folder_in_the_place_of_the_last_file_is_no_deletion(house: House) -> None:
    for name in ("other", "third"):
        house.remove(name)
    await house.later()
    await house.later(GRACE_SECONDS)
    (house.root / "automations").rename(house.root / "aside")
    (house.root / "automations").mkdir()

    assert set((await house.later(3_600)).automations) == {"daily"}


async def test_with_the_whole_workspace_away_its_settings_stand_too(house: House) -> None:
    house.write("amodal.json", json.dumps({"name": "acme"}))
    house.write(".env", "A=b").chmod(0o600)
    house.write("agents/reviewer.md", "Review.")
    house.write("connections/runtime/spec.json", '{"protocol": "runtime"}')
    house.automation("daily", agent="reviewer", connections=["runtime"])
    before = await house.later()
    house.root.rename(house.root.with_name("aside"))
    away = await house.later(3_600)

    assert away.automations["daily"].runnable
    assert (away.settings, away.agents, away.connections) == (
        before.settings, before.agents, before.connections,
    )  # fmt: skip
    assert house.workspace.environment().get("A") == "b"

    house.root.with_name("aside").rename(house.root)
    (house.root / "amodal.json").unlink()
    back = await house.later()
    assert back.settings.name is None
    assert back.automations == before.automations


async def test_after_a_restart_without_the_folder_what_was_live_goes_on(house: House) -> None:
    house.write("agents/reviewer.md", "Review.")
    house.automation("daily", agent="reviewer")
    before = (await house.later()).automations
    shutil.rmtree(house.root / "automations")
    shutil.rmtree(house.root / "agents")

    for _ in range(2):
        snapshot = await house.start()
        states = snapshot.automations
        assert _versions(states) == _versions(before)
        assert all(each.stale and each.runnable for each in states.values())
        assert "reviewer" in snapshot.agents
        assert _codes(snapshot) == ["workspace_missing"]

    house.automation("daily")
    assert (await house.later()).agents == {}
    assert set((await house.later(GRACE_SECONDS)).automations) == {"daily"}


async def test_after_a_restart_a_file_deleted_meanwhile_is_gone_at_once(house: House) -> None:
    house.remove("daily")

    assert set((await house.start()).automations) == {"other", "third"}
