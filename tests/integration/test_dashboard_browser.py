"""The dashboard in a real browser: every page, by keyboard, on a phone, and as a run goes on.

Pictures of all pages, light, dark and on a phone, are kept in build/screenshots.
"""

import os
import shutil
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from api_house import ADA
from daemon_child import automation, write
from dashboard_house import DashboardHouse, dashboard_house, workspace
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright

from amodal_rt.operations.bus import Sender
from amodal_rt.testing.model_server import Asked, Call, ModelServer, Turn

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PICTURES = Path(__file__).parents[2] / "build" / "screenshots" / "dashboard"
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 320, "height": 640}

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        CHROMIUM is None and "CI" not in os.environ, reason="no chromium here: make browser"
    ),
]


@dataclass
class Screen:
    """A browser in front of a daemon that has seen a little of everything."""

    site: DashboardHouse
    browser: Browser
    paths: dict[str, str]
    asking: list[str]
    faults: list[str] = field(default_factory=list)

    async def open(self, *, scheme: str = "light", phone: bool = False) -> BrowserContext:
        """A window of somebody who followed a link."""
        context = await self.browser.new_context(
            viewport=PHONE if phone else WIDE,  # type: ignore[arg-type]
            color_scheme=scheme,  # type: ignore[arg-type]
            has_touch=phone,
        )
        context.on("weberror", lambda error: self.faults.append(str(error.error)))
        context.on("console", self._said)
        return context

    async def signed_in(self, *, scheme: str = "light", phone: bool = False) -> Page:
        page = await (await self.open(scheme=scheme, phone=phone)).new_page()
        link = await self.site.api.house.sessions.make_link(ADA)
        await page.goto(str(link["url"]))
        await page.get_by_role("button", name="Open the dashboard").click()
        await page.get_by_role("heading", name="Automations").wait_for()
        return page

    def _said(self, message: ConsoleMessage) -> None:
        # A page that tells of an error is one, and the browser says so.
        if message.type in ("error", "warning") and "the server responded" not in message.text:
            self.faults.append(f"{message.location['url']}: {message.text}")


def _answer(asked: Asked) -> Turn | None:
    """An agent that reads, is refused a write, and tells."""
    if not asked.results:
        read = {"connection": "runtime", "method": "GET", "endpoint": "/runs"}
        return Turn(text="I look at the runs first.", calls=[Call("request", read)])
    if len(asked.results) == 1:
        write = {"connection": "runtime", "method": "POST", "endpoint": "/runs", "intent": "write"}
        return Turn(calls=[Call("request", write)])
    return Turn(
        text="## Drift\n\nNothing moved since yesterday. The write was refused, as it must."
    )


def _furnish(root: Path, model: str) -> None:
    workspace(root)
    provider = {"type": "openai-compatible", "baseUrl": model}
    settings = {"name": "acme-ops", "model": "local:small", "providers": {"local": provider}}
    write(root, "amodal.json", settings)
    automation(
        root,
        "drift-check",
        title="API Drift Check",
        description="Compares what the API answers with what it answered yesterday.",
        schedule="0 */4 * * *",
        timezone="Europe/Berlin",
        prompt="Look for drift between the recorded and the live answers, and say what moved.",
        connections=["runtime"],
    )
    automation(root, "heartbeat", schedule={"every": "5m"}, connections=[], title="Heartbeat")
    waiting = ["github.pull_request.opened", "github.issue_comment.created"]
    conditions = [{"event": each} for each in waiting]
    automation(root, "triage", title="GitHub Triage", eventConditions=conditions, connections=[])
    # What stands in its way takes a sentence, which must not take the room of its neighbours.
    unset = {"type": "webhook", "url": "env:NOWHERE_TO_BE_FOUND"}
    automation(root, "unset", schedule="0 9 * * *", delivery={"targets": [unset]}, connections=[])


async def _fill(site: DashboardHouse) -> tuple[dict[str, str], list[str]]:
    """Runs, events, messages and questions; the pages that show them."""
    house = site.api.house
    drift = await site.run("drift-check", payload={"since": "yesterday"})
    asking = [await site.run("asking", {"what": what}) for what in ("the branch", "all", "it")]
    letter = await site.dead_letter()
    told = await house.event_bus.emit(
        ADA,
        {"type": "deploy.finished", "subject": "web", "data": {"version": "1.2", "ok": True}},
        sender=Sender(actor="member:ada"),
    )
    await house.automations.pause(ADA, "hook", reason="the sender is being moved")
    await site.run("heartbeat")
    paths = {
        "overview": "/",
        "automation": "/dashboard/automations/drift-check",
        "broken": "/dashboard/automations/broken",
        "paused": "/dashboard/automations/hook",
        "runs": "/dashboard/runs",
        "run": f"/dashboard/runs/{drift}",
        "asking": f"/dashboard/runs/{asking[0]}",
        "entry": f"/dashboard/runs/{drift}/entries/2",
        "events": "/dashboard/events",
        "event": f"/dashboard/events/{told['event_id']}",
        "refused": "/dashboard/events?rejected=1",
        "deliveries": "/dashboard/deliveries",
        "delivery": f"/dashboard/deliveries/{letter}",
        "approvals": "/dashboard/approvals",
        "spend": "/dashboard/spend?days=7",
        "nothing": "/dashboard/runs/run_nothing",
    }
    return paths, asking


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def screen(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Screen, None]:
    root = tmp_path_factory.mktemp("browser") / "workspace"
    shutil.rmtree(PICTURES, ignore_errors=True)
    async with ModelServer() as model, async_playwright() as playwright:
        model.answer(_answer)
        _furnish(root, model.openai_url)
        async with dashboard_house(root) as site:
            paths, asking = await _fill(site)
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
            )
            try:
                yield Screen(site, browser, paths, asking)
            finally:
                await browser.close()


