"""What models cost is told alike through every door."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from daemon_child import automation
from dashboard_house import DashboardHouse, dashboard_house
from mcp_client import over_http

from amodal_rt import ApiClient, ApiError
from amodal_rt.domain.budget import Amount, Hold, Spent, day_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[DashboardHouse, None]:
    root: Path = tmp_path_factory.mktemp("spend") / "workspace"
    automation(root, "digest", connections=[], limits={"maxCostUsdPerDay": 2})
    automation(root, "watch", connections=[])
    async with dashboard_house(root) as house:
        ground = house.api.house.ground
        today = day_of(ground.workspace.snapshot().settings, ground.clock.now())
        for name, cost in (("digest", 2.5), ("watch", 0.25)):
            hold = Hold(
                run_id="run_a", term=1, step="turn:1", automation=name, model="a:dear",
                day=today, wanted=Amount(),
            )  # fmt: skip
            spent = Spent(day=today, automation=name, model="a:dear", cost_usd=cost, requests=3)
            await ground.ledger.charge(hold, spent)
        yield house


async def test_every_door_tells_the_same(site: DashboardHouse) -> None:
    api = site.api
    secret = await api.secret("read", name="reader")
    status, told = await api.ask(secret, "GET", "/v1/spend?days=7&by=model")
    public = await api.ask(secret, "GET", "/api/v1/spend?days=7&by=model")
    async with ApiClient(api.url, secret) as client:
        typed = await client.spend(days=7, by="model")
    async with over_http(api, secret) as caller:
        tool = await caller.told("SPEND_GET", days=7, by="model")

    assert status == 200
    assert [(each["model"], each["cost_usd"]) for each in told["rows"]] == [("a:dear", 2.75)]
    assert public == (200, told)
    assert typed == tool == told


async def test_of_one_automation_its_own_budget_stands_beside_that_of_all(
    site: DashboardHouse,
) -> None:
    secret = await site.api.secret("read", name="one")
    async with ApiClient(site.api.url, secret) as client:
        found = await client.spend(automation="digest")
        with pytest.raises(ApiError) as unknown:
            await client.spend(automation="nobody")
    async with over_http(site.api, secret) as caller:
        nobody = await caller.refused("SPEND_GET", automation="nobody")

    budgets = {
        each["automation"]: each for each in found["budgets"] if each["measure"] == "cost_usd"
    }
    assert [each.get("automation") for each in found["rows"]] == ["digest"]
    assert budgets["digest"]["is_spent"]
    assert budgets["digest"]["rule"].endswith("automations/digest.json")
    assert (budgets[None]["spent"], budgets[None]["limit"]) == (2.75, 5)
    assert (unknown.value.status, unknown.value.code) == (404, "automation_not_found")
    assert nobody["code"] == "automation_not_found"


@pytest.mark.parametrize("days", ["many", "", "-1", "1.5", "9" * 30, "0", "3651"])
async def test_days_that_are_none_are_refused_in_those_words(
    site: DashboardHouse, days: str
) -> None:
    secret = await site.api.secret("read", name=f"days-{len(days)}-{days[:1]}")
    for path in ("/v1/spend", "/api/v1/spend"):
        status, told = await site.api.ask(secret, "GET", f"{path}?days={days}")
        assert (status, told["error"]["code"]) == (422, "bad_days")


async def test_the_page_shows_who_spent_it_and_what_is_left(site: DashboardHouse) -> None:
    person = await site.person("read")

    page = await person.see("/dashboard/spend?days=7")
    by_model = await person.see("/dashboard/spend?by=model")
    wrong = await person.ask("GET", "/dashboard/spend?by=colour")

    assert "digest $2.50 3 0 0 0 watch $0.25" in page.words
    assert "total $2.75 6" in page.words
    assert "digest $2.50 spent $2.00" in page.words
    assert "All automations $2.75 $5.00 limits.maxCostUsdPerDay" in page.words
    assert '<option value="7" selected>' in page.text
    assert "a:dear $2.75 6" in by_model.words
    assert (wrong.status, "'colour' is none of" in wrong.words) == (422, True)
