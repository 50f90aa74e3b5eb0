"""A workspace on a real disk, changed in every way that people and programs change files.

Each test waits for the signal that a new snapshot is there, for a bounded time.
"""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from watched_house import House, session_of, text_of

from amodal_rt.domain.workspace import Snapshot
from amodal_rt.workspace.vanishing import GRACE_SECONDS

NO_SWEEP = 600.0
"""What the operating system does not report is not seen: the watch alone must see it."""


def _all_gone(snapshot: Snapshot) -> bool:
    return all(state.gone and state.runnable for state in snapshot.automations.values())


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "workspace")
    house.root.mkdir()
    house.automation("kept", "kept as it is")
    house.automation("daily", "first")
    await house.workspace.load()
    watching = asyncio.create_task(house.workspace.watch(sweep_seconds=NO_SWEEP))
    # The first file that is noticed proves that the watch stands.
    house.automation("watched")
    await house.until_prompt("watched", "look")
    yield house
    assert house.prompt("kept") == "kept as it is", "a change harmed another file"
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_an_edit_is_live(house: House) -> None:
    before = house.workspace.snapshot().version

    house.automation("daily", "second")
    await house.until_prompt("daily", "second")

    assert house.workspace.snapshot().version > before


async def test_a_snapshot_in_hand_stays_as_it_was(house: House) -> None:
    held = house.workspace.snapshot()

    house.automation("daily", "second")
    await house.until_prompt("daily", "second")

    definition = held.automations["daily"].definition
    assert definition
    assert session_of(definition.automation).messages[-1].content == "first"


async def test_a_new_file_is_live(house: House) -> None:
    house.automation("added")

    await house.until_prompt("added", "look")


async def test_a_deleted_file_is_gone(house: House) -> None:
    (house.root / "automations/daily.json").unlink()
    await house.until(lambda _: house.state("daily").gone)
    house.clock.ahead = GRACE_SECONDS
    await house.workspace.reload()

    assert "daily" not in house.workspace.snapshot().automations


async def test_a_renamed_file_is_gone_and_there(house: House) -> None:
    (house.root / "automations/daily.json").rename(house.root / "automations/weekly.json")

    await house.until_prompt("weekly", "first")
    await house.until(lambda snapshot: "daily" not in snapshot.automations)


async def test_an_editors_atomic_replace_is_one_edit(house: House) -> None:
    """Backup, temporary file, rename: as vim and most editors save."""
    path = house.root / "automations/daily.json"
    shutil.copy(path, path.with_name("daily.json~"))
    house.write("automations/.daily.json.swp", "editor")
    house.write("automations/4913", "")
    house.write("automations/#daily.json#", "{")
    temporary = house.write("automations/.daily.json.tmp", text_of("daily", "saved"))
    temporary.replace(path)

    snapshot = await house.until(lambda _: house.prompt("daily") == "saved")

    assert set(snapshot.automations) == {"daily", "kept", "watched"}
    assert snapshot.problems == ()


async def test_a_half_written_file_leaves_the_last_good_version_running(house: House) -> None:
    whole = text_of("daily", "second")
    path = house.root / "automations/daily.json"
    with path.open("w") as stream:
        stream.write(whole[:20])
        stream.flush()
        await house.until(lambda _: house.state("daily").stale)

        state = house.state("daily")
        assert house.prompt("daily") == "first"
        assert state.runnable
        assert state.invalid
        assert state.problems[0].file == "automations/daily.json"
        assert state.problems[0].line

        stream.write(whole[20:])

    await house.until_prompt("daily", "second")
    assert not house.state("daily").stale
    assert house.state("daily").problems == ()


async def test_saves_in_quick_succession_end_with_the_last_one(house: House) -> None:
    for number in range(200):
        house.automation("daily", f"save {number:03}")

    await house.until_prompt("daily", "save 199")


