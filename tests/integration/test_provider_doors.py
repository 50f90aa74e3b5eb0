"""Providers' requests through the real doors of a whole daemon: own webhooks and integrations."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import jwt
import pytest
import sent_by_providers as sent
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec
from daemon_child import automation, write
from jwt.algorithms import ECAlgorithm

from amodal_rt import Runtime, ids
from amodal_rt.client import find_client
from amodal_rt.workspace.check import check

KEY = "the-key-of-this-workspace"
INTEGRATIONS = "/v1/integrations"
PUBLIC = "https://hooks.acme.example"
PRESETS = ("github", "gitlab", "slack", "stripe", "pagerduty", "linear", "jira", "shopify",
           "twilio", "discord", "sentry", "zoom", "standard-webhooks")  # fmt: skip

WAITING = {
    "first": "github.issues.opened",
    "second": "github.*",
    "other": "github.push",
    "mention": "slack.app_mention",
    "money": "stripe.invoice.*",
    "board": "linear.issue.update",
}


@dataclass
class Doors:
    """The open doors of one daemon."""

    session: aiohttp.ClientSession
    runtime: Runtime
    state: Path

    async def webhook(self, name: str, body: bytes, headers: Mapping[str, str]) -> Any:
        path = f"/webhooks/{ids.webhook(KEY.encode(), name, 0)}"
        return await self.post(path, body, headers)

    async def integration(self, name: str, body: bytes, headers: Mapping[str, str]) -> Any:
        path = f"/integrations/{name}/{ids.integration(KEY.encode(), name)}"
        return await self.post(path, body, headers)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Any:
        kind = {"Content-Type": "application/json", **headers}
        async with self.session.post(path, data=body, headers=kind) as answer:
            return answer.status, await answer.text(), answer.headers

    async def document(self, door: str, name: str, body: bytes, headers: Mapping[str, str]) -> Any:
        send = self.webhook if door == "webhooks" else self.integration
        status, text, _ = await send(name, body, headers)
        return status, json.loads(text) if text else None

    async def events(self, **query: str) -> Any:
        client = find_client(self.state, actor="ada")
        return await asyncio.to_thread(client.get, "/v1/events", query)

    async def event(self, event_id: str) -> Any:
        client = find_client(self.state, actor="ada")
        return await asyncio.to_thread(client.get, f"/v1/events/{event_id}")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("AMODAL_RT_WEBHOOK_KEY", KEY)
    for name in ("AMODAL_RT_STATE_DIR", "AMODAL_RT_LISTEN"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "workspace"
    write(folder, "amodal.json", {"publicUrl": PUBLIC})
    secrets = f"SECRET={sent.SECRET}\nDISCORD={sent.DISCORD_KEY}\nSTANDARD={sent.STANDARD_SECRET}\n"
    write(folder, ".env", secrets).chmod(0o600)
    names = {"discord": "DISCORD", "standard-webhooks": "STANDARD"}
    for preset in PRESETS:
        secret = f"env:{names.get(preset, 'SECRET')}"
        auth = {"type": preset, "secret": secret}
        automation(folder, f"own-{preset}", trigger="webhook", webhookAuth=auth, status="paused")
        write(folder, f"integrations/{preset}.json", {"provider": preset, "secret": secret})
    for name, event in WAITING.items():
        automation(folder, name, trigger=event)
    return folder


@asynccontextmanager
async def opened(root: Path) -> AsyncIterator[Doors]:
    async with (
        Runtime(root, listen="127.0.0.1:0") as runtime,
        aiohttp.ClientSession(str(runtime.url)) as session,
    ):
        yield Doors(session, runtime, root / ".amodal-rt")


@pytest.fixture
async def doors(root: Path) -> AsyncIterator[Doors]:
    async with opened(root) as found:
        yield found


async def test_one_github_event_starts_every_automation_that_waits_for_it_once(
    doors: Doors,
) -> None:
    body = sent.github_issue()
    status, told = await doors.document("integrations", "github", body, sent.github(body))

    assert (status, told["status"]) == (202, "accepted")
    assert {each["automation"] for each in told["runs"]} == {"first", "second"}
    assert told["run_ids"] == [each["run_id"] for each in told["runs"]]
    assert told["run_id"] == told["run_ids"][0]
    for run_id in told["run_ids"]:
        run = await doors.runtime.wait(run_id)
        assert (run["status"], run["event_id"]) == ("completed", told["event_id"])

    # A redelivery, and a replay under a fresh name, start nothing.
    for delivery in ("72d3162e", "another"):
        again = await doors.document(
            "integrations", "github", body, sent.github(body, delivery=delivery)
        )
        assert again[0] == 200
        assert again[1]["status"] == "duplicate"
        assert again[1]["run_ids"] == told["run_ids"]


async def test_slack_is_answered_its_challenge_and_its_mention_starts_a_run(doors: Doors) -> None:
    asked = sent.body_of(
        {"type": "url_verification", "token": "x", "challenge": "3eZbrw1aB10FEMAGA"}
    )
    status, text, headers = await doors.integration("slack", asked, sent.slack(asked))
    assert (status, text) == (200, "3eZbrw1aB10FEMAGA")
    assert headers["Content-Type"].startswith("text/plain")
    assert headers["X-Content-Type-Options"] == "nosniff"
    # A stranger is not told that this is anybody's endpoint.
    assert (await doors.integration("slack", asked, {}))[0] == 401

    body = sent.slack_mention()
    status, told = await doors.document("integrations", "slack", body, sent.slack(body))
    assert (status, [each["automation"] for each in told["runs"]]) == (202, ["mention"])
    assert (await doors.event(told["event_id"]))["delivery_id"] == "Ev08MFMKH6"
    retried = {**sent.slack(body), "X-Slack-Retry-Num": "1"}
    assert (await doors.document("integrations", "slack", body, retried))[0] == 200
    assert (await doors.document("integrations", "slack", body, sent.slack(body, late=400)))[
        0
    ] == 401


async def test_stripe_and_linear_start_runs_and_what_is_old_does_not(doors: Doors) -> None:
    body = sent.stripe_failure()
    status, told = await doors.document("integrations", "stripe", body, sent.stripe(body))
    assert (status, [each["automation"] for each in told["runs"]]) == (202, ["money"])
    assert (await doors.document("integrations", "stripe", body, sent.stripe(body)))[0] == 200
    late = sent.stripe(body, late=301)
    assert (await doors.document("integrations", "stripe", body, late))[0] == 401

    body = sent.linear_issue()
    status, told = await doors.document("integrations", "linear", body, sent.linear(body))
    assert (status, [each["automation"] for each in told["runs"]]) == (202, ["board"])
    # Its own retry is a new body with the old name.
    again = sent.linear_issue()
    assert (await doors.document("integrations", "linear", again, sent.linear(again)))[0] == 200
    late = sent.linear_issue(late=62)
    assert (await doors.document("integrations", "linear", late, sent.linear(late, "2")))[0] == 401


TWILIO = {"MessageSid": "SM1", "MessageStatus": "delivered", "From": "+1", "AccountSid": "AC1"}
BODIES: Mapping[str, bytes] = {
    "github": sent.github_issue(),
    "slack": sent.slack_mention(),
    "stripe": sent.stripe_failure(),
    "gitlab": sent.body_of({"object_kind": "issue", "object_attributes": {"action": "open"}}),
    "pagerduty": sent.body_of(
        {"event": {"id": "01B", "event_type": "incident.triggered", "agent": {"id": "P1"}}}
    ),
    "jira": sent.body_of({"webhookEvent": "jira:issue_updated", "issue": {"key": "A-1"}}),
    "shopify": b'{"id": 820982911946154508}',
    "twilio": urlencode(TWILIO).encode(),
    "discord": sent.body_of(
        {"type": 1, "event": {"type": "ENTITLEMENT_CREATE", "data": {"user": {"id": "9"}}}}
    ),
    "sentry": b'{"action": "created", "actor": {"id": "1"}}',
    "zoom": sent.body_of({"event": "meeting.started", "event_ts": 1772366400000}),
    "standard-webhooks": b'{"type": "user.created", "data": {}}',
}
SIGNED: Mapping[str, Callable[[bytes], dict[str, str]]] = {
    "github": sent.github,
    "slack": sent.slack,
    "stripe": sent.stripe,
    "linear": sent.linear,
    "gitlab": sent.gitlab_token,
    "pagerduty": sent.pagerduty,
    "jira": sent.jira,
    "shopify": sent.shopify,
    "discord": sent.discord,
    "sentry": sent.sentry,
    "zoom": sent.zoom,
    "standard-webhooks": sent.standard,
}


def request_of(preset: str, target: str) -> tuple[bytes, dict[str, str]]:
    """A request of each provider, signed now."""
    body = BODIES.get(preset) or sent.linear_issue()
    if preset != "twilio":
        return body, SIGNED[preset](body)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return body, {**form, **sent.twilio(f"{PUBLIC}{target}", TWILIO)}


BAD = {"code": "bad_signature", "message": "the signature is not valid"}
TYPES = {
    "github": ("github.issues.opened", "github:octocat"),
    "gitlab": ("gitlab.issue.open", None),
    "slack": ("slack.app_mention", "slack:U061F7AUR"),
    "stripe": ("stripe.invoice.payment_failed", None),
    "pagerduty": ("pagerduty.incident.triggered", "pagerduty:P1"),
    "linear": ("linear.issue.update", "linear:b5ea5f1f"),
    "jira": ("jira.issue_updated", None),
    "shopify": ("shopify.orders.create", None),
    "twilio": ("twilio.delivered", "twilio:+1"),
    "discord": ("discord.entitlement_create", "discord:9"),
    "sentry": ("sentry.issue.created", "sentry:1"),
    "zoom": ("zoom.meeting.started", None),
}


@pytest.mark.parametrize("door", ["integrations", "webhooks"])
async def test_every_preset_is_verified_named_and_known_again(root: Path, door: str) -> None:
    async with opened(root) as doors:
        for preset in PRESETS:
            name = preset if door == "integrations" else f"own-{preset}"
            secret = (ids.integration(KEY.encode(), name) if door == "integrations"
                      else ids.webhook(KEY.encode(), name, 0))  # fmt: skip
            path = f"/{door}/{name}/{secret}" if door == "integrations" else f"/{door}/{secret}"
            body, headers = request_of(preset, path)
            first = await doors.document(door, name, body, headers)
            assert first[0] == (204 if preset == "discord" else 202), (preset, first)
            again = await doors.document(door, name, body, headers)
            assert again[0] == (204 if preset == "discord" else 200), (preset, again)
            forged = body[:-1] + b" }" if preset != "twilio" else body + b"1"
            if preset != "gitlab":
                refused = await doors.document(door, name, forged, headers)
                assert refused == (401, {"error": BAD}), preset
        events = [await doors.event(each["event_id"]) for each in await doors.events(limit="50")]
    named = {each["type"]: each["actor"] for each in events}
    # At an own URL nobody knows which sender signs by that standard.
    generic = "webhook.user.created" if door == "webhooks" else "standard-webhooks.user.created"
    assert len(events) == len(PRESETS)
    assert named == {**dict(TYPES.values()), generic: None}


async def test_an_unknown_name_and_a_wrong_key_are_404_alike(doors: Doors) -> None:
    body = sent.github_issue()
    right = ids.integration(KEY.encode(), "github")
    found = {
        await tell(doors, f"/integrations/{path}", body)
        for path in (f"nobody/{right}", f"github/{right[:-1]}", f"github/{right}0", "github/int_x",
                     f"slack/{right}", "github/%00", "github/%FF%FE")
    }  # fmt: skip
    assert len(found) == 1
    assert found.pop()[0] == 404
    assert (await doors.post(f"/integrations/github/{right}", body, {}))[0] == 401


async def tell(doors: Doors, path: str, body: bytes) -> tuple[int, str]:
    status, text, _ = await doors.post(path, body, sent.github(body))
    return status, text


async def test_zooms_challenge_is_an_hmac_of_harmless_tokens_alone(doors: Doors) -> None:
    async def ask(token: object) -> Any:
        body = sent.body_of({"event": "endpoint.url_validation", "payload": {"plainToken": token}})
        return await doors.document("webhooks", "own-zoom", body, sent.zoom(body))

    status, told = await ask("qgg8vlvZRS6UYooatFL8Aw")
    digest = hmac.new(sent.SECRET.encode(), b"qgg8vlvZRS6UYooatFL8Aw", hashlib.sha256).hexdigest()
    assert (status, told) == (
        200,
        {"plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": digest},
    )
    for token in ("v0:1772366400:{}", "", "a" * 65, None, 5, ["a"]):
        assert (await ask(token))[0] == 400


async def test_discord_is_answered_its_pings_and_forged_ones_are_not(doors: Doors) -> None:
    for document, expected in (({"type": 0}, (204, None)), ({"type": 1}, (200, {"type": 1}))):
        body = sent.body_of(document)
        assert await doors.document("integrations", "discord", body, sent.discord(body)) == expected
        bad = {**sent.discord(body), "X-Signature-Ed25519": "00" * 64}
        assert (await doors.document("integrations", "discord", body, bad))[0] == 401
    assert await doors.events(limit="5") == []


async def test_events_of_another_account_are_skipped_and_counted(root: Path) -> None:
    write(root, "integrations/github.json",
          {"provider": "github", "secret": "env:SECRET", "account": "acme"})  # fmt: skip
    write(root, "integrations/slack.json",
          {"provider": "slack", "secret": "env:SECRET", "account": "T1"})  # fmt: skip
    async with opened(root) as doors:
        body = sent.github_issue()
        assert (await doors.document("integrations", "github", body, sent.github(body)))[0] == 202
        body = sent.slack_mention(team="T2")
        status, told = await doors.document("integrations", "slack", body, sent.slack(body))
        assert (status, told) == (202, {"status": "skipped", "reason": "other_account"})
        (row,) = await doors.events(rejected="1")
    assert row["endpoint"] == "/integrations/slack"
    assert row["reason"] == "other_account: of the account T2"


async def test_a_token_is_held_against_the_keys_at_the_url_that_the_file_names(
    root: Path,
) -> None:
    keys = {"old": ec.generate_private_key(ec.SECP256R1())}
    asked: list[str] = []

    def published(request: web.Request) -> web.Response:
        asked.append(request.path)
        made = (
            {**ECAlgorithm.to_jwk(each.public_key(), as_dict=True), "kid": kid}
            for kid, each in keys.items()
        )
        return web.json_response({"keys": list(made)})

    async def handler(request: web.Request) -> web.Response:
        return published(request)

    app = web.Application()
    app.router.add_get("/keys", handler)
    server = TestServer(app)
    await server.start_server()
    loopback = {"publicUrl": PUBLIC, "egress": {"allowPrivate": ["127.0.0.0/8"]}}
    write(root, "amodal.json", loopback)
    said = {"algorithms": ["ES256"], "issuer": "acme", "audience": "us",
            "jwksUrl": str(server.make_url("/keys"))}  # fmt: skip
    write(root, "integrations/pub.json", {"provider": "custom", "scheme": "jwt", "jwt": said})

    def bearer(kid: str, aud: str = "us") -> dict[str, str]:
        claims = {"iss": "acme", "aud": aud, "exp": int(time.time()) + 60}
        token = jwt.encode(claims, keys[kid], algorithm="ES256", headers={"kid": kid})
        return {"Authorization": f"Bearer {token}"}

    async with opened(root) as doors:
        body = b'{"n": 1}'
        good = await doors.integration("pub", body, bearer("old"))
        for wrong in ({}, bearer("old", aud="others"), {"Authorization": "Bearer x.y.z"}):
            assert (await doors.integration("pub", body, wrong))[0] == 401
        client = find_client(doors.state, actor="ada")
        rows = {each["name"]: each for each in await asyncio.to_thread(client.get, INTEGRATIONS)}
    await server.close()

    assert good[0] == 202
    # Whatever strangers send, they make nobody ask again within a minute.
    assert asked == ["/keys"]
    assert (rows["pub"]["state"], rows["pub"]["unset"]) == ("ready", [])


async def test_an_unset_or_useless_secret_is_503_and_a_problem_of_its_file(root: Path) -> None:
    write(root, "integrations/jira.json", {"provider": "jira", "secret": "env:NOT_SET"})
    write(root, "integrations/discord.json", {"provider": "discord", "secret": "env:SECRET"})
    secrets = ["env:SECRET", "env:COMING"]
    write(root, "integrations/rotating.json", {"provider": "jira", "secret": secrets})
    async with opened(root) as doors:
        body = b"{}"
        assert (await doors.integration("rotating", body, sent.jira(body)))[0] == 202
        for name in ("jira", "discord"):
            status, _, headers = await doors.integration(name, body, sent.jira(body))
            assert status == 503
            assert int(headers["Retry-After"]) > 0
        client = find_client(doors.state, actor="ada")
        rows = {each["name"]: each for each in await asyncio.to_thread(client.get, INTEGRATIONS)}
    assert (rows["jira"]["unset"], rows["discord"]["unset"]) == (["NOT_SET"], ["SECRET"])
    said = {name: rows[name]["state"] for name in ("jira", "discord", "rotating")}
    assert said == {"jira": "not set up", "discord": "not set up", "rotating": "ready"}
    assert rows["rotating"]["unset"] == ["COMING"]
    github = rows["github"]
    key = ids.integration(KEY.encode(), "github")
    assert (github["unset"], github["url"]) == ([], f"{PUBLIC}/integrations/github/{key}")
    problems = {(each.file, each.code) for each in check(root, env=True)}
    assert ("integrations/jira.json", "env_missing") in problems
    assert ("integrations/discord.json", "env_bad") in problems
