"""The dashboard's pages: what they show, and what their buttons do through the same verbs."""

import re
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from api_house import ADA
from daemon_child import automation
from dashboard_house import DashboardHouse, dashboard_house, workspace

from amodal_rt.operations.bus import Sender
from amodal_rt.servers.dashboard.automations import ROWS

pytestmark = pytest.mark.asyncio(loop_scope="module")

DIGEST = "/dashboard/automations/digest"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[DashboardHouse, None]:
    root = tmp_path_factory.mktemp("pages") / "workspace"
    workspace(root)
    async with dashboard_house(root) as house:
        yield house


async def test_the_overview_says_when_each_starts_and_how_it_went(site: DashboardHouse) -> None:
    await site.run("digest")
    person = await site.person("read")

    page = await person.see("/")

    assert "At 09:00, Monday through Friday (Europe/Berlin)" in page.words
    assert "Every minute" in page.words
    assert "On deploy.finished" in page.words
    assert "By its webhook unsigned" in page.words
    assert "100 % of 1" in page.words
    assert "broken invalid" in page.words
    assert page.text.count('<svg class="strip"') == 2
    assert 'aria-current="page">Automations' in page.text

    assert "All automations today: $0.00 of $5.00" in page.words


async def test_a_page_of_many_automations_stays_small(site: DashboardHouse) -> None:
    for number in range(ROWS + 1):
        automation(
            site.api.root,
            f"zz-many-{number:02}",
            schedule="*/30 * * * *",
            connections=[],
            title=f"One of very many automations, number {number}",
        )
    await site.api.house.ground.workspace.reload()
    person = await site.person("read")

    first = await person.see("/")
    path = first.text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    second = await person.see(path)
    back = second.text.partition('rel="prev" href="')[2].partition('"')[0]

    assert first.text.count("<tr>") == ROWS + 1
    assert f"number {ROWS}" not in first.words
    assert f"number {ROWS}" in second.words
    assert (await person.see(back)).text.count("<tr>") == ROWS + 1
    assets = [
        (await person.see(f"/dashboard/assets/{each.partition(chr(34))[0]}")).text
        for each in first.text.split('"/dashboard/assets/')[1:]
    ]
    assert sum(len(each.encode()) for each in (first.text, *assets)) < 50_000


async def test_an_automation_shows_powers_fires_runs_and_rulings(site: DashboardHouse) -> None:
    run_id = await site.run("digest", payload={"n": 1})
    person = await site.person()

    page = await person.see(DIGEST)

    assert "automations/digest.json" in page.words
    assert "read-only" in page.words
    assert "Look around." in page.words
    assert page.text.count("<li><time") == 5
    assert "09:00:00 CE" in page.words
    assert page.text.count(f"/dashboard/runs/{run_id}") == 2
    assert "The latest rulings, newest first" in page.words


async def test_why_is_asked_of_an_instant(site: DashboardHouse) -> None:
    person = await site.person("read")

    page = await person.see(f"{DIGEST}?at=2026-03-02T09:00:30Z")
    wrong = await person.ask("GET", f"{DIGEST}?at=yesterday")

    assert "is no slot of 0 9 * * 1-5 Europe/Berlin" in page.words
    assert (wrong.status, "is no instant" in wrong.words) == (400, True)


async def test_a_broken_file_says_where_and_how_to_mend_it(site: DashboardHouse) -> None:
    person = await site.person("read")

    page = await person.see("/dashboard/automations/broken")

    assert "automations/broken.json:3:2" in page.words
    assert "promt" in page.words
    assert "Hint:" in page.words


async def test_a_run_is_started_with_a_payload_and_shown(site: DashboardHouse) -> None:
    person = await site.person("read", "trigger", name="starter")

    sent = await person.form(DIGEST, f"{DIGEST}/trigger", {"payload": '{"week": 12}'})
    path = sent.location.partition("?")[0]
    run_id = path.rpartition("/")[2]
    async for _ in site.api.house.pages.follow(run_id):
        pass
    page = await person.see(f"{path}?said=started")

    assert sent.status == 303
    assert "Started. The journal grows" in page.words
    assert "token:starter through dashboard" in page.words
    assert '"week": 12' in page.words
    assert "completed" in page.words
    assert "Run finished" in page.words
    assert "Replay" in page.words
    assert "Cancel this run" not in page.words


