"""`events/` and `identities.json` as they stand in the snapshot."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from amodal_rt.clock import SystemClock
from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.storage.sqlite import SqliteLedger
from amodal_rt.workspace.service import Workspace


class House:
    """A folder and a ledger."""

    def __init__(self, root: Path, ledger: SqliteLedger) -> None:
        self.root, self.ledger = root, ledger

    def say(self, file: str, content: object) -> None:
        path = self.root / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))

    def people(self, **accounts: str) -> None:
        members = [{"id": id, "accounts": {"github": login}} for id, login in accounts.items()]
        self.say("identities.json", {"members": members})

    async def start(self) -> Workspace:
        workspace = Workspace(
            self.root,
            archive=self.ledger,
            signals=ProcessSignals(),
            clock=SystemClock(),
            process_env={},
        )
        await workspace.load()
        return workspace


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    (tmp_path / "workspace").mkdir()
    async with SqliteLedger(tmp_path / "ledger.db", clock=SystemClock()) as ledger:
        yield House(tmp_path / "workspace", ledger)


async def test_without_the_file_nobodys_membership_is_judged(house: House) -> None:
    snapshot = (await house.start()).snapshot()

    assert not snapshot.identities.known
    assert snapshot.identities.is_member("anybody")


async def test_a_link_is_live_with_the_next_look(house: House) -> None:
    house.people(anna="octocat")
    workspace = await house.start()
    assert workspace.snapshot().identities.find("github:hubot") is None

    house.people(anna="octocat", ben="hubot")

    assert await workspace.reload()
    found = workspace.snapshot().identities.find("github:hubot")
    assert found is not None
    assert found.id == "ben"


async def test_a_broken_file_leaves_the_last_good_members_after_a_restart_too(
    house: House,
) -> None:
    house.people(anna="octocat")
    workspace = await house.start()
    house.say("identities.json", '{"members": ')
    assert await workspace.reload()

    for each in (workspace, await house.start(), await house.start()):
        snapshot = each.snapshot()
        assert set(snapshot.identities.members) == {"anna"}
        assert [problem.file for problem in snapshot.problems] == ["identities.json"]


async def test_a_deleted_file_is_not_remembered(house: House) -> None:
    house.people(anna="octocat")
    workspace = await house.start()
    (house.root / "identities.json").unlink()
    house.say("automations/one.json", {"title": "One", "prompt": "Look."})

    assert await workspace.reload()

    assert not workspace.snapshot().identities.known
    assert not (await house.start()).snapshot().identities.known


async def test_event_types_come_and_go_with_their_files(house: House) -> None:
    workspace = await house.start()
    assert workspace.snapshot().event_types == {}

    house.say("events/deploy.finished.json", {"description": "It ended."})
    assert await workspace.reload()
    assert set(workspace.snapshot().event_types) == {"deploy.finished"}

    house.say("events/deploy.finished.json", {"descripton": "It ended."})
    assert await workspace.reload()
    assert set(workspace.snapshot().event_types) == {"deploy.finished"}
    assert workspace.snapshot().problems[0].file == "events/deploy.finished.json"

    house.say("automations/one.json", {"title": "One", "prompt": "Look."})
    (house.root / "events/deploy.finished.json").unlink()
    assert await workspace.reload()
    assert workspace.snapshot().event_types == {}


async def test_two_files_of_one_type_are_an_error_of_the_second(house: House) -> None:
    house.say("events/a.json", {"type": "deploy.done", "description": "The first."})
    house.say("events/b.json", {"type": "deploy.done", "description": "The second."})

    snapshot = (await house.start()).snapshot()

    assert snapshot.event_types["deploy.done"].description == "The first."
    assert [(each.code, each.file) for each in snapshot.problems] == [
        ("duplicate_event", "events/b.json")
    ]


async def test_an_automation_hears_at_once_of_events_and_members_that_came(house: House) -> None:
    on = {"title": "One", "prompt": "Look.", "trigger": "deployed", "runAs": "anna"}
    house.say("automations/one.json", on)
    house.people(ben="hubot")
    workspace = await house.start()
    before = workspace.snapshot().automations["one"]
    assert before.invalid
    found = {each.code for each in (*before.problems, *before.blocked)}
    assert found == {"unknown_trigger", "unknown_member"}

    house.say("events/deployed.json", {"description": "It ended."})
    house.people(ben="hubot", anna="octocat")
    assert await workspace.reload()

    after = workspace.snapshot().automations["one"]
    assert after.problems == ()
    assert after.runnable
