"""The runtime inside another program."""

import asyncio
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest
from daemon_child import automation, write

from amodal_rt import Runtime
from amodal_rt.errors import ConflictError, InvalidError, NotFoundError, TimedOutError


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


def keeps(folder: Path, name: str, **keys: object) -> None:
    """An automation without a model that delivers to the callback of its own name."""
    graph = {
        "kind": "WorkflowGraph",
        "nodes": [
            {"kind": "trigger", "id": "start", "on_success": "sum"},
            {"kind": "transform", "id": "sum", "value": {"given": "{{ payload }}"}},
        ],
    }
    write(folder, f"workflows/{name}.json", graph)
    target = {"type": "callback", "name": name}
    document = {"title": name, "workflow": name, "delivery": {"targets": [target]}, **keys}
    write(folder, f"automations/{name}.json", document)


async def test_each_target_has_the_function_of_its_name(root: Path) -> None:
    keeps(root, "orders")
    keeps(root, "people")
    keeps(root, "others")
    called: asyncio.Queue[tuple[str, object]] = asyncio.Queue()

    async def orders(payload: Mapping[str, object], name: str | None) -> None:
        await called.put(("orders", payload["automation"]))

    async def people(payload: Mapping[str, object], name: str | None) -> None:
        await called.put(("people", payload["automation"]))

    async def rest(payload: Mapping[str, object], name: str | None) -> None:
        await called.put(("rest", name))

    runtime = Runtime(root, on_automation_result={"orders": orders, None: rest})
    async with runtime:
        runtime.register(people, "people")
        for name in ("orders", "people", "others"):
            await runtime.trigger(name)
        heard = [await called.get() for _ in range(3)]

    assert sorted(map(str, heard)) == sorted(
        map(str, [("orders", "orders"), ("people", "people"), ("rest", "others")])
    )


async def test_a_program_invokes_with_a_key_and_the_file_judges_the_payload(root: Path) -> None:
    number = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    keeps(root, "orders", inputSchema=number)

    async with Runtime(root, actor="shop") as runtime:
        first = await runtime.invoke("orders", {"n": 1}, idempotency_key="k")
        again = await runtime.invoke("orders", {"n": 1}, idempotency_key="k")
        with pytest.raises(InvalidError) as caught:
            await runtime.invoke("orders", {"n": "one"})
        run = await runtime.wait(first)
        rows = await runtime.runs(automation="orders", status="completed")

    assert first == again
    assert caught.value.code == "payload_misfit"
    assert (run["trigger"], run["requester"]) == ("invoked", "shop")
    assert [row["run_id"] for row in rows] == [first]


async def test_what_a_program_emits_starts_what_waits_for_it(root: Path) -> None:
    keeps(root, "orders", trigger="order.placed")

    async with Runtime(root) as runtime:
        receipt = await runtime.emit("order.placed", {"n": 7}, id="o-7")
        again = await runtime.emit("order.placed", {"n": 7}, id="o-7")
        (started,) = receipt["runs"]  # pyright: ignore[reportGeneralTypeIssues]
        run = await runtime.wait(started["run_id"])
        entries = [each async for each in runtime.follow(started["run_id"])]

    assert (receipt["status"], again["status"]) == ("accepted", "duplicate")
    assert run["result"]["payload"] == {"given": {"n": 7}}  # pyright: ignore[reportIndexIssue]
    assert [entries[0]["type"], entries[-1]["type"]] == ["run.started", "run.finished"]


async def test_who_waits_for_too_long_is_told_and_the_run_goes_on(root: Path) -> None:
    keeps(root, "orders")
    pause = {"kind": "wait", "id": "start", "duration": "1h"}
    document = {"kind": "WorkflowGraph", "start_node": "start", "nodes": [pause]}
    write(root, "workflows/orders.json", document)

    async with Runtime(root) as runtime:
        run_id = await runtime.trigger("orders")
        with pytest.raises(TimedOutError) as caught:
            await runtime.wait(run_id, timeout_seconds=0.05)
        run = await runtime.run(run_id)
        await runtime.cancel(run_id)

    assert caught.value.code == "still_running"
    assert run["status"] in {"pending", "running"}


async def test_it_is_started_and_stopped_without_a_block_and_started_again(root: Path) -> None:
    keeps(root, "orders")
    runtime = Runtime(root)

    await runtime.stop()
    await runtime.start()
    with pytest.raises(ConflictError) as caught:
        await runtime.start()
    before = await runtime.wait(await runtime.trigger("orders"))
    await runtime.stop_now()
    await runtime.start()
    paused = await runtime.pause("orders", reason="stocktaking")
    kept = await runtime.run(str(before["run_id"]))
    await runtime.resume("orders")
    shown = await runtime.automation("orders")
    await runtime.stop()

    assert caught.value.code == "already_open"
    assert (before["status"], kept["status"]) == ("completed", "completed")
    assert (paused["status"], paused["reason"]) == ("paused", "stocktaking")
    assert shown["status"] == "active"
    assert not runtime_tasks()
