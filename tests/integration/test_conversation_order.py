"""Events of one conversation keep their turns, whatever their sources say of the time."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sent_by_providers as sent
from daemon_child import automation, write

from amodal_rt import Runtime, ids
from amodal_rt.client import find_client

KEY = "the-key-of-this-workspace"


class Door:
    """The integrations of one daemon, for senders that wait until their runs have ended."""

    def __init__(self, runtime: Runtime, root: Path) -> None:
        self._runtime = runtime
        self._state = root / ".amodal-rt"

    async def send(self, name: str, body: bytes, headers: dict[str, str]) -> Any:
        url = f"{self._runtime.url}/integrations/{name}/{ids.integration(KEY.encode(), name)}"
        kind = {"Content-Type": "application/json", **headers}
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=body, headers=kind) as answer,
        ):
            told = await answer.json()
        return told, await self._runtime.wait(told["run_id"])

    async def again(self, event_id: str) -> Any:
        client = find_client(self._state, actor="ada")
        path = f"/v1/events/{event_id}/replay"
        told = await asyncio.to_thread(client.post, path, {"again": True})
        return await self._runtime.wait(told["runs"][0]["run_id"])


@pytest.fixture
async def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("AMODAL_RT_WEBHOOK_KEY", KEY)
    for name in ("AMODAL_RT_STATE_DIR", "AMODAL_RT_LISTEN"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "workspace"
    write(folder, ".env", f"SECRET={sent.SECRET}\n").chmod(0o600)
    for name in ("github", "slack"):
        secret = {"provider": name, "secret": "env:SECRET"}
        write(folder, f"integrations/{name}.json", secret)
    automation(folder, "issue", trigger="github.*", conversationKey="{{ payload.issue.number }}")
    automation(folder, "thread", trigger="slack.*", conversationKey="{{ payload.event.channel }}")
    async with Runtime(folder, listen="127.0.0.1:0") as runtime:
        yield Door(runtime, folder)


async def test_two_events_of_one_second_both_run_however_their_deliveries_are_named(
    door: Door,
) -> None:
    ended: list[str] = []
    for delivery, action in (("f0", "opened"), ("0f", "labeled"), ("00", "closed")):
        data = json.loads(sent.github_issue()) | {"action": action}
        data["issue"] |= {"number": 7, "updated_at": "2026-01-05T09:00:00Z"}
        body = json.dumps(data).encode()
        _, run = await door.send("github", body, sent.github(body, delivery=delivery))
        ended.append(run["reason"] or run["status"])

    assert ended == ["completed"] * 3


async def test_a_conversation_goes_on_after_one_of_its_events_was_replayed(door: Door) -> None:
    ended: list[str] = []
    # All of them happen before the first is replayed; two are told of after that.
    happened = datetime.now(UTC).timestamp() - 1
    for number in range(3):
        stamp = f"{happened + number / 1000:.6f}"
        event = {"type": "app_mention", "channel": "C1", "ts": stamp, "event_ts": stamp}
        said = {"type": "event_callback", "event_id": f"Ev{number}", "event": event}
        body = json.dumps(said).encode()
        told, run = await door.send("slack", body, sent.slack(body))
        again = await door.again(told["event_id"])
        ended += [run["reason"] or run["status"], again["reason"] or again["status"]]

    assert ended == ["completed"] * 6
