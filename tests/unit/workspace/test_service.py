"""What the workspace keeps: last good versions, also across restarts, and versions by hash."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from amodal_rt.clock import SystemClock
from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.domain.automation import AgentWork
from amodal_rt.domain.workspace import AutomationState
from amodal_rt.errors import InvalidError, UnavailableError
from amodal_rt.ports import ArchivedDefinition
from amodal_rt.storage.sqlite import SqliteLedger
from amodal_rt.workspace.service import Workspace


class House:
    """A folder, a ledger, and workspaces that come and go."""

    def __init__(self, root: Path, ledger: SqliteLedger) -> None:
        self.root = root
        self.ledger = ledger
        self.variables: dict[str, str] = {}

    def write(self, file: str, text: str) -> Path:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def automation(self, name: str, prompt: str = "look", **more: object) -> Path:
        keys = {"title": name, "trigger": "manual", "prompt": prompt, **more}
        return self.write(f"automations/{name}.json", json.dumps(keys))

    async def start(self) -> Workspace:
        workspace = Workspace(
            self.root,
            archive=self.ledger,
            signals=ProcessSignals(),
            clock=SystemClock(),
            process_env=self.variables,
        )
        await workspace.load()
        return workspace


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    (tmp_path / "workspace").mkdir()
    async with SqliteLedger(tmp_path / "ledger.db", clock=SystemClock()) as ledger:
        yield House(tmp_path / "workspace", ledger)


def _prompt(state: AutomationState) -> str | None:
    if state.definition is None:
        return None
    work = state.definition.automation.work
    assert isinstance(work, AgentWork)
    return work.messages[-1].content


async def test_a_broken_file_keeps_its_last_good_version_after_a_restart(house: House) -> None:
    house.automation("daily", "good")
    house.automation("other", "fine")
    first = await house.start()
    good = first.snapshot().automations["daily"].definition
    house.write("automations/daily.json", '{"title": ')

    state = (await house.start()).snapshot().automations["daily"]

    assert state.stale
    assert state.runnable
    assert state.invalid
    assert state.definition
    assert good
    assert (state.definition.hash, _prompt(state)) == (good.hash, "good")


async def test_a_last_good_version_delivers_where_the_targets_of_now_lead(house: House) -> None:
    def settings(host: str) -> str:
        target = {"type": "webhook", "url": f"https://{host}.example/x"}
        return json.dumps({"targets": {"reports": target}})

    house.write("amodal.json", settings("old"))
    house.automation("daily", delivery="reports")
    workspace = await house.start()
    house.write("automations/daily.json", "{")
    await workspace.reload()
    house.write("amodal.json", settings("new"))
    await workspace.reload()

    state = workspace.snapshot().automations["daily"]

    assert state.stale
    assert state.definition
    assert state.definition.automation.delivery
    assert state.definition.automation.delivery.targets[0].url == "https://new.example/x"


async def test_a_good_file_whose_agent_goes_is_blocked_and_not_stale(house: House) -> None:
    house.automation("daily", agent="reviewer")
    agent = house.write("agents/reviewer.md", "Review.")
    workspace = await house.start()
    assert workspace.snapshot().automations["daily"].runnable
    agent.unlink()
    await workspace.reload()

    for each in (workspace, await house.start()):
        state = each.snapshot().automations["daily"]
        assert not state.stale
        assert not state.runnable
        assert [problem.code for problem in state.blocked] == ["unknown_agent"]
        assert state.problems == ()


async def test_a_file_that_never_was_good_has_no_version(house: House) -> None:
    house.write("automations/daily.json", '{"title": ')

    state = (await house.start()).snapshot().automations["daily"]

    assert (state.definition, state.stale, state.runnable) == (None, False, False)
    assert state.problems[0].line == 1


async def test_a_deleted_file_leaves_nothing_to_fall_back_to(house: House) -> None:
    path = house.automation("daily", "good")
    await house.start()
    path.unlink()
    await house.start()
    house.write("automations/daily.json", "{")

    state = (await house.start()).snapshot().automations["daily"]

    assert state.definition is None


async def test_every_version_that_was_live_is_kept_by_hash(house: House) -> None:
    house.automation("daily", "one")
    house.write("connections/runtime/spec.json", '{"protocol": "runtime"}')
    house.write("agents/main.md", "You look.")
    house.write("stores/seen.json", json.dumps({"schema": {"type": "object"}}))
    workspace = await house.start()
    one = workspace.snapshot().automations["daily"].definition
    house.automation("daily", "two")
    await workspace.reload()
    two = workspace.snapshot().automations["daily"].definition
    assert one
    assert two

    kept = [await house.ledger.find_definition(each.hash) for each in (one, two)]
    live = {(each.kind, each.name): each.hash for each in await house.ledger.live()}

    assert [each and each.document for each in kept] == [one.document, two.document]
    assert live["automation", "daily"] == two.hash
    assert {kind for kind, _ in live} == {"automation", "connection", "agent", "store"}


async def test_a_secret_is_in_no_version(house: House) -> None:
    house.variables = {"HOOK_SECRET": "planted-secret-of-some-length"}
    auth = {"type": "hmac-sha256", "secret": "env:HOOK_SECRET"}
    house.automation("hook", trigger="webhook", webhookAuth=auth)

    workspace = await house.start()

    assert workspace.snapshot().automations["hook"].runnable
    versions = await house.ledger.live()
    assert versions
    assert all("planted" not in each.document for each in versions)


async def test_an_unset_secret_stops_the_last_good_version_as_well(house: House) -> None:
    house.variables = {"HOOK_SECRET": "planted-secret-of-some-length"}
    auth = {"type": "hmac-sha256", "secret": "env:HOOK_SECRET"}
    house.automation("hook", trigger="webhook", webhookAuth=auth)
    await house.start()
    house.variables = {}
    house.write("automations/hook.json", "{")

    state = (await house.start()).snapshot().automations["hook"]

    assert state.stale
    assert not state.runnable
    assert [problem.code for problem in state.blocked] == ["env_missing"]


async def test_a_broken_connection_keeps_its_last_good_version(house: House) -> None:
    house.automation("daily", connections=["runtime"])
    house.write("connections/runtime/spec.json", '{"protocol": "runtime"}')
    workspace = await house.start()
    house.write("connections/runtime/spec.json", '{"protocol": ')
    await workspace.reload()

    snapshot = workspace.snapshot()

    assert "runtime" in snapshot.connections
    assert snapshot.automations["daily"].runnable
    assert snapshot.problems[0].file.startswith("connections/runtime")


async def test_a_broken_main_agent_stops_nobody_after_a_restart(house: House) -> None:
    """It works for every automation that names no other."""
    house.automation("daily")
    house.write("agents/main.md", "---\ntemperature: 0.2\ntools: [request]\n---\nYou look.")
    before = (await house.start()).snapshot().agents["main"]
    house.write("agents/main.md", "---\ntemperature: [\n---\n")

    snapshot = (await house.start()).snapshot()

    assert snapshot.agents["main"] == before
    assert snapshot.automations["daily"].runnable
    assert snapshot.problems[0].file == "agents/main.md"


async def test_a_deleted_agent_is_not_remembered(house: House) -> None:
    path = house.write("agents/main.md", "You look.")
    await house.start()
    path.unlink()

    assert (await house.start()).snapshot().agents == {}


async def test_a_connection_that_was_never_good_blocks_who_names_it_and_no_other(
    house: House,
) -> None:
    house.automation("daily", connections=["bad"])
    house.automation("other", connections=[])
    house.write("connections/bad/spec.json", "{")

    states = (await house.start()).snapshot().automations

    assert [problem.code for problem in states["daily"].blocked] == ["broken_connection"]
    assert states["other"].runnable


async def test_broken_settings_at_the_first_start_are_an_error_with_a_place(house: House) -> None:
    house.write("amodal.json", '{"name": ')

    with pytest.raises(InvalidError) as caught:
        await house.start()

    assert caught.value.message.startswith("amodal.json:1")


async def test_a_secret_file_is_looked_at_again(house: House, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    house.variables = {"HOOK_SECRET_FILE": str(secret)}
    auth = {"type": "hmac-sha256", "secret": "env:HOOK_SECRET"}
    house.automation("hook", trigger="webhook", webhookAuth=auth)
    workspace = await house.start()
    assert not workspace.snapshot().automations["hook"].runnable

    secret.write_text("mounted-secret-of-some-length\n")
    await workspace.reload()

    assert workspace.snapshot().automations["hook"].runnable
    assert workspace.environment().get("HOOK_SECRET") == "mounted-secret-of-some-length"


async def test_the_real_environment_wins_over_the_file(house: House) -> None:
    house.variables = {"A": "real"}
    house.write(".env", "A=file\nB=file\n")

    environment = (await house.start()).environment()

    assert (environment.get("A"), environment.get("B")) == ("real", "file")


async def test_nothing_new_is_no_new_snapshot(house: House) -> None:
    house.automation("daily")
    workspace = await house.start()
    before = workspace.snapshot()

    assert not await workspace.reload()
    assert workspace.snapshot() is before


async def test_untouched_automations_are_the_same_objects_in_the_next_snapshot(
    house: House,
) -> None:
    house.automation("daily")
    house.automation("other")
    workspace = await house.start()
    before = workspace.snapshot().automations["other"]
    house.automation("daily", "changed")

    assert await workspace.reload()
    assert workspace.snapshot().automations["other"] is before


PROMPT_FILES = {
    "missing.md": "no_such_file",
    "../outside.md": "outside",
    "/etc/hostname": "outside",
    ".env": "outside",
    "texts/../.env": "outside",
    ".amodal-rt/ledger.db": "outside",
    "x" * 300 + "/y.md": "no_such_file",
    "a\0b": "bad_json",
    "\ud800.md": "bad_json",
    "automations": "not_a_file",
    "fifo": "not_a_file",
    "linked.md": "outside",
}


@pytest.mark.timeout(10)
@pytest.mark.parametrize("path", PROMPT_FILES)
async def test_a_prompt_file_that_cannot_be_had_harms_its_automation_alone(
    house: House, tmp_path: Path, path: str
) -> None:
    house.write(".env", "SECRET=planted\n")
    (tmp_path / "outside.md").write_text("planted")
    (house.root / "linked.md").symlink_to(tmp_path / "outside.md")
    os.mkfifo(house.root / "fifo")
    house.automation("good")
    keys = {"title": "Odd", "trigger": "manual", "promptFile": path}
    house.write("automations/odd.json", json.dumps(keys))

    states = (await house.start()).snapshot().automations

    assert states["good"].runnable
    assert states["odd"].definition is None
    problem = states["odd"].problems[0]
    assert (problem.file, problem.code) == ("automations/odd.json", PROMPT_FILES[path])


class FullDisk:
    """An archive that keeps nothing for as long as it is full."""

    def __init__(self, ledger: SqliteLedger) -> None:
        self.ledger = ledger
        self.full = True

    async def record_live(self, versions: list[ArchivedDefinition]) -> None:
        if self.full:
            raise UnavailableError("full", code="ledger")
        await self.ledger.record_live(versions)

    async def live(self) -> list[ArchivedDefinition]:
        return await self.ledger.live()

    async def forget_live(self, kind: str, name: str) -> None:
        await self.ledger.forget_live(kind, name)

    async def find_definition(self, hash: str, **which: str) -> ArchivedDefinition | None:
        return await self.ledger.find_definition(hash, **which)


async def test_a_ledger_that_takes_nothing_stops_no_reload_and_is_tried_again(
    house: House,
) -> None:
    house.automation("daily")
    archive = FullDisk(house.ledger)
    workspace = Workspace(
        house.root,
        archive=archive,  # pyright: ignore[reportArgumentType]
        signals=ProcessSignals(),
        clock=SystemClock(),
        process_env={},
    )
    await workspace.load()
    assert workspace.snapshot().automations["daily"].runnable
    assert await house.ledger.live() == []

    archive.full = False
    await workspace.reload()

    assert [each.name for each in await house.ledger.live()] == ["daily"]
