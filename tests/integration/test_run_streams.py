"""Server-Sent Events of runs: what is told on connecting, later, at the end and on coming back."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from api_house import ADA, ApiHouse, api_house
from daemon_child import automation

from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.run import Coalesce, Start
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.servers import sse

HOUR = timedelta(hours=1)
RUNS = "/api/v1/automation_runs"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[ApiHouse, None]:
    root = tmp_path / "workspace"
    automation(root, "quick", connections=["runtime"])
    async with api_house(root) as opened:
        yield opened


async def waiting_run(api: ApiHouse) -> str:
    """A run that is pending for an hour: others may become one with it."""
    ground = api.house.ground
    start = Start(
        run_id=ground.ids.run(),
        automation="quick",
        title="Quick",
        trigger=TriggerKind.MANUAL,
        definition="d" * 64,
        created_at=ground.clock.now(),
        concurrency=1,
        on_limit=OnLimit.QUEUE,
        payload={"n": 1},
        coalesce=Coalesce(key=ground.ids.token(), window=HOUR, longest=HOUR),
    )
    await ground.ledger.admit([start])
    return start.run_id


async def heard(answer: aiohttp.ClientResponse) -> tuple[str, str]:
    """Id and name of the next event."""
    found: dict[str, str] = {}
    while "data" not in found:
        name, _, value = (await answer.content.readline()).decode().strip().partition(": ")
        found |= {name: value} if value else {}
    return found["id"], found["event"]


async def test_a_stream_tells_where_the_run_stands_and_each_change(api: ApiHouse) -> None:
    key, run_id = await api.secret("read"), await waiting_run(api)
    url = f"{api.url}{RUNS}/{run_id}/stream"

    async with api.session.get(url, headers={"x-api-key": key}) as answer:
        first = await heard(answer)
        await api.house.runs.cancel(ADA, run_id)
        second = await heard(answer)
        rest = await answer.content.read()

    assert answer.headers["Content-Type"] == "text/event-stream"
    assert (first, second) == (("1-pending", "run_update"), ("1-cancelled", "run_update"))
    assert rest.strip() == b""


async def test_who_comes_again_hears_only_what_is_new(api: ApiHouse) -> None:
    key, run_id = await api.secret("read"), await waiting_run(api)
    url = f"{api.url}{RUNS}/{run_id}/stream"
    headers = {"x-api-key": key, "Last-Event-ID": "1-pending"}

    async with api.session.get(url, headers=headers) as answer:
        await api.house.runs.cancel(ADA, run_id)
        told = await heard(answer)
    ended = {**headers, "Last-Event-ID": told[0]}
    async with api.session.get(url, headers=ended) as over:
        nothing = await over.read()

    assert told == ("1-cancelled", "run_update")
    assert (over.status, nothing) == (204, b"")


async def test_a_stream_of_a_run_that_is_over_tells_so_and_ends(api: ApiHouse) -> None:
    key = await api.secret("read")
    run = await api.house.automations.trigger(ADA, "quick")
    await api.house.runs.wait(str(run["run_id"]))

    async with api.session.get(
        f"{api.url}{RUNS}/{run['run_id']}/stream", headers={"x-api-key": key}
    ) as answer:
        content = (await answer.read()).decode()

    assert content.count("event: run_update") == 1
    assert '"status": "completed"' in content


async def test_a_door_that_closes_ends_its_streams_in_order(api: ApiHouse) -> None:
    key, run_id = await api.secret("read"), await waiting_run(api)
    headers = {"x-api-key": key}

    async with api.session.get(f"{api.url}{RUNS}/{run_id}/stream", headers=headers) as answer:
        await heard(answer)
        api.streams.close()
        rest = await answer.content.read()
    async with api.session.get(f"{api.url}{RUNS}/{run_id}/stream", headers=headers) as late:
        told = await late.json()

    assert rest.strip() == b""
    assert (late.status, told["error"]["code"]) == (503, "too_many_streams")


async def test_streams_leave_the_door_open_to_those_who_ask(api: ApiHouse) -> None:
    key, run_id = await api.secret("read"), await waiting_run(api)
    url, headers = f"{api.url}{RUNS}/{run_id}/stream", {"x-api-key": key}
    connector = aiohttp.TCPConnector(limit=0)

    async with aiohttp.ClientSession(connector=connector) as many:
        listening = [await many.get(url, headers=headers) for _ in range(600)]
        status, _ = await api.ask(key, "GET", f"{RUNS}/{run_id}")
        health = await many.get(f"{api.url}/healthz")
        for answer in (*listening, health):
            answer.close()

    assert {answer.status for answer in listening} == {200}
    assert (status, health.status) == (200, 200)


async def test_the_number_of_streams_has_a_bound(api: ApiHouse) -> None:
    key, run_id = await api.secret("read"), await waiting_run(api)
    url, headers = f"{api.url}{RUNS}/{run_id}/stream", {"x-api-key": key}
    api.streams._most = 2

    listening = [await api.session.get(url, headers=headers) for _ in range(3)]
    for answer in listening:
        answer.close()
    await asyncio.sleep(0)

    assert [answer.status for answer in listening] == [200, 200, 503]
    assert sse.MOST > 1000