async def test_a_save_that_keeps_size_and_time_is_seen(house: House) -> None:
    path = house.root / "automations/daily.json"
    status = path.stat()

    path.write_text(path.read_text().replace("first", "fifth"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    await house.until_prompt("daily", "fifth")


async def test_a_touch_is_no_change(house: House) -> None:
    before = house.workspace.snapshot().version

    (house.root / "automations/daily.json").touch()
    house.automation("added")
    await house.until_prompt("added", "look")

    assert house.workspace.snapshot().version == before + 1


async def test_a_hundred_files_at_once_are_all_live(house: House) -> None:
    for number in range(100):
        house.automation(f"many-{number}")

    await house.until(lambda snapshot: len(snapshot.automations) == 103)


async def test_a_removed_folder_stops_nothing_and_is_read_when_it_is_there_again(
    house: House,
) -> None:
    for number in range(3):
        shutil.rmtree(house.root / "automations")
        await house.until(_all_gone)
        house.automation("kept", "kept as it is")
        house.automation("daily", f"again {number}")
        await house.until_prompt("daily", f"again {number}")


async def test_a_file_in_a_folder_made_again_is_watched_too(house: House) -> None:
    shutil.rmtree(house.root / "automations")
    house.automation("kept", "kept as it is")
    house.automation("daily", "in the new folder")
    await house.until_prompt("daily", "in the new folder")

    house.automation("daily", "edited there")
    await house.until_prompt("daily", "edited there")


async def test_a_workspace_removed_and_made_again_is_found(house: House) -> None:
    shutil.rmtree(house.root)
    await house.until(_all_gone)
    assert house.prompt("daily") == "first"

    house.automation("kept", "kept as it is")
    house.automation("daily", "made again")
    await house.until_prompt("daily", "made again")


async def test_a_workspace_swapped_for_another_is_read_anew(house: House, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "automations").mkdir(parents=True)
    (other / "automations/kept.json").write_text(text_of("kept", "kept as it is"))
    (other / "automations/daily.json").write_text(text_of("daily", "of the other"))

    house.root.rename(tmp_path / "away")
    other.rename(house.root)

    await house.until_prompt("daily", "of the other")


def _release(house: House, number: int, prompt: str) -> None:
    """One generation of files, swapped in as Kubernetes updates a mounted volume."""
    name = f"..release-{number}"
    house.write(f"{name}/daily.json", text_of("daily", prompt))
    house.write(f"{name}/kept.json", text_of("kept", "kept as it is"))
    link = house.root / "..data_tmp"
    link.symlink_to(name)
    link.replace(house.root / "..data")


async def test_a_swapped_symlinked_folder_is_read_anew(house: House) -> None:
    _release(house, 1, "of release 1")
    shutil.rmtree(house.root / "automations")
    (house.root / "automations").symlink_to("..data")
    await house.until_prompt("daily", "of release 1")

    for number in range(2, 5):
        _release(house, number, f"of release {number}")
        await house.until_prompt("daily", f"of release {number}")
        shutil.rmtree(house.root / f"..release-{number - 1}")
    assert house.workspace.snapshot().problems == ()


async def test_swapped_links_of_single_files_are_read_anew(house: House) -> None:
    _release(house, 1, "of release 1")
    path = house.root / "automations/daily.json"
    path.unlink()
    path.symlink_to("../..data/daily.json")
    await house.until_prompt("daily", "of release 1")

    _release(house, 2, "of release 2")
    await house.until_prompt("daily", "of release 2")


async def test_a_prompt_file_is_watched_wherever_it_stands(house: House) -> None:
    text = json.dumps({"title": "Long", "trigger": "manual", "promptFile": "texts/deep/long.md"})
    house.write("automations/long.json", text)
    await house.until(lambda snapshot: "long" in snapshot.automations)
    assert house.state("long").definition is None

    house.write("texts/deep/long.md", "Read everything.")
    await house.until(lambda _: "everything" in (house.prompt("long") or ""))

    house.write("texts/deep/long.md", "Read nothing.")
    await house.until(lambda _: "nothing" in (house.prompt("long") or ""))


async def test_a_changed_env_file_unblocks_and_blocks(house: House) -> None:
    house.automation(
        "signed",
        trigger="webhook",
        webhookAuth={"type": "hmac-sha256", "secret": "env:HOOK_SECRET"},
    )
    await house.until(lambda snapshot: "signed" in snapshot.automations)
    assert [problem.code for problem in house.state("signed").blocked] == ["env_missing"]
    assert "HOOK_SECRET" in house.state("signed").blocked[0].message

    house.write(".env", "HOOK_SECRET=a-secret-of-enough-length\n").chmod(0o600)
    await house.until(lambda _: house.state("signed").runnable)
    assert house.workspace.environment().get("HOOK_SECRET") == "a-secret-of-enough-length"

    (house.root / ".env").unlink()
    await house.until(lambda _: not house.state("signed").runnable)


async def test_changed_settings_count_for_every_file(house: House) -> None:
    house.write("amodal.json", '{"defaults": {"timezone": "Europe/Berlin"}}')

    def zone(snapshot: Snapshot) -> str | None:
        definition = snapshot.automations["daily"].definition
        return definition.automation.timezone if definition else None

    await house.until(lambda snapshot: zone(snapshot) == "Europe/Berlin")

    house.write("amodal.json", "{")
    broken = await house.until(lambda snapshot: bool(snapshot.problems))
    assert broken.problems[0].file == "amodal.json"
    assert zone(broken) == "Europe/Berlin", "the last good settings stand"

    (house.root / "amodal.json").unlink()
    await house.until(lambda snapshot: zone(snapshot) == "UTC" and not snapshot.problems)


async def test_a_connection_folder_is_noticed_and_watched(house: House) -> None:
    house.automation("daily", "with a connection", connections=["runtime"])
    await house.until(lambda _: bool(house.state("daily").problems))
    assert house.prompt("daily") == "first", "the version that can run goes on"
    assert house.state("daily").stale

    house.write("connections/runtime/spec.json", '{"protocol": "runtime"}')
    await house.until_prompt("daily", "with a connection")

    house.write("connections/runtime/surface.md", "What it offers.")
    await house.until(lambda snapshot: snapshot.connections["runtime"].surface is not None)


async def test_a_twin_makes_both_invalid_until_one_goes(house: House) -> None:
    twin = house.write("automations/daily.md", "---\ntitle: Twin\ntrigger: manual\n---\nlook")
    await house.until(lambda _: house.state("daily").invalid)

    files = {each.file for each in house.state("daily").problems if each.code == "duplicate_stem"}
    assert files == {"automations/daily.json", "automations/daily.md"}
    assert house.prompt("daily") == "first", "the last good version goes on"

    twin.unlink()
    await house.until(lambda _: not house.state("daily").invalid)


async def test_a_change_that_no_watch_reports_is_found_by_the_sweep(tmp_path: Path) -> None:
    """A write through a hard link from elsewhere is one: folders are watched, not files."""
    house = House(tmp_path / "workspace")
    os.link(house.automation("daily", "first"), tmp_path / "elsewhere.json")
    await house.workspace.load()
    watching = asyncio.create_task(house.workspace.watch(sweep_seconds=0.05))

    (tmp_path / "elsewhere.json").write_text(text_of("daily", "from elsewhere"))
    await house.until_prompt("daily", "from elsewhere")

    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_writes_to_the_state_folder_wake_nobody(house: House) -> None:
    """The ledger stands inside the workspace: each commit would cost a look at every file."""
    looks = 0
    read = house.workspace._reader.read

    def counted(now, elapsed=0.0):
        nonlocal looks
        looks += 1
        return read(now, elapsed)

    house.workspace._reader.read = counted
    for number in range(50):
        house.write(".amodal-rt/ledger.db-wal", str(number))
        await asyncio.sleep(0.01)

    assert looks <= 2


async def test_a_name_that_no_watch_can_tell_stops_neither_watch_nor_files(house: House) -> None:
    with suppress(OSError):  # some file systems take UTF-8 alone
        Path(os.fsdecode(os.fsencode(house.root) + b"/automations/bad\xff.json")).write_text("{}")
    house.automation("daily", "second")
    await house.until_prompt("daily", "second")
    house.automation("daily", "third")
    await house.until_prompt("daily", "third")


async def test_what_a_reload_finds_wrong_is_logged_once(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.write("amodal.json", '{"listen":')
    house.automation("broken", schedule="0 0 30 2 *")
    await house.until(lambda snapshot: "broken" in snapshot.automations)
    house.automation("daily", "second")
    await house.until_prompt("daily", "second")

    warned = [each for each in caplog.records if each.getMessage() == "workspace.problem"]
    said = [vars(each)["fields"]["said"] for each in warned]
    assert [sum(name in each for each in said) for name in ("amodal.json:1", "broken.json:1")] == [
        1,
        1,
    ]