async def test_a_start_says_what_its_payload_must_look_like(site: DashboardHouse) -> None:
    person = await site.person("read", "trigger")
    order, digest = await person.see("/dashboard/automations/order"), await person.see(DIGEST)

    assert "Payload (JSON, as inputSchema asks)" in order.words
    assert re.search(r"<textarea[^>]* required>", order.text)
    assert '"n": { "type": "integer" }' in order.words
    assert 'What is locked { "team": "shop" }' in order.words
    assert "Payload (JSON, may be empty)" in digest.words
    assert not re.search(r"<textarea[^>]* required>", digest.text)


@pytest.mark.parametrize(
    ("payload", "says"),
    [("{week: 12}", "the payload is not JSON"), ("[" * 200 + "]" * 200, "nested deeper than 64")],
)
async def test_a_payload_that_cannot_be_taken_starts_nothing(
    site: DashboardHouse, payload: str, says: str
) -> None:
    person = await site.person()
    before = len(await site.api.house.runs.list_all(ADA, limit=1000))

    page = await person.form(DIGEST, f"{DIGEST}/trigger", {"payload": payload})

    assert (page.status, says in page.words) == (422, True)
    assert len(await site.api.house.runs.list_all(ADA, limit=1000)) == before


async def test_pause_keeps_its_reason_and_resume_takes_it_away(site: DashboardHouse) -> None:
    person = await site.local()

    await person.form(DIGEST, f"{DIGEST}/pause", {"reason": "quiet hours"})
    paused = await person.see(f"{DIGEST}?said=paused")
    await person.form(DIGEST, f"{DIGEST}/resume")
    resumed = await person.see(f"{DIGEST}?said=resumed")

    assert "quiet hours" in paused.words
    assert "Not due as it stands." in paused.words
    assert "quiet hours" not in resumed.words
    assert await site.audited("automation.paused") == [("digest", "local", "dashboard")]
    assert await site.audited("automation.resumed") == [("digest", "local", "dashboard")]


async def test_what_a_page_says_of_a_change_never_comes_with_the_request(
    site: DashboardHouse,
) -> None:
    person = await site.person("read")

    page = await person.see("/?said=Your+account+is+locked")

    assert "locked" not in page.text


async def test_runs_are_filtered_and_walked(site: DashboardHouse) -> None:
    mine = [await site.run("hook") for _ in range(3)]
    person = await site.person("read")

    first = await person.see("/dashboard/runs?automation=hook&limit=2")
    more = first.text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    second = await person.see(f"{more}&limit=2")
    none = await person.see("/dashboard/runs?automation=hook&status=failed")
    wrong = await person.ask("GET", "/dashboard/runs?status=odd")

    assert [each in first.text for each in mine] == [False, True, True]
    assert [each in second.text for each in mine] == [True, False, False]
    assert "No runs." in none.words
    assert wrong.status == 400


async def test_a_run_is_replayed_and_one_that_waits_is_cancelled(site: DashboardHouse) -> None:
    run_id, asking = await site.run("digest", {"n": 7}), await site.run("asking", {"what": "all"})
    person = await site.person(name="operator")

    replayed = await person.form(f"/dashboard/runs/{run_id}", f"/dashboard/runs/{run_id}/replay")
    page = f"/dashboard/runs/{asking}"
    cancelled = await person.form(page, f"{page}/cancel")
    again = await person.form(page, f"{page}/cancel")

    new = replayed.location.partition("?")[0].rpartition("/")[2]
    assert (await site.api.house.pages.get(ADA, new)).payload == {"n": 7}
    assert cancelled.location == f"{page}?said=cancelled"
    assert (again.status, "has already ended as cancelled" in again.words) == (409, True)
    assert (asking, "token:operator", "dashboard") in await site.audited("run.cancelled")


