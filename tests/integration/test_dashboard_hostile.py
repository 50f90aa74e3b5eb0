"""What strangers write is shown on pages, and never does anything there."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from api_house import ADA
from daemon_child import automation, write
from dashboard_house import HOSTILE, DashboardHouse, dashboard_house, workspace

from amodal_rt.domain.journal import EntryType
from amodal_rt.operations.bus import Sender

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[DashboardHouse, None]:
    root = tmp_path_factory.mktemp("hostile") / "workspace"
    workspace(root)
    automation(root, "nasty", title=HOSTILE, description=HOSTILE, prompt=HOSTILE, connections=[])
    write(root, "automations/worse.json", {"title": "Worse", HOSTILE: HOSTILE})
    async with dashboard_house(root) as house:
        yield house


async def _harmless(site: DashboardHouse, *paths: str) -> None:
    """Each page shows the text as text, and nothing hidden of it."""
    person = await site.person()
    for path in paths:
        text = (await person.ask("GET", path)).text
        assert "&lt;img src=x onerror" in text, path
        assert "<img" not in text, path
        assert text.count("<script") == 1, path
        assert "\u202e" not in text, path
        assert "\x1b" not in text, path
        assert "49" not in text.partition("&lt;img")[2][:80], path


async def test_of_files(site: DashboardHouse) -> None:
    await _harmless(site, "/", "/dashboard/automations/nasty", "/dashboard/automations/worse")


async def test_of_events(site: DashboardHouse) -> None:
    sender = Sender(actor=HOSTILE)
    told = await site.api.house.event_bus.emit(
        ADA,
        {
            "type": "deploy.finished",
            "subject": f"s{HOSTILE}".replace("\x1b", "").replace("\u202e", ""),
            "data": {HOSTILE: [HOSTILE]},
        },
        sender=sender,
    )

    await _harmless(site, f"/dashboard/events/{told['event_id']}")


async def test_of_runs_and_journals(site: DashboardHouse) -> None:
    run_id = await site.run("nasty", payload={"said": HOSTILE})
    ledger, now = site.api.house.ground.ledger, site.api.house.ground.clock.now()
    for type, data in (
        (EntryType.TOOL_DENIED, {"tool": HOSTILE, "reason": HOSTILE, "rule": HOSTILE}),
        (
            EntryType.TURN_FINISHED,
            {"model": HOSTILE, "text": HOSTILE, "calls": [{"tool": HOSTILE}]},
        ),
        (EntryType.NODE_WAITING, {"node": HOSTILE, "message": HOSTILE, HOSTILE: HOSTILE}),
    ):
        await ledger.record(run_id, type, at=now, step=HOSTILE, data=data)
    last = (await ledger.entries(run_id))[-1].sequence

    await _harmless(
        site,
        f"/dashboard/runs/{run_id}",
        f"/dashboard/runs/{run_id}/entries/{last}",
        "/dashboard/automations/nasty",
    )


async def test_of_questions_and_reasons(site: DashboardHouse) -> None:
    run_id = await site.run("asking", {"what": HOSTILE})
    await site.api.house.automations.pause(ADA, "hook", reason=HOSTILE)

    await _harmless(
        site,
        "/dashboard/approvals",
        f"/dashboard/runs/{run_id}",
        "/dashboard/automations/hook",
        "/",
    )


@pytest.mark.parametrize(
    "path",
    [
        "/dashboard/runs?automation={}",
        "/dashboard/events?type={}",
        "/dashboard/events?automation={}",
        "/dashboard/automations/digest?at={}",
        "/dashboard/runs/{}",
        "/dashboard/automations/{}",
        "/dashboard/deliveries?status={}",
        "/dashboard/sign-in?next=/dashboard/{}",
        "/dashboard/link/{}",
    ],
)
async def test_of_addresses(site: DashboardHouse, path: str) -> None:
    person = site.stranger() if "sign-in" in path or "link" in path else await site.person()

    page = await person.ask("GET", path.format("%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E"))

    assert "<img" not in page.text
