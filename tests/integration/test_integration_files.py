"""Files of `integrations/` as they are saved, broken and taken away under a running daemon."""

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sent_by_providers as sent
from daemon_child import automation, write

from amodal_rt import Runtime

KEY = "a-key-that-nobody-guesses"
PATH = f"/integrations/acme/{KEY}"
FILE: dict[str, Any] = {
    "provider": "custom",
    "secret": ["env:NEW_SECRET", "env:OLD_SECRET"],
    "endpointKey": KEY,
    "header": "Acme-Signature",
    "key": "h1",
    "separator": ";",
    "signed": "{timestamp}:{body}",
    "timestamp": {"part": "ts"},
    "dedup": {"body": "id"},
    "eventType": {"body": "kind"},
    "bytes": 1000,
}
SECRETS = {"NEW_SECRET": "the-newer-secret-of-acme", "OLD_SECRET": "the-older-secret-of-acme"}


def dotenv(root: Path, **values: str) -> None:
    text = "".join(f"{name}={value}\n" for name, value in values.items())
    write(root, ".env", text).chmod(0o600)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for name in ("AMODAL_RT_STATE_DIR", "AMODAL_RT_LISTEN", "AMODAL_RT_WEBHOOK_KEY"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "workspace"
    dotenv(folder, **SECRETS)
    write(folder, "integrations/acme.json", FILE)
    automation(folder, "watch", trigger="acme.order.paid", status="paused")
    return folder


@pytest.fixture
async def session(root: Path) -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        Runtime(root, listen="127.0.0.1:0") as runtime,
        aiohttp.ClientSession(str(runtime.url)) as session,
    ):
        yield session


async def send(
    session: aiohttp.ClientSession,
    id: str,
    *,
    secret: str = SECRETS["NEW_SECRET"],
    path: str = PATH,
) -> tuple[int, dict[str, Any]]:
    body, at = sent.body_of({"kind": "order.paid", "id": id}), str(int(time.time()))
    digest = hmac.new(secret.encode(), f"{at}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {"Acme-Signature": f"ts={at};h1={digest}"}
    async with session.post(path, data=body, headers=headers) as answer:
        return answer.status, json.loads(await answer.text())


async def until(session: aiohttp.ClientSession, status: int, **keys: str) -> None:
    """Nothing that a test could await tells of a reload."""
    async with asyncio.timeout(30):
        for number in itertools.count():
            if (await send(session, f"probe {number}", **keys))[0] == status:
                return
            await asyncio.sleep(0.05)


async def test_any_sender_that_signs_can_be_described_and_its_secret_rotated(
    session: aiohttp.ClientSession,
) -> None:
    status, told = await send(session, "1")
    assert (status, told["status"], told["reason"]) == (202, "skipped", "paused")
    assert [each["automation"] for each in told["runs"]] == ["watch"]

    assert (await send(session, "1", secret=SECRETS["OLD_SECRET"]))[0] == 200
    assert (await send(session, "2", secret=SECRETS["OLD_SECRET"]))[0] == 202
    assert (await send(session, "3", secret="a-secret-of-somebody-else"))[0] == 401
    assert (await send(session, "x" * 1000))[0] == 413


async def test_a_broken_file_leaves_the_last_good_one_and_a_deleted_one_nothing(
    root: Path, session: aiohttp.ClientSession
) -> None:
    assert (await send(session, "1"))[0] == 202
    write(root, "integrations/acme.json", '{"provider": ')
    write(root, "integrations/other.json", {**FILE, "endpointKey": "another-key-for-other"})
    await until(session, 202, path="/integrations/other/another-key-for-other")
    assert (await send(session, "2"))[0] == 202

    (root / "integrations/acme.json").unlink()
    await until(session, 404)


async def test_a_secret_that_is_taken_away_is_503_until_it_is_back(
    root: Path, session: aiohttp.ClientSession
) -> None:
    dotenv(root, OTHER="x")
    await until(session, 503)
    dotenv(root, NEW_SECRET=SECRETS["NEW_SECRET"])
    await until(session, 202)


async def test_an_address_whose_key_is_taken_away_or_is_no_key_is_503_until_it_is_back(
    root: Path, session: aiohttp.ClientSession
) -> None:
    write(root, "integrations/acme.json", {**FILE, "endpointKey": "env:ADDRESS"})
    await until(session, 503)
    dotenv(root, **SECRETS, ADDRESS="short")
    assert (await send(session, "1", path="/integrations/acme/short"))[0] == 503
    dotenv(root, **SECRETS, ADDRESS="another-key-of-acme")
    await until(session, 202, path="/integrations/acme/another-key-of-acme")
    assert (await send(session, "2"))[0] == 404
