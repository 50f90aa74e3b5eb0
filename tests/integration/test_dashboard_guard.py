"""The dashboard's door: what a stranger, a page of another, and a small token try."""

import re
from collections.abc import AsyncGenerator, Mapping
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from api_house import ADA
from daemon_child import write
from dashboard_house import OWN, DashboardHouse, Person, dashboard_house, workspace

from amodal_rt.servers.dashboard.door import CSP
from amodal_rt.servers.dashboard.tries import MOST

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGES = [
    "/",
    "/dashboard/automations/digest",
    "/dashboard/runs",
    "/dashboard/runs/run_0000000000000000",
    "/dashboard/events",
    "/dashboard/deliveries",
    "/dashboard/approvals",
    "/dashboard/approvals/write_0000000000000000/edit",
    "/dashboard",
    "/dashboard/nothing/here",
]
CHANGES = [
    "/dashboard/automations/digest/trigger",
    "/dashboard/automations/digest/pause",
    "/dashboard/automations/digest/resume",
    "/dashboard/runs/run_0000000000000000/cancel",
    "/dashboard/runs/run_0000000000000000/replay",
    "/dashboard/events/evt_0000000000000000/replay",
    "/dashboard/deliveries/msg_0000000000000000/retry",
    "/dashboard/approvals/run_0000000000000000",
    "/dashboard/approvals/write_0000000000000000/edit",
    "/dashboard/sign-out",
]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PAUSE = "/dashboard/automations/digest/pause"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[DashboardHouse, None]:
    root = tmp_path_factory.mktemp("guard") / "workspace"
    workspace(root)
    async with dashboard_house(root) as house:
        yield house


async def test_without_a_session_every_page_leads_to_the_sign_in(site: DashboardHouse) -> None:
    stranger = site.stranger()

    answers = {path: await stranger.ask("GET", path) for path in PAGES}
    stream = await stranger.ask("GET", "/dashboard/runs/run_0000000000000000/stream")

    assert {page.status for page in answers.values()} == {303}
    assert answers["/"].location == "/dashboard/sign-in"
    assert answers["/dashboard/runs"].location == "/dashboard/sign-in?next=%2Fdashboard%2Fruns"
    assert {page.text for page in answers.values()} == {""}
    assert stream.status == 401


@pytest.mark.parametrize("path", CHANGES)
async def test_without_a_session_nothing_is_changed(site: DashboardHouse, path: str) -> None:
    stranger = site.stranger()
    before = await site.api.audited()

    page = await stranger.send(path, token="")

    assert page.status == 401
    assert "signed out" in page.words
    assert await site.api.audited() == before


@pytest.mark.parametrize("path", CHANGES)
async def test_a_look_changes_nothing(site: DashboardHouse, path: str) -> None:
    person = await site.person()
    before = await site.api.audited()

    answers = [await person.ask(method, path) for method in ("GET", "HEAD", "PUT", "DELETE")]

    assert {page.status for page in answers} <= {403, 404, 405}
    assert await site.api.audited() == before


async def test_a_page_knows_which_methods_it_has(site: DashboardHouse) -> None:
    person = await site.person()

    page = await person.ask("GET", PAUSE)
    head = await person.ask("HEAD", "/dashboard/runs")

    assert (page.status, page.headers["Allow"]) == (405, "POST")
    assert (head.status, head.text) == (200, "")


@pytest.mark.parametrize(
    "path", ["/", "/dashboard/sign-in", "/dashboard/link/x", "/dashboard/runs"]
)
async def test_a_name_that_was_made_to_point_here_is_refused(
    site: DashboardHouse, path: str
) -> None:
    person = await site.person()

    page = await person.ask("GET", path, headers={"Host": "evil.example"})

    assert page.status == 403
    assert "Signed in" not in page.text
    assert "digest" not in page.text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null", "Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": OWN},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_a_form_of_another_page_is_refused_with_the_right_token(
    site: DashboardHouse, headers: Mapping[str, str]
) -> None:
    person = await site.person()
    token = (await person.see("/dashboard/automations/digest")).token

    page = await person.send(PAUSE, token=token, headers=headers)

    assert (page.status, "sent by a page of ours" in page.words) == (403, True)
    assert await site.audited("automation.paused") == []


@pytest.mark.parametrize("headers", [{"Origin": "null"}, {"Sec-Fetch-Site": OWN}])
async def test_a_browser_that_says_less_needs_the_token(
    site: DashboardHouse, headers: Mapping[str, str]
) -> None:
    person, other = await site.person(), await site.person()
    good = (await person.see("/")).token
    foreign = (await other.see("/")).token
    resume = "/dashboard/automations/digest/resume"

    refused = [
        await person.send(resume, token=token, headers=headers) for token in ("", "x", foreign)
    ]
    taken = await person.send(resume, token=good, headers=headers)

    assert {page.status for page in refused} == {403}
    assert taken.status == 303


