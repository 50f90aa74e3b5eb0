"""The typed client against a real daemon: everything that a program does with it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from api_house import ADA, ApiHouse, api_house
from daemon_child import automation, write

from amodal_rt import ApiClient, ApiError
from amodal_rt.api import AutomationRun

ADDS = {
    "kind": "WorkflowGraph",
    "nodes": [
        {"kind": "trigger", "id": "start", "on_success": "sum"},
        {"kind": "transform", "id": "sum", "value": {"given": "{{ payload }}"}},
    ],
}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[ApiHouse, None]:
    root = tmp_path / "workspace"
    write(root, "workflows/adds.json", ADDS)
    for name, keys in {
        "invoked": {"inputSchema": SCHEMA},
        "heard": {"trigger": "order.placed"},
        "timed": {"schedule": "0 9 * * *"},
    }.items():
        write(root, f"automations/{name}.json", {"title": name, "workflow": "adds", **keys})
    waits = {"kind": "wait", "id": "start", "duration": "1h"}
    write(
        root,
        "workflows/waits.json",
        {"kind": "WorkflowGraph", "start_node": "start", "nodes": [waits]},
    )
    write(root, "automations/slow.json", {"title": "Slow", "workflow": "waits"})
    async with api_house(root) as opened:
        yield opened


@asynccontextmanager
async def client_of(api: ApiHouse, *scopes: str) -> AsyncGenerator[ApiClient, None]:
    secret = await api.secret(*scopes, name="program")
    async with ApiClient(api.url, secret) as client:
        yield client


async def test_a_program_invokes_waits_and_reads_the_journal(api: ApiHouse) -> None:
    async with client_of(api, "read", "trigger") as client:
        run = await client.invoke("invoked", {"n": 1}, idempotency_key="k")
        again = await client.invoke("invoked", {"n": 1}, idempotency_key="k")
        ended = await client.wait(run["id"], timeout_seconds=30)
        page = await client.runs.journal(run["id"], limit=2)
        steps = [each async for each in client.runs.steps(run["id"])]
        shown = await client.runs.get(run["id"])

    assert again["id"] == run["id"]
    assert ended["status"] == "completed"
    assert shown == ended
    assert ended["result"] is not None
    assert ended["result"]["payload"] == {"given": {"n": 1}}
    assert len(page["data"]) == 2
    assert page["has_more"]
    assert [each["sequence"] for each in steps] == list(range(1, len(steps) + 1))
    assert [each["node_id"] for each in steps if each["type"] == "node_completed"] == [
        "start",
        "sum",
    ]


async def test_each_change_of_a_run_is_streamed_to_its_end(api: ApiHouse) -> None:
    async with client_of(api, "read", "trigger") as client:
        run = await client.invoke("slow")
        told: list[AutomationRun] = []
        async for each in client.stream(run["id"]):
            told.append(each)
            if each["reason"] == "waiting":
                await api.house.runs.cancel(ADA, f"run_{each['id'].removeprefix('atr_')}")

    assert told[-1]["status"] == "cancelled"
    assert len(told) >= 2
    assert len({(each["status"], each["reason"]) for each in told}) == len(told)


async def test_who_waits_for_too_long_is_told(api: ApiHouse) -> None:
    async with client_of(api, "read", "trigger") as client:
        run = await client.invoke("slow")
        with pytest.raises(ApiError) as caught:
            await client.wait(run["id"], timeout_seconds=0.1)

    assert (caught.value.code, caught.value.status) == ("still_running", None)


async def test_runs_come_page_by_page_and_all(api: ApiHouse) -> None:
    async with client_of(api, "read", "trigger") as client:
        made = [(await client.invoke("invoked", {"n": n}))["id"] for n in range(3)]
        for each in made:
            await client.wait(each)
        first = await client.automations.runs("invoked", limit=2)
        older = await client.automations.runs("invoked", before_cursor=first["before_cursor"])
        found = [
            each["id"] async for each in client.runs.all(automation="invoked", status="completed")
        ]
        none = await client.runs.list(status="failed")

    assert [each["id"] for each in (*first["data"], *older["data"])] == made[::-1]
    assert found == made[::-1]
    assert none["data"] == []


async def test_an_automation_is_made_changed_let_run_and_taken_away(api: ApiHouse) -> None:
    async with client_of(api, "read", "manage") as client:
        made = await client.automations.create({"name": "Fresh", "prompt": "Look around."})
        changed = await client.automations.update(made["id"], {"description": "New."})
        active = await client.automations.activate(made["id"])
        paused = await client.automations.pause("fresh", reason="stocktaking")
        kept = api.file("fresh.json")
        await client.automations.delete("fresh")
        with pytest.raises(ApiError) as gone:
            await client.automations.get("fresh")
        names = [each["lookup_key"] async for each in client.automations.all()]
        timed = await client.automations.list(type="scheduled", limit=1)

    assert (made["status"], changed["description"]) == ("draft", "New.")
    assert (active["status"], paused["status"]) == ("running", "paused")
    assert kept["description"] == "New."
    assert (gone.value.status, gone.value.kind) == (404, "not_found")
    assert names == ["heard", "invoked", "slow", "timed"]
    assert [each["name"] for each in timed["data"]] == ["timed"]


async def test_a_program_makes_an_automation_of_a_workflow_and_grants_it_no_variable(
    api: ApiHouse,
) -> None:
    async with client_of(api, "read", "trigger", "manage") as client:
        made = await client.automations.create({"name": "Adding", "workflow": "adds"})
        with pytest.raises(ApiError) as denied:
            await client.automations.update(made["id"], {"env": ["HOME"]})
        await client.automations.activate(made["id"])
        run = await client.wait((await client.invoke("adding", {"n": 2}))["id"])

    assert run["result"] is not None
    assert run["result"]["payload"] == {"given": {"n": 2}}
    assert (denied.value.status, denied.value.code) == (403, "power_not_granted")
    assert "env" not in api.file("adding.json")


async def test_an_event_starts_what_waits_for_it_and_counts_once(api: ApiHouse) -> None:
    async with client_of(api, "read", "trigger") as client:
        receipt = await client.events.emit("order.placed", {"n": 7}, id="o-7", subject="o-7")
        again = await client.events.emit("order.placed", {"n": 7}, id="o-7")
        fresh = await client.events.emit("order.placed", {"n": 8})
        run = await client.wait(receipt["runs"][0]["run_id"])
        names = {each["name"] for each in await client.automations.event_names()}

    assert (receipt["status"], again["status"], fresh["status"]) == (
        "accepted",
        "duplicate",
        "accepted",
    )
    assert run["result"] is not None
    assert run["result"]["payload"] == {"given": {"n": 7}}
    assert "thread.member_joined" in names


@pytest.mark.parametrize(
    ("name", "payload", "status", "code"),
    [
        ("invoked", {"n": "one"}, 422, "payload_misfit"),
        ("timed", {}, 409, "not_invoked"),
        ("nobody", {}, 404, "automation_not_found"),
        ("../../v1/tokens", {}, 404, "automation_not_found"),
    ],
)
async def test_what_is_refused_is_one_exception(
    api: ApiHouse, name: str, payload: dict[str, object], status: int, code: str
) -> None:
    async with client_of(api, "read", "trigger") as client:
        with pytest.raises(ApiError) as caught:
            await client.invoke(name, payload)

    assert (caught.value.status, caught.value.code) == (status, code)
    assert str(caught.value) == caught.value.message


async def test_a_token_that_may_not_is_told_so(api: ApiHouse) -> None:
    async with client_of(api, "read") as client:
        with pytest.raises(ApiError) as caught:
            await client.automations.delete("timed")
        document = await client.openapi()
    async with ApiClient(api.url, "art_nobody") as stranger:
        with pytest.raises(ApiError) as unknown:
            await stranger.runs.list()

    assert (caught.value.status, caught.value.kind) == (403, "denied")
    assert (unknown.value.status, unknown.value.code) == (401, "unauthorized")
    assert document["openapi"] == "3.1.0"


async def test_an_agent_answers_over_the_api_as_well(api: ApiHouse) -> None:
    automation(api.root, "quick", connections=[])
    await api.house.ground.workspace.reload()
    async with client_of(api, "read", "trigger") as client:
        run = await client.wait((await client.invoke("quick"))["id"])

    assert run["result"] is not None
    assert str(run["result"]["text"]).startswith("[rehearsal]")
