"""`/metrics` of a real daemon, read as Prometheus does."""

import asyncio
import json
from collections.abc import AsyncGenerator
from itertools import count
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from api_house import ADA
from daemon_child import automation, write
from dashboard_house import DashboardHouse, dashboard_house
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from amodal_rt import __version__
from amodal_rt.errors import UnavailableError
from amodal_rt.operations.metrics import Family

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
NAMED = "a-name-of-ours"
NUMBERS = count()
COMPLETED = ("amodal_rt_runs_ended_total", "", "completed")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[DashboardHouse, None]:
    root: Path = tmp_path_factory.mktemp("metrics") / "workspace"
    write(root, "workflows/adds.json", {
        "kind": "WorkflowGraph",
        "start_node": "say",
        "nodes": [{"kind": "transform", "id": "say", "value": "said"}],
    })  # fmt: skip
    write(root, f"automations/{NAMED}.json", {"title": "A", "workflow": "adds"})
    automation(root, "hook", trigger="webhook", connections=[])
    write(root, "automations/broken.json", '{"title": "Broken", "promt": "x"}')
    async with dashboard_house(root) as house:
        yield house


async def text(site: DashboardHouse, accept: str = "") -> tuple[str, str]:
    secret = await site.api.secret("read", name=f"prometheus-{next(NUMBERS)}")
    headers = {"Authorization": f"Bearer {secret}", "Accept": accept}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{site.api.url}/metrics", headers=headers) as answer,
    ):
        assert answer.status == 200
        return await answer.text(), answer.headers["Content-Type"]


async def values(site: DashboardHouse) -> dict[tuple[str, ...], float]:
    """By name and the values of the labels, which stand in the order of the alphabet."""
    found, _ = await text(site)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(found)
        for sample in family.samples
    }


async def test_what_happened_and_what_stands_is_counted(site: DashboardHouse) -> None:
    before = await values(site)
    await site.run(NAMED)
    # Its row says so a moment before who wrote it goes on.
    async with asyncio.timeout(30):
        while (await values(site)).get(COMPLETED, 0) == before.get(COMPLETED, 0):
            pass
    await site.api.house.automations.pause(ADA, "hook", reason=None)
    url = str((await site.api.house.automations.show(ADA, "hook"))["webhook_url"])
    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.post(url, json={"n": 1}, headers={"webhook-id": "one"}) as answer:
                await answer.read()

    after = await values(site)

    def grown(*key: str) -> float:
        return after.get(key, 0) - before.get(key, 0)

    assert grown(*COMPLETED) == 1
    assert grown("amodal_rt_runs_ended_total", "paused", "skipped") == 1
    assert grown("amodal_rt_run_duration_seconds_count") == 1
    assert grown("amodal_rt_events_total", "accepted") == 1
    assert grown("amodal_rt_events_total", "duplicate") == 1
    assert after["amodal_rt_automations", "valid"] == 2
    assert after["amodal_rt_automations", "invalid"] == 1
    assert after["amodal_rt_runs_open", "pending"] == 0
    assert after["amodal_rt_budget_limit", "cost_usd"] == 5
    assert after["amodal_rt_conditions", "queue_full"] == 0
    assert after["amodal_rt_build_info", __version__] == 1
    assert [after[f"amodal_rt_{each}",] for each in ("ready", "ledger_up", "nodes")] == [1, 1, 1]
    assert after["process_resident_memory_bytes",] > 1_000_000


async def test_openmetrics_is_spoken_to_who_asks_for_it(site: DashboardHouse) -> None:
    _, plain_type = await text(site)
    found, media = await text(site, OPEN_METRICS)

    assert plain_type.startswith("text/plain; version=")
    assert media.startswith("application/openmetrics-text")
    names = {each.name for each in openmetrics.text_string_to_metric_families(found)}
    assert {"amodal_rt_runs_ended", "amodal_rt_run_duration_seconds"} <= names
    assert "process_cpu_seconds" in names
    assert found.endswith("# EOF\n")


async def test_no_name_that_somebody_chose_becomes_a_series(site: DashboardHouse) -> None:
    await site.run(NAMED)
    found, _ = await text(site)
    families: list[Family] = await site.api.house.metrics.families()

    assert NAMED not in found
    assert sum(len(each.samples) for each in families) < 80
    assert json.dumps([[*each.labels] for each in families]).count("automation") == 0


async def test_without_the_ledger_the_rest_is_still_told(site: DashboardHouse) -> None:
    metrics = site.api.house.metrics
    ledger, metrics._ledger = metrics._ledger, Away()  # pyright: ignore[reportAttributeAccessIssue]
    try:
        found = await values(site)
    finally:
        metrics._ledger = ledger

    assert found["amodal_rt_ledger_up",] == 0
    assert ("amodal_rt_ready",) in found
    assert ("amodal_rt_dead_letters",) not in found


class Away:
    """A ledger that does not answer."""

    async def census(self) -> None:
        raise UnavailableError("away", code="ledger")


@pytest.mark.parametrize(("secret", "status"), [("", 401), ("art_wrong", 401)])
async def test_nobody_measures_without_a_token(
    site: DashboardHouse, secret: str, status: int
) -> None:
    told = await site.api.ask(secret, "GET", "/metrics")

    assert (told[0], told[1]["error"]["code"]) == (status, "unauthorized")


async def test_the_page_names_every_family(site: DashboardHouse) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/measure-with-prometheus.md").read_text("utf-8")
    families = await site.api.house.metrics.families()
    endings = {"counter": "_total", "summary": "_count"}

    missing = [
        each.name for each in families if f"`{each.name}{endings.get(each.kind, '')}`" not in page
    ]
    assert missing == []
