"""A person edits a parked call on a page, and approves what came of it."""

import html
import json
import os
import re
import shutil
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio
from api_house import ADA
from daemon_child import write
from dashboard_house import HOSTILE, DashboardHouse, Page, dashboard_house
from parked_scene import SECRET, Bank, bank, furnish
from playwright.async_api import async_playwright

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PICTURES = Path(__file__).parents[2] / "build" / "screenshots" / "editing"
AREA = re.compile(r"<textarea [^>]*>\n(.*?)</textarea>", re.DOTALL)
WRITES = [{"connection": "crm", "endpoint": "POST /deals", "pin": {"data.to": "ada"}}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service() -> AsyncGenerator[Bank, None]:
    with bank() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(
    tmp_path_factory: pytest.TempPathFactory, service: Bank
) -> AsyncGenerator[DashboardHouse, None]:
    root = tmp_path_factory.mktemp("editing") / "workspace"
    furnish(root, service.url, writes=WRITES)
    write(root, ".env", "".join(f"{name}={value}\n" for name, value in SECRET.items()))
    (root / ".env").chmod(0o600)
    async with dashboard_house(root) as house:
        yield house


async def parked(site: DashboardHouse, **more: object) -> str:
    """The id of a write that waits."""
    run_id = await site.run("pay", {"amount": 700, "to": "ada", **more})
    [found] = [
        each for each in await site.api.house.approvals.list_all(ADA) if each["run_id"] == run_id
    ]
    return str(found["id"])


def free(page: Page) -> dict[str, object]:
    """What stands in the form to be edited."""
    found = AREA.search(page.text)
    assert found, page.text
    return json.loads(html.unescape(found[1]))


def edited(call: Mapping[str, object], **data: object) -> dict[str, str]:
    return {"call": json.dumps({**call, "data": data}), "note": "half of it"}


async def status_of(site: DashboardHouse, write_id: str) -> str:
    return str((await site.api.house.approvals.show(ADA, write_id))["status"])


async def test_a_person_edits_what_is_free_and_the_rest_stays(
    site: DashboardHouse, service: Bank
) -> None:
    write_id = await parked(site)
    person, reader = await site.person(name="editor"), await site.person("read")
    path = f"/dashboard/approvals/{write_id}/edit"
    listed, page = await person.see("/dashboard/approvals"), await person.see(path)
    refused = await reader.ask("GET", path)
    before = len(service.reached)

    done = await person.send(path, edited(free(page), amount=350), token=page.token)
    again = await person.send(path, edited(free(page), amount=350), token=page.token)

    assert f'href="{path}"' in listed.text
    assert refused.status == 403
    assert free(page) == {"method": "POST", "endpoint": "/deals", "data": {"amount": 700}}
    assert 'connection "crm" what the run wrote to' in page.words
    assert re.search(r'data\.to "ada" pinned by automations/pay\.json:\d+', page.words)
    assert (done.status, done.location.endswith("?said=write_made")) == (303, True)
    assert again.status == 409
    [made] = service.reached[before:]
    assert made["body"] == {"amount": 350, "to": "ada"}
    shown = await site.api.house.approvals.show(ADA, write_id)
    assert (shown["by"], shown["door"], shown["note"]) == (
        "token:editor", "dashboard", "half of it",
    )  # fmt: skip
    assert shown["write"]["original"]["data"] == {"amount": 700, "to": "ada"}  # pyright: ignore[reportIndexIssue]


async def test_what_may_not_be_made_is_refused_where_it_was_typed(
    site: DashboardHouse, service: Bank
) -> None:
    write_id, before = await parked(site), len(service.reached)
    person = await site.person()
    path = f"/dashboard/approvals/{write_id}/edit"
    page = await person.see(path)
    call = free(page)
    tried = {
        "pinned": ({**call, "data": {"amount": 1, "to": "eve"}}, "data.to stays as it is"),
        "twin": ({**call, "data": {"amount": 1, "To": "eve"}}, "the call says it twice"),
        "elsewhere": ({**call, "connection": "runtime"}, "connection stays as it is"),
        "not covered": ({**call, "endpoint": "/deals/all"}, "is not among them"),
        "no call": ({**call, "body": 1}, "the call is none"),
        "secret": ({**call, "data": {"a": SECRET["BANK_KEY"]}}, "the call holds a secret"),
        "nothing": (call, "nothing was edited"),
        "list": ([1], "no JSON object"),
    }
    found: dict[str, bool] = {}
    for name, (given, said) in tried.items():
        text = json.dumps(given)
        answer = await person.send(path, {"call": text, "note": HOSTILE}, token=page.token)
        kept = AREA.search(answer.text)
        found[name] = answer.status in (403, 409, 422) and said in answer.words
        assert kept is not None, (name, answer.words)
        assert html.unescape(kept[1]) == text
        assert "<img" not in answer.text
    broken = await person.send(path, {"call": '{"data": NaN}'}, token=page.token)
    stale = await person.send(path, edited(call, amount=1), token="x" * 43)
    foreign = await person.send(
        path, edited(call, amount=1), token=page.token,
        headers={"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    )  # fmt: skip

    assert found == dict.fromkeys(tried, True)
    assert (broken.status, stale.status, foreign.status) == (422, 403, 403)
    assert (await status_of(site, write_id), len(service.reached)) == ("open", before)


async def test_what_a_stranger_wrote_stands_in_the_form_as_text(
    site: DashboardHouse, service: Bank
) -> None:
    write_id = await parked(site, text=f"{HOSTILE}</textarea>")
    person = await site.person()

    page = await person.see(f"/dashboard/approvals/{write_id}/edit")

    assert free(page)["data"] == {"amount": 700, "text": f"{HOSTILE}</textarea>"}
    assert ("<img" in page.text, "\u202e" in page.text, "\x1b" in page.text) == (False,) * 3
    assert page.text.count("</textarea>") == 1


@pytest.mark.timeout(60)
@pytest.mark.skipif(
    CHROMIUM is None and "CI" not in os.environ, reason="no chromium here: make browser"
)
async def test_it_is_edited_in_a_browser_without_scripts(
    site: DashboardHouse, service: Bank
) -> None:
    write_id, before = await parked(site), len(service.reached)
    link = await site.api.house.sessions.make_link(ADA)
    PICTURES.mkdir(parents=True, exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        page = await browser.new_page(
            java_script_enabled=False, viewport={"width": 320, "height": 640}
        )
        await page.goto(str(link["url"]))
        await page.get_by_role("button", name="Open the dashboard").click()
        await page.goto(f"{site.api.url}/dashboard/approvals")
        await page.screenshot(path=PICTURES / "approvals-write-phone.png", full_page=True)
        await page.locator(f'a[href*="{write_id}/edit"]').click()
        area = page.get_by_label("The rest of the call")
        await area.fill((await area.input_value()).replace("/deals", "/deals/all"))
        await page.get_by_role("button", name="Approve as edited").click()
        refused = await page.get_by_role("alert").inner_text()
        await page.screenshot(path=PICTURES / "edit-refused-phone.png", full_page=True)
        await area.fill(
            (await area.input_value()).replace("/deals/all", "/deals").replace("700", "7")
        )
        await page.set_viewport_size({"width": 1280, "height": 800})
        await page.screenshot(path=PICTURES / "edit-wide.png", full_page=True)
        await page.get_by_role("button", name="Approve as edited").click()
        said = await page.locator(".said").inner_text()
        await browser.close()

    assert refused.startswith("Not approved: ")
    assert said == "Approved, and made."
    assert [each["body"] for each in service.reached[before:]] == [{"amount": 7, "to": "ada"}]