async def test_the_own_origin_is_a_page_of_ours(site: DashboardHouse) -> None:
    person = await site.person()
    token = (await person.see("/")).token
    resume = "/dashboard/automations/digest/resume"

    page = await person.send(resume, token=token, headers={"Origin": site.api.url})

    assert page.status == 303


async def test_only_small_plain_forms_are_taken(site: DashboardHouse) -> None:
    person = await site.person()
    token = (await person.see("/")).token
    own = {"Origin": "null", "Sec-Fetch-Site": OWN}

    json = await person.ask("POST", PAUSE, "{}", {**own, "Content-Type": "application/json"})
    packed = await person.ask("POST", PAUSE, "x", {**own, **FORM, "Content-Encoding": "gzip"})
    large = await person.send(PAUSE, {"reason": "x" * 300_000}, token=token)
    many = await person.send(PAUSE, {f"f{n}": "" for n in range(100)}, token=token)

    assert [page.status for page in (json, packed, large, many)] == [415, 415, 413, 422]
    assert await site.audited("automation.paused") == []


async def test_a_small_token_sees_no_button_and_pushes_none(site: DashboardHouse) -> None:
    reader, starter = await site.person("read"), await site.person("read", "trigger")
    page = await reader.see("/dashboard/automations/digest")
    shown = await starter.see("/dashboard/automations/digest")
    hook = await reader.see("/dashboard/automations/hook")
    seen = await starter.see("/dashboard/automations/hook")

    refused = {path: (await reader.send(path, token=page.token)).status for path in CHANGES[:-1]}
    also = {path: (await starter.send(path, token=shown.token)).status for path in CHANGES[:-1]}

    assert set(refused.values()) == {403}
    assert [path for path, status in also.items() if status != 403] == [
        "/dashboard/automations/digest/trigger",
        "/dashboard/runs/run_0000000000000000/replay",
        "/dashboard/events/evt_0000000000000000/replay",
    ]
    assert "<button>Start a run" not in page.text
    assert "<button>Start a run" in shown.text
    assert 'action="/dashboard/automations/digest/pause"' not in shown.text
    # Whoever has the address of an unsigned webhook may start it.
    assert "/webhooks/auto_" not in hook.text
    assert "/webhooks/auto_" in seen.text


async def test_a_token_that_may_not_look_opens_nothing(site: DashboardHouse) -> None:
    stranger = site.stranger()

    page = await stranger.sign_in(await site.api.secret("trigger", name="blind"))

    assert (page.status, "lacks the scope read" in page.words) == (403, True)
    # There and then, another token can be typed.
    assert re.search(r'<input id="token"[^>]* autofocus', page.text)
    assert (await stranger.ask("GET", "/")).status == 303


async def test_what_is_revoked_is_signed_out(site: DashboardHouse) -> None:
    person = await site.person("manage", name="leaver")
    token = (await person.see("/")).token

    await site.api.house.tokens.revoke(ADA, "leaver")

    assert (await person.ask("GET", "/")).status == 303
    assert (await person.send(PAUSE, token=token)).status == 401
    assert (await person.sign_in("art_guessed")).status == 401


async def test_a_link_opens_one_session_and_looking_at_it_none(site: DashboardHouse) -> None:
    link = await site.api.house.sessions.make_link(ADA)
    path = str(link["url"]).removeprefix(site.api.url)
    preview, person, late = site.stranger(), site.stranger(), site.stranger()
    looks = [await preview.ask(method, path) for method in ("GET", "HEAD", "GET")]
    stale = (await late.see(path)).token

    first = await person.form(path, path)
    second = await late.send(path, token=stale)

    assert {page.status for page in looks} == {200}
    assert (await preview.ask("GET", "/")).status == 303
    assert (first.status, first.location) == (303, "/")
    assert "Signed in as local" in (await person.see("/")).words
    assert (second.status, "was used" in second.words) == (403, True)
    assert ("local", "ada", "cli") in await site.audited("session.link_made")
    assert ("local", "local", "dashboard") in await site.audited("session.begun")


async def test_a_token_makes_no_link(site: DashboardHouse) -> None:
    """A link may do everything, and its changes stand under the name of the machine's owner."""
    secret = await site.api.secret("manage", name="linker")

    status, told = await site.api.ask(secret, "POST", "/v1/dashboard/link")

    assert (status, told["error"]["code"]) == (404, "no_such_path")


async def test_signing_out_ends_copies_of_the_session_too(site: DashboardHouse) -> None:
    person = await site.person()
    cookies = _cookies(person)
    assert (await site.stranger().ask("GET", "/", headers=cookies)).status == 200

    left = await person.form("/", "/dashboard/sign-out")

    assert (left.status, left.location) == (303, "/dashboard/sign-in")
    assert (await site.stranger().ask("GET", "/", headers=cookies)).status == 303


