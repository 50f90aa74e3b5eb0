"""`profiles/` in a folder that changes: the latest version, and versions that stay as they are."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from folder_house import House

from amodal_rt.clock import SystemClock
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.profile import ProfileName, find_profile, used_key
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.storage.sqlite import SqliteLedger

RUN = {"title": "Run", "command": ["true"], "profile": "box"}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    (tmp_path / "workspace").mkdir()
    async with SqliteLedger(tmp_path / "ledger.db", clock=SystemClock()) as ledger:
        yield House(tmp_path / "workspace", ledger)


def problems(snapshot: Snapshot, name: str = "run") -> list[Problem]:
    state = snapshot.automations[name]
    return [*state.problems, *state.blocked]


def labels(snapshot: Snapshot) -> list[str]:
    return [each.label for each in snapshot.profiles]


async def test_without_a_version_the_latest_counts_and_a_new_one_is_live_at_once(
    house: House,
) -> None:
    write(house, "box/1.json", {"cpus": 1})
    house.write("automations/run.json", RUN)
    await house.start()
    write(house, "box/12.json", {"cpus": 2})
    write(house, "box/2.json", {"cpus": 3})

    snapshot = await house.look()

    assert labels(snapshot) == ["box@1", "box@2", "box@12"]
    latest = find_profile(snapshot.profiles, ProfileName("box"))
    assert latest is not None
    assert latest.label == "box@12"
    assert problems(snapshot) == []


async def test_a_used_version_may_not_change_and_goes_on_as_it_was(
    house: House,
) -> None:
    write(house, "box/1.json", {"cpus": 1})
    house.write("automations/run.json", RUN)
    before = (await house.start()).profiles[0]
    await house.ledger.set_fact(used_key("box@1"), before.hash)
    write(house, "box/1.json", {"cpus": 4})

    changed = await house.look()
    again = await house.start()

    for snapshot in (changed, again):
        [problem] = snapshot.problems
        assert (problem.code, problem.file) == ("profile_changed", "profiles/box/1.json")
        assert "profiles/box/2.json" in (problem.hint or "")
        assert snapshot.profiles == (before,)
        assert snapshot.automations["run"].runnable


async def test_an_unused_version_may_change(house: House) -> None:
    write(house, "box/1.json", {"cpus": 1})
    await house.start()
    write(house, "box/1.json", {"cpus": 4})

    snapshot = await house.look()

    assert snapshot.profiles[0].bounds.cpus == 4
    assert snapshot.problems == ()


async def test_other_white_space_is_no_change(house: House) -> None:
    write(house, "box/1.json", {"cpus": 1})
    before = (await house.start()).profiles[0]
    await house.ledger.set_fact(used_key("box@1"), before.hash)
    write(house, "box/1.json", '{\n  "cpus":   1\n}\n')

    assert (await house.look()).problems == ()


async def test_what_an_automation_wants_of_a_profile_is_checked(
    house: House,
) -> None:
    write(house, "box/1.json", {"network": ["x.example"], "agent": "coder", "connections": ["a"]})
    write(house, "broken/1.json", "{")
    asks = {
        "near": {"profile": "boxx"},
        "version": {"profile": "box@7"},
        "broken": {"profile": "broken"},
        "write": {"profile": "box", "agent": "coder"},
        "agent": {"profile": "box", "writeEnabled": True, "agent": "main"},
        "none": {"profile": "box", "writeEnabled": True},
        "bound": {"profile": "box", "agent": "coder", "writeEnabled": True, "connections": ["b"]},
        "missing": {"profile": None},
    }
    for name, more in asks.items():
        house.write(f"automations/{name}.json", {**RUN, **more})
    house.write("agents/coder.md", "code")

    snapshot = await house.start()

    codes = {name: [each.code for each in problems(snapshot, name)] for name in asks}
    assert codes == {
        "near": ["unknown_profile"],
        "version": ["unknown_profile"],
        "broken": ["broken_profile"],
        "write": ["write_not_enabled"],
        "agent": ["not_bound"],
        "none": [],
        "bound": ["unknown_connection", "not_bound"],
        "missing": ["no_profile"],
    }
    bound = snapshot.automations["none"].definition
    assert bound is not None
    assert bound.automation.agent == "coder"
    assert "did you mean box?" in (problems(snapshot, "near")[0].hint or "")


async def test_what_an_agent_that_is_a_program_needs_is_checked(house: House) -> None:
    write(house, "still/1.json", {"mounts": [{"source": "data", "target": "/data"}]})
    read = {"host": "x.example", "intent": "read"}
    write(house, "open/1.json", {"network": [read]})
    write(house, "both/1.json", {"network": [read], "mounts": [{"source": "d", "target": "/d"}]})
    write(house, "writer/1.json", {"network": ["x.example"]})
    house.write("agents/coder.md", "---\nloop: {program: [claude, -p]}\n---\nCode.")
    run = {"title": "Run", "prompt": "x", "agent": "coder"}
    asks = {
        "none": {},
        "still": {"profile": "still"},
        "open": {"profile": "open"},
        "both": {"profile": "both"},
        "accepted": {"profile": "both", "acknowledge": ["trifecta"]},
        "writer": {"profile": "writer"},
        "shell": {"profile": "still", "tools": ["bash"]},
    }
    for name, more in asks.items():
        house.write(f"automations/{name}.json", {**run, **more})

    snapshot = await house.start()

    codes = {name: [each.code for each in problems(snapshot, name)] for name in asks}
    assert {name: each for name, each in codes.items() if each} == {
        "none": ["no_profile"],
        "both": ["tainted_program"],
        "writer": ["write_not_enabled"],
        "shell": ["not_granted"],
    }


async def test_a_profile_whose_variable_is_not_set_stops_its_automations(
    house: House,
) -> None:
    write(house, "box/1.json", {"environment": {"T": "env:NOT_SET_ANYWHERE"}})
    house.write("automations/run.json", RUN)

    state = (await house.start()).automations["run"]

    assert [each.code for each in state.blocked] == ["env_missing"]


async def test_what_a_profile_binds_and_is_not_there_is_a_warning(house: House) -> None:
    house.write("connections/shop/spec.json", {"protocol": "rest", "baseUrl": "https://s.example"})
    house.write("agents/coder.md", "Code.")
    write(house, "box/1.json", {"connections": ["gone"]})
    write(house, "box/2.json", {"connections": ["shop", "shpo"], "agent": "codre"})
    write(house, "fine/1.json", {"connections": ["shop"], "agent": "coder"})

    snapshot = await house.start()
    house.write("connections/shpo/spec.json", {"protocol": "rest", "baseUrl": "https://s.example"})
    mended = await house.look()

    found = [(each.file, each.code, each.severity, each.hint) for each in snapshot.problems]
    assert found == [
        ("profiles/box/2.json", "unknown_connection", "warning", "did you mean shop?"),
        ("profiles/box/2.json", "unknown_agent", "warning", "did you mean coder?"),
    ]
    assert [each.code for each in mended.problems] == ["unknown_agent"]


async def test_a_message_about_a_parked_write_that_will_have_no_link_is_a_warning(
    house: House,
) -> None:
    target = {"type": "webhook", "url": "https://hooks.example/in"}
    asks = {"title": "Run", "prompt": "x", "approvals": {"targets": [target]}}
    house.write("automations/run.json", asks)

    [warning] = problems(await house.start())
    house.write("amodal.json", {"publicUrl": "https://runs.example"})
    mended = problems(await house.look())

    assert (warning.code, warning.severity, warning.line) == ("no_link", "warning", 1)
    assert "publicUrl" in (warning.hint or "")
    assert mended == []


async def test_stray_files_are_told_of(house: House) -> None:
    write(house, "box/one.json", {})
    write(house, "box/notes.txt", "")
    house.write("profiles/stray.json", {})

    found = {each.file: each.code for each in (await house.start()).problems}

    assert found == {
        "profiles/box/one.json": "bad_name",
        "profiles/box/notes.txt": "not_read",
        "profiles/stray.json": "not_read",
    }


def write(house: House, file: str, content: object) -> None:
    house.write(f"profiles/{file}", content)
