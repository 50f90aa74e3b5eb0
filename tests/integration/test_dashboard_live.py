"""A run's journal as it happens, in pieces of the page that is open."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from api_house import ADA
from dashboard_house import DashboardHouse, Person, dashboard_house, workspace

from amodal_rt.domain.journal import EntryType
from amodal_rt.operations import run_pages

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[DashboardHouse, None]:
    root = tmp_path_factory.mktemp("live") / "workspace"
    workspace(root)
    async with dashboard_house(root) as house:
        yield house


def _listening(person: Person, path: str, **headers: str) -> Any:
    return person.session.get(f"{person.url}{path}", headers=headers)


async def _heard(answer: aiohttp.ClientResponse) -> tuple[str, str, Any]:
    """Id, name and data of the next message; empty at the end."""
    found: dict[str, str] = {}
    async with asyncio.timeout(10):
        while "data" not in found:
            line = await answer.content.readline()
            if not line:
                return "", "", None
            name, _, value = line.decode().strip().partition(": ")
            found |= {name: value} if value else {}
    return found["id"], found["event"], json.loads(found["data"])


async def test_entries_come_as_rows_and_the_end_closes_the_stream(site: DashboardHouse) -> None:
    run_id = await site.run("asking", {"what": "x"})
    person, path = await site.person("read"), f"/dashboard/runs/{run_id}"
    page = await person.see(path)
    stream = page.text.partition('data-stream="')[2].partition('"')[0]
    shown = page.text.count('<li class="step')
    assert f"/stream?after={shown}" in stream

    async with _listening(person, stream) as answer:
        first = await _heard(answer)
        await site.api.house.approvals.answer(ADA, run_id, step="ask", approved=True)
        heard = [first]
        while heard[-1][1]:
            heard.append(await _heard(answer))

    steps = [each for each in heard if each[1] == "step"]
    runs = [each for each in heard if each[1] == "run"]
    assert (first[0], first[1]) == (str(shown), "run")
    assert "Delete x?" in first[2]["parts"]["actions"]
    assert [int(each[0]) for each in steps] == list(range(shown + 1, shown + 1 + len(steps)))
    assert "approved by ada" in steps[0][2]["html"]
    assert (runs[-1][2]["ended"], runs[-1][2]["status"]) == (True, "The run is completed.")
    assert "deleted" in runs[-1][2]["parts"]["result"]
    assert "Delete x?" not in runs[-1][2]["parts"]["actions"]


async def test_who_comes_again_hears_only_what_is_new(site: DashboardHouse) -> None:
    run_id = await site.run("digest")
    person = await site.person("read")
    last = (await site.api.house.pages.tally(run_id)).last

    async with _listening(
        person, f"/dashboard/runs/{run_id}/stream", **{"Last-Event-ID": str(last - 1)}
    ) as answer:
        heard = [await _heard(answer) for _ in range(3)]

    assert [(each[0], each[1]) for each in heard] == [
        (str(last), "step"),
        (str(last), "run"),
        ("", ""),
    ]


async def test_figures_add_up_while_a_run_goes_on(site: DashboardHouse) -> None:
    run_id = await site.run("asking", {"what": "x"})
    ground = site.api.house.ground
    person = await site.person("read")
    for type, data in (
        (EntryType.TURN_FINISHED, {"model": "m", "input_tokens": 1200, "output_tokens": 34}),
        (EntryType.TOOL_STARTED, {"tool": "request"}),
        (EntryType.TOOL_DENIED, {"tool": "request", "reason": "read_only", "rule": "writeEnabled"}),
    ):
        await ground.ledger.record(run_id, type, at=ground.clock.now(), step="s", data=data)

    page = await person.see(f"/dashboard/runs/{run_id}")

    assert "Tokens 1,200 in, 34 out" in page.words
    assert "Calls 2" in page.words
    assert "Refused 1" in page.words
    assert "Cost not yet known" in page.words
    assert "Tool refused request · read_only · writeEnabled" in page.words


async def test_a_stream_ends_with_its_session(
    site: DashboardHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_pages, "BEAT_SECONDS", 0.05)
    run_id = await site.run("asking", {"what": "x"})
    person = await site.person("read", name="gone")

    async with _listening(person, f"/dashboard/runs/{run_id}/stream?after=999") as answer:
        assert (await _heard(answer))[1] == "run"
        await site.api.house.tokens.revoke(ADA, "gone")
        assert await _heard(answer) == ("", "", None)


async def test_an_unknown_run_is_a_page_and_no_stream(site: DashboardHouse) -> None:
    person = await site.person("read")

    page = await person.ask("GET", "/dashboard/runs/run_none/stream")

    assert (page.status, page.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