@pytest.mark.parametrize(
    ("scheme", "phone"), [("light", False), ("dark", False), ("light", True), ("dark", True)]
)
async def test_every_page_fits_and_breaks_no_rule(screen: Screen, scheme: str, phone: bool) -> None:
    page = await screen.signed_in(scheme=scheme, phone=phone)
    stranger = await (await screen.open(scheme=scheme, phone=phone)).new_page()
    size = "phone" if phone else "wide"

    views = [(page, name, path) for name, path in screen.paths.items()]
    for shown, name, path in [*views, (stranger, "sign-in", "/dashboard/sign-in")]:
        await shown.goto(screen.site.api.url + path)
        await shown.screenshot(path=PICTURES / f"{name}-{scheme}-{size}.png", full_page=True)
        wide = await shown.evaluate(
            "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide == 0, f"{name} scrolls sideways by {wide} px"
        assert await shown.locator("h1").count() == 1, name
        assert await shown.evaluate("() => document.styleSheets[0].cssRules.length") > 50

    assert screen.faults == []
    await page.context.close()
    await stranger.context.close()


async def test_what_an_automation_waits_for_is_not_broken_up(screen: Screen) -> None:
    page = await screen.signed_in()
    await page.goto(screen.site.api.url)

    assert await page.get_by_text("NOWHERE_TO_BE_FOUND is not set").count() == 1
    lines = await page.locator("td[data-label=Starts] code").evaluate_all(
        "names => names.map(each => [each.innerText, each.getClientRects().length])"
    )
    assert [[name, count] for name, count in lines if count != 1] == []
    assert "github.pull_request.opened" in [name for name, _ in lines]
    await page.context.close()


async def test_the_keyboard_reaches_everything_and_shows_where_it_is(screen: Screen) -> None:
    page = await screen.signed_in()
    await page.goto(screen.site.api.url + "/dashboard/automations/drift-check")
    await page.evaluate("() => document.activeElement.blur()")
    walked: list[str] = []

    for _ in range(60):
        await page.keyboard.press("Tab")
        found = await page.evaluate(
            """() => { const e = document.activeElement, s = getComputedStyle(e);
            return [e.innerText || e.name || e.tagName, s.outlineStyle, s.outlineWidth]; }"""
        )
        assert found[1:] == ["solid", "3px"], found
        walked.append(found[0].strip())
        if walked[-1] == "Sign out":
            break

    assert walked[0] == "Skip to the page"
    for name in ("Automations", "Approvals", "payload", "rehearse", "Start a run", "Pause", "Ask"):
        assert name in walked, walked
    await page.keyboard.press("Control+Home")
    await page.locator(".skip").focus()
    await page.keyboard.press("Enter")
    assert await page.evaluate("() => document.activeElement.id") == "main"
    await page.context.close()


async def test_a_journal_grows_while_one_looks(screen: Screen) -> None:
    run_id = screen.asking[1]
    page = await screen.signed_in()
    await page.goto(f"{screen.site.api.url}/dashboard/runs/{run_id}")
    before = await page.locator(".step").count()
    assert "Live" in (await page.locator("#live").inner_text())

    await screen.site.api.house.approvals.answer(
        ADA, run_id, step="ask", approved=True, note="go on"
    )
    await page.get_by_text("The run is completed.").wait_for()

    rows = await page.locator(".step").all_inner_texts()
    assert len(rows) > before
    assert any("approved by ada · go on" in each for each in rows)
    assert await page.get_by_role("button", name="Approve").count() == 0
    assert await page.get_by_role("button", name="Replay").count() == 1
    await page.screenshot(path=PICTURES / "grown-light-wide.png", full_page=True)
    assert screen.faults == []
    await page.context.close()


async def test_a_person_pauses_answers_and_signs_out(screen: Screen) -> None:
    page = await screen.signed_in()
    url = screen.site.api.url
    await page.goto(f"{url}/dashboard/automations/heartbeat")
    await page.get_by_label("Why pause it").fill("quiet hours")
    await page.get_by_role("button", name="Pause").click()
    await page.get_by_text("Paused. Nothing of it starts").wait_for()
    await page.get_by_role("button", name="Resume").click()
    await page.get_by_text("Resumed.").wait_for()

    await page.goto(f"{url}/dashboard/runs/{screen.asking[2]}")
    await page.get_by_label("Note").fill("not today")
    await page.get_by_role("button", name="Deny").click()
    await page.get_by_text("Denied. The run goes on").wait_for()

    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_role("heading", name="Sign in").wait_for()
    await page.goto(url)
    assert page.url.endswith("/dashboard/sign-in")
    assert (screen.asking[2], "local", "dashboard") in await screen.site.audited(
        "approval.answered"
    )
    assert screen.faults == []
    await page.context.close()


async def test_without_scripts_every_button_still_works(screen: Screen) -> None:
    context = await screen.browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    secret = await screen.site.api.secret("manage", name="plain")
    await page.goto(f"{screen.site.api.url}/dashboard/automations/drift-check")
    await page.get_by_label("Token").fill(secret)
    await page.get_by_role("button", name="Sign in").click()

    await page.get_by_label("Payload").fill('{"by": "hand"}')
    await page.get_by_role("button", name="Start a run").click()

    await page.get_by_text("Started. The journal grows").wait_for()
    assert page.url.startswith(f"{screen.site.api.url}/dashboard/runs/run_")
    await context.close()