@pytest.mark.parametrize(("said", "payload"), [("approve", "deleted"), ("deny", "kept")])
async def test_a_person_answers_what_a_run_asks(
    site: DashboardHouse, said: str, payload: str
) -> None:
    run_id = await site.run("asking", {"what": "the old branch"})
    person, reader = await site.person(name=f"boss-{said}"), await site.person("read")
    path = f"/dashboard/approvals/{run_id}"
    asked = await person.see("/dashboard/approvals")
    shown = await reader.see("/dashboard/approvals")
    # A preview of every link that it shows.
    for link in (f"/dashboard/runs/{run_id}", path, f"{path}?answer=approve"):
        await person.ask("GET", link)
    assert (await site.api.house.pages.get(ADA, run_id)).reason == "awaiting_approval"

    fields = {"step": "ask", "answer": said, "note": "as agreed"}
    answered = await person.send(path, fields, token=asked.token)
    again = await person.send(path, fields, token=asked.token)
    async for _ in site.api.house.pages.follow(run_id):
        pass
    page = await reader.see(f"/dashboard/runs/{run_id}")

    assert "Delete the old branch?" in asked.words
    assert f"Node ask of {run_id} , for ada, asked" in asked.words
    assert ("Approve" in shown.words, "may look, not answer" in shown.words) == (False, True)
    assert answered.status == 303
    assert again.status == 409
    run = await site.api.house.pages.get(ADA, run_id)
    assert (run.status, run.result_payload) == ("completed", payload)
    words = "approved" if said == "approve" else "denied"
    assert f"{words} by token:boss-{said} · as agreed" in page.words
    assert "Turns 0 Tokens – Cost –" in page.words
    assert (run_id, f"token:boss-{said}", "dashboard") in await site.audited("approval.answered")


async def test_an_answer_is_yes_or_no_to_the_question_that_is_asked(site: DashboardHouse) -> None:
    run_id = await site.run("asking", {"what": "x"})
    person = await site.person()
    token, path = (await person.see("/")).token, f"/dashboard/approvals/{run_id}"

    neither = await person.send(path, {"step": "ask", "answer": "maybe"}, token=token)
    other = await person.send(path, {"step": "ask#2", "answer": "approve"}, token=token)
    long = await person.send(
        path, {"step": "ask", "answer": "approve", "note": "x" * 1001}, token=token
    )

    assert [page.status for page in (neither, other, long)] == [422, 409, 422]
    assert (await site.api.house.pages.get(ADA, run_id)).reason == "awaiting_approval"


async def test_an_event_shows_what_it_started_and_starts_it_again(site: DashboardHouse) -> None:
    sender = Sender(actor="member:ada")
    told = await site.api.house.event_bus.emit(
        ADA, {"type": "deploy.finished", "data": {"version": "1.2"}}, sender=sender
    )
    event_id = str(told["event_id"])
    person = await site.person("read", "trigger")

    listed = await person.see("/dashboard/events?type=deploy.*")
    page = await person.see(f"/dashboard/events/{event_id}")
    replayed = await person.form(
        f"/dashboard/events/{event_id}", f"/dashboard/events/{event_id}/replay"
    )
    again = await person.see(replayed.location)

    assert event_id in listed.text
    assert "deployed" in page.words
    assert '"version": "1.2"' in page.words
    assert event_id not in replayed.location
    assert '"version": "1.2"' in again.words


async def test_a_dead_letter_is_sent_again(site: DashboardHouse) -> None:
    delivery_id = await site.dead_letter()
    person = await site.person(name="postman")
    path = f"/dashboard/deliveries/{delivery_id}"

    listed = await person.see("/dashboard/deliveries?status=dead")
    page = await person.see(path)
    sent = await person.form("/dashboard/deliveries", f"{path}/retry")

    assert delivery_id in listed.text
    assert "Retry" in listed.words
    assert "nobody" in page.words
    assert '"result": ' in page.words
    assert (sent.status, sent.location) == (303, f"{path}?said=retried")
    assert await site.audited("delivery.retried") == [(delivery_id, "token:postman", "dashboard")]


async def test_a_whole_entry_has_a_page_of_its_own(site: DashboardHouse) -> None:
    run_id = await site.run("digest")
    person = await site.person("read")

    page = await person.see(f"/dashboard/runs/{run_id}/entries/1")
    none = await person.ask("GET", f"/dashboard/runs/{run_id}/entries/999")

    assert "run.started" in page.words
    assert (none.status, "has no entry 999" in none.words) == (404, True)
