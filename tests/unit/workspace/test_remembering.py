"""What the ledger keeps of `amodal.json`, and a start that finds it broken."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from amodal_rt.clock import SystemClock
from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.errors import InvalidError
from amodal_rt.storage.sqlite import SqliteLedger
from amodal_rt.workspace.remembering import document_of, settings_of
from amodal_rt.workspace.service import Workspace


class House:
    """A folder with an `amodal.json`, and a ledger."""

    def __init__(self, root: Path, ledger: SqliteLedger) -> None:
        self.root, self.ledger = root, ledger

    def say(self, text: str) -> None:
        (self.root / "amodal.json").write_text(text)

    async def start(self) -> Snapshot:
        workspace = Workspace(
            self.root,
            archive=self.ledger,
            signals=ProcessSignals(),
            clock=SystemClock(),
            process_env={},
        )
        await workspace.load()
        return workspace.snapshot()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    (tmp_path / "workspace").mkdir()
    async with SqliteLedger(tmp_path / "ledger.db", clock=SystemClock()) as ledger:
        yield House(tmp_path / "workspace", ledger)


OPS = {"type": "webhook", "url": "https://x.example/in", "secret": "env:S"}
GOOD = {
    "name": "acme",
    "listen": "127.0.0.1:0",
    "database": "postgresql://ada:planted@db.example/amodal",
    "targets": {"ops": OPS},
    "alerts": {"targets": ["ops"], "heartbeatUrl": "env:BEAT"},
}


async def test_settings_that_broke_run_on_in_their_last_good_version(house: House) -> None:
    house.say(json.dumps(GOOD))
    before = (await house.start()).settings
    house.say('{"name": ')

    for _ in range(2):
        snapshot = await house.start()
        assert snapshot.settings.alerts == before.alerts
        assert (snapshot.settings.name, snapshot.settings.listen) == ("acme", "127.0.0.1:0")
        assert [each.file for each in snapshot.problems if each.severity == "error"] == [
            "amodal.json"
        ]
    house.say('{"name": "mended"}')
    assert (await house.start()).settings.name == "mended"


async def test_settings_that_were_deleted_are_not_remembered(house: House) -> None:
    house.say(json.dumps(GOOD))
    await house.start()
    (house.root / "amodal.json").unlink()
    assert (await house.start()).settings.name is None
    house.say("{")

    with pytest.raises(InvalidError, match=r"amodal\.json:1"):
        await house.start()


async def test_with_the_folder_away_the_alerts_still_have_their_targets(house: House) -> None:
    house.say(json.dumps(GOOD))
    folder = house.root / "automations"
    folder.mkdir()
    (folder / "daily.json").write_text('{"title": "D", "trigger": "manual", "prompt": "x"}')
    before = (await house.start()).settings
    house.root.rename(house.root.with_name("aside"))
    house.root.mkdir()

    for _ in range(2):
        assert (await house.start()).settings.alerts == before.alerts


async def test_no_database_and_no_secret_reaches_the_ledger(house: House) -> None:
    house.say(json.dumps(GOOD))
    await house.start()
    assert all("planted" not in each.document for each in await house.ledger.live())

    house.say(json.dumps({**GOOD, "providers": {"a": {"type": "openai", "apiKey": "planted"}}}))
    await house.start()
    assert await house.ledger.live() == []


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ({"providers": {"a": {"type": "openai", "apiKey": "planted"}}}, False),
        ({"providers": {"a": {"type": "openai", "api_key": "planted"}}}, False),
        ({"providers": {"a": {"type": "openai", "apiKey": "env:KEY"}}}, True),
        ({"defaults": {"webhookAuth": {"secret": ["env:A", "planted"]}}}, False),
        ({"defaults": {"webhookAuth": {"secret": ["env:A", "env:B"]}}}, True),
        ({"alerts": {"targets": [{"type": "webhook", "url": "x", "secret": "planted"}]}}, False),
    ],
)
def test_a_secret_in_plain_words_is_found_wherever_it_stands(
    told: dict[str, object], kept: bool
) -> None:
    assert (document_of(b"\xef\xbb\xbf" + json.dumps(told).encode()) is not None) is kept


def test_what_another_release_wrote_and_this_one_does_not_know_is_not_used() -> None:
    assert settings_of('{"name": "acme"}') is not None
    assert settings_of('{"nome": "acme"}') is None