async def test_the_cookie_is_for_our_pages_alone(site: DashboardHouse) -> None:
    stranger = site.stranger()

    page = await stranger.sign_in(await site.api.secret("read", name="cookie"))

    port = site.api.url.rpartition(":")[2]
    name, *rest = page.headers["Set-Cookie"].split("; ")
    assert name.startswith(f"amodal_rt_session_{port}=")
    assert {each.lower() for each in rest} == {
        "httponly", "samesite=strict", "path=/", "max-age=43200",
    }  # fmt: skip


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example", "https://evil.example", "/\\evil.example", "/dashboard\\..", "/v1/status"],
)
async def test_signing_in_leads_to_no_other_place(site: DashboardHouse, wanted: str) -> None:
    person = site.stranger()
    secret = await site.api.secret("read", name=f"n{abs(hash(wanted))}")
    token = (await person.see("/dashboard/sign-in")).token

    page = await person.send("/dashboard/sign-in", {"token": secret, "next": wanted}, token=token)

    assert (page.status, page.location) == (303, "/")


async def test_every_page_has_its_headers_and_no_script_or_style_of_its_own(
    site: DashboardHouse,
) -> None:
    person = await site.person()

    for path in [*PAGES, "/dashboard/sign-in", "/dashboard/link/x"]:
        page = await person.ask("GET", path)
        assert page.headers["Content-Security-Policy"] == CSP
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["Cache-Control"] == "no-store"
        assert "<style" not in page.text
        assert " style=" not in page.text
        assert "javascript:" not in page.text
        assert page.text.count("<script") == page.text.count('<script src="/dashboard/assets/')


async def test_assets_are_kept_for_ever_under_a_name_of_their_content(
    site: DashboardHouse,
) -> None:
    stranger = site.stranger()
    text = (await stranger.see("/dashboard/sign-in")).text
    paths = [part.partition('"')[0] for part in text.split('"/dashboard/assets/')[1:]]

    answers = [await stranger.see(f"/dashboard/assets/{path}") for path in paths]
    gone = await stranger.ask("GET", "/dashboard/assets/dashboard.css")
    above = await stranger.ask("GET", "/dashboard/assets/..%2f__init__.py")

    assert len(paths) == 3
    assert {page.headers["Cache-Control"] for page in answers} == {
        "public, max-age=31536000, immutable"
    }
    assert (gone.status, above.status) == (404, 404)


async def test_errors_are_pages_and_tell_of_nothing_inside(
    site: DashboardHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await site.person()

    async def broken(*_: object) -> None:
        raise RuntimeError("/srv/secret/path and postgres://user:password@host")

    monkeypatch.setattr(type(site.api.house.outlook), "attention", broken)
    defect = await person.ask("GET", "/")
    gone = await person.ask("GET", "/dashboard/runs/run_nothing")

    assert (defect.status, "a defect of this program" in defect.words) == (500, True)
    assert "secret" not in defect.text
    assert "Traceback" not in defect.text
    assert (gone.status, "no run run_nothing" in gone.words) == (404, True)
    assert "Signed in as" in gone.words


async def test_through_an_address_with_tls_the_cookie_is_sent_over_tls_alone(
    site: DashboardHouse,
) -> None:
    write(site.api.root, "amodal.json", {"publicUrl": "https://ops.example"})
    await site.api.house.ground.workspace.reload()
    secret = await site.api.secret("read", name="far")
    far, near = site.stranger(), site.stranger()
    through = {"Host": "ops.example"}
    shown = await far.ask("GET", "/dashboard/sign-in", headers=through)
    cookie = shown.headers["Set-Cookie"].partition(";")[0]
    sent = {
        **FORM,
        **through,
        "Cookie": cookie,
        "Origin": "https://ops.example",
        "Sec-Fetch-Site": OWN,
    }

    body = urlencode({"form_token": shown.token, "token": secret})
    page = await far.ask("POST", "/dashboard/sign-in", body, sent)
    local = await near.sign_in(secret)

    name, *rest = page.headers["Set-Cookie"].split("; ")
    assert page.status == 303
    assert name.startswith("__Host-amodal_rt_session_")
    assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= set(rest)
    # Without TLS, as this machine itself comes, a browser would never send it back.
    assert "Secure" not in local.headers["Set-Cookie"]


async def test_who_guesses_tokens_has_to_wait(site: DashboardHouse) -> None:
    """Last of this file: whoever comes from here waits a minute."""
    stranger = site.stranger()
    token = (await stranger.see("/dashboard/sign-in")).token

    tries = [
        await stranger.send("/dashboard/sign-in", {"token": "art_guess"}, token=token)
        for _ in range(MOST + 1)
    ]

    assert {page.status for page in tries[:-1]} <= {401, 429}
    assert (tries[-1].status, tries[-1].headers["Retry-After"]) == (429, "30")


def _cookies(person: Person) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{each.key}={each.value}" for each in person.jar)}
