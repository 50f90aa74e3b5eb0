"""The platform's published Python client, unchanged, pointed at us with `base_url`."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from api_house import ApiHouse, api_house
from archastro.platform.client import AsyncPlatformClient
from archastro.platform.runtime.http_client import ApiError
from daemon_child import automation

from amodal_rt import ids
from amodal_rt.ports import RunFilter

CLIENTS: list[Any] = []
"""Those of a test, closed at its end."""


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[ApiHouse, None]:
    root = tmp_path / "workspace"
    takes = {"type": "object", "properties": {"bug": {"type": "string"}}}
    automation(
        root,
        "welcome",
        connections=["runtime"],
        lookupKey="welcome-members",
        inputSchema=takes,
        prefills={"payload": {"team": "ops"}},
    )
    automation(root, "private", connections=[], inputSchema={}, invokeAuth="user")
    automation(root, "hourly", schedule="0 * * * *", connections=[])
    async with api_house(root) as opened:
        yield opened
        while CLIENTS:
            await CLIENTS.pop()._http.close()


async def client_of(api: ApiHouse, *scopes: str) -> Any:
    key = await api.secret(*scopes)
    client = AsyncPlatformClient(base_url=api.url, default_headers={"x-archastro-api-key": key})
    CLIENTS.append(client)
    return client


async def test_an_automation_is_invoked_followed_and_read(api: ApiHouse) -> None:
    client = await client_of(api)

    run = await client.v1.automations.invoke("welcome", {"payload": {"bug": "upload"}})
    heard = [each async for each in client.v1.automation_runs.stream(run.id)]
    done = await client.v1.automation_runs.get(run.id)
    page = await client.v1.automation_runs.journal(run.id, limit=100)

    assert (run.id[:4], run.automation) == ("atr_", ids.automation("welcome"))
    assert (run.payload, run.participants) == ({"bug": "upload", "team": "ops"}, None)
    assert {each["event"] for each in heard} == {"run_update"}
    assert heard[-1]["data"]["status"] == done.status == "completed"
    assert done.result["text"].startswith("[rehearsal]")
    assert page.data[0].type == "run_started"
    assert page.data[-1].type == "run_finished"
    assert [each.sequence for each in page.data] == list(range(1, len(page.data) + 1))
    assert (page.has_more, page.after_cursor, page.journal.status) == (False, None, "completed")
    assert page.journal.current_sequence == len(page.data)


@pytest.mark.parametrize("name", ["welcome", "welcome-members", ids.automation("welcome")])
async def test_an_automation_goes_by_id_stem_and_lookup_key(api: ApiHouse, name: str) -> None:
    client = await client_of(api)

    run = await client.v1.automations.invoke(name, {})

    assert (run.automation, run.payload) == (ids.automation("welcome"), {"team": "ops"})


async def test_one_idempotency_key_is_one_run(api: ApiHouse) -> None:
    client = await client_of(api)

    first = await client.v1.automations.invoke("welcome", {"idempotency_key": "k", "payload": {}})
    again = await client.v1.automations.invoke("welcome", {"idempotency_key": "k", "payload": {}})
    with pytest.raises(ApiError) as other:
        await client.v1.automations.invoke("welcome", {"idempotency_key": "k", "payload": {"n": 1}})

    assert first.id == again.id
    assert (other.value.status, other.value.error_code) == (409, "idempotency_mismatch")


async def test_a_journal_is_read_page_by_page(api: ApiHouse) -> None:
    client = await client_of(api)
    run = await client.v1.automations.invoke("welcome", {})
    async for _ in client.v1.automation_runs.stream(run.id):
        pass

    whole = await client.v1.automation_runs.journal(run.id, limit=100)
    found, cursor = [], None
    while True:
        page = await client.v1.automation_runs.journal(run.id, limit=2, after_cursor=cursor)
        found += page.data
        cursor = page.after_cursor
        assert page.has_more == (cursor is not None)
        assert page.journal.current_sequence == len(whole.data)
        if cursor is None:
            break

    assert found == whole.data


async def refused(call: Any) -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        await call
    return caught.value.status, caught.value.error_code


async def test_what_is_refused_is_told_by_status_and_code(api: ApiHouse) -> None:
    client, reader = await client_of(api), AsyncPlatformClient(base_url=api.url)
    CLIENTS.append(reader)
    run = await client.v1.automations.invoke("welcome", {})
    journal = client.v1.automation_runs.journal

    assert await refused(reader.v1.automation_runs.get(run.id)) == (401, "unauthorized")
    assert await refused(client.v1.automation_runs.get("atr_0000")) == (404, "run_not_found")
    assert await refused(client.v1.automation_runs.get("aut_0000")) == (404, "run_not_found")
    assert await refused(journal(run.id, after_cursor="x")) == (400, "bad_cursor")
    assert await refused(journal(run.id, limit=101)) == (400, "bad_limit")
    assert await refused(journal(run.id, limit=0)) == (400, "bad_limit")


@pytest.mark.parametrize(
    ("name", "body", "told"),
    [
        ("private", {}, (403, "wrong_invoke_auth")),
        ("nobody", {}, (404, "automation_not_found")),
        ("hourly", {}, (409, "not_invoked")),
        ("welcome", {"payload": {"bug": 1}}, (422, "payload_misfit")),
        ("welcome", {"payload": {"team": "shop"}}, (422, "payload_locked")),
        ("welcome", {"participants": {"investigator": "agi_1"}}, (422, "no_participants")),
        ("welcome", {"idempotency_key": "k" * 257}, (422, "bad_idempotency_key")),
    ],
)
async def test_an_invocation_that_the_file_does_not_allow_starts_nothing(
    api: ApiHouse, name: str, body: dict[str, Any], told: tuple[int, str]
) -> None:
    client = await client_of(api)

    assert await refused(client.v1.automations.invoke(name, body)) == told
    assert await api.house.ground.ledger.list_runs(RunFilter()) == []


async def test_a_cursor_of_another_run_leads_nowhere(api: ApiHouse) -> None:
    client = await client_of(api)
    runs = [await client.v1.automations.invoke("welcome", {}) for _ in range(2)]
    for run in runs:
        async for _ in client.v1.automation_runs.stream(run.id):
            pass
    page = await client.v1.automation_runs.journal(runs[0].id, limit=1)

    other = client.v1.automation_runs.journal(runs[1].id, after_cursor=page.after_cursor)

    assert await refused(other) == (400, "bad_cursor")


async def test_a_token_that_may_only_read_starts_nothing(api: ApiHouse) -> None:
    client = await client_of(api, "read")

    assert await refused(client.v1.automations.invoke("welcome", {})) == (403, "scope_missing")
