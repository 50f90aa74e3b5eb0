"""The runtime inside another program."""

import asyncio
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest
from daemon_child import automation, write

from amodal_rt import Runtime
from amodal_rt.errors import ConflictError, NotFoundError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for name in ("AMODAL_RT_STATE_DIR", "AMODAL_RT_LISTEN", "AMODAL_RT_WEBHOOK_KEY"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "workspace"
    automation(folder, "digest", delivery={"targets": [{"type": "callback", "name": "keep"}]})
    return folder


async def test_a_run_is_started_awaited_and_its_result_called_back(root: Path) -> None:
    results: asyncio.Queue[tuple[Mapping[str, object], str | None]] = asyncio.Queue()

    async def keep(payload: Mapping[str, object], name: str | None) -> None:
        await results.put((payload, name))

    async with Runtime(root, on_automation_result=keep) as runtime:
        run_id = await runtime.trigger("digest", payload={"n": 1})
        run = await runtime.wait(run_id)
        payload, name = await results.get()

    assert (run["run_id"], run["status"], run["requester"]) == (run_id, "completed", "runtime")
    assert (payload["run_id"], payload["automation"], name) == (run_id, "digest", "keep")
    assert payload["model"] == "rehearsal"


async def test_a_plain_function_is_called_too(root: Path) -> None:
    results: list[object] = []
    called = asyncio.Event()
    loop = asyncio.get_running_loop()

    def keep(payload: Mapping[str, object], name: str | None) -> None:
        results.append(payload["automation"])
        loop.call_soon_threadsafe(called.set)

    async with Runtime(root, on_automation_result=keep) as runtime:
        await runtime.wait(await runtime.trigger("digest"))
        await called.wait()

    assert results == ["digest"]


async def test_it_listens_only_when_asked(root: Path) -> None:
    async with Runtime(root) as silent:
        assert silent.url is None

    async with Runtime(root, listen="127.0.0.1:0") as open_to_all:
        url = f"{open_to_all.url}/readyz"
        answer = await asyncio.to_thread(urllib.request.urlopen, url, timeout=5)
        assert answer.status == 200
        answer.close()


async def test_one_program_serves_a_workspace_at_a_time(root: Path) -> None:
    async with Runtime(root):
        with pytest.raises(ConflictError) as caught:
            await Runtime(root).__aenter__()

    assert caught.value.code == "daemon_running"


async def test_outside_its_block_it_says_so(root: Path) -> None:
    runtime = Runtime(root)

    with pytest.raises(ConflictError) as caught:
        await runtime.trigger("digest")

    assert caught.value.code == "not_open"


async def test_the_daemon_is_listed_and_ended_with_the_block(root: Path) -> None:
    async with Runtime(root) as runtime:
        (row,) = await runtime.automations()
        assert row["name"] == "digest"
        with pytest.raises(NotFoundError):
            await runtime.wait("run_none")
        assert (root / ".amodal-rt/control.sock").exists()

    assert not (root / ".amodal-rt/control.sock").exists()
    assert not runtime_tasks()


def runtime_tasks() -> list[str]:
    """Tasks beside the test's own."""
    mine = asyncio.current_task()
    return [task.get_name() for task in asyncio.all_tasks() if task is not mine]


async def test_a_reload_is_seen_by_the_program(root: Path) -> None:
    async with Runtime(root) as runtime:
        automation(root, "fresh")
        async with asyncio.timeout(10):
            # Nothing that a test could await tells a program of a reload.
            while len(await runtime.automations()) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def test_a_secret_is_in_no_document(root: Path) -> None:
    secret = "sk-planted-9f3a77c1"
    write(root, ".env", f"HOOK_SECRET={secret}\n")
    automation(
        root,
        "signed",
        trigger="webhook",
        webhookAuth={"type": "hmac-sha256", "secret": "env:HOOK_SECRET"},
        prompt="Say what you see.",
    )
    async with Runtime(root) as runtime:
        run = await runtime.wait(await runtime.trigger("signed", payload={"leak": secret}))
        rows = await runtime.automations()

    assert secret not in str(rows)
    assert secret not in str(run)
