"""Which requests become events, and what the others are answered."""

import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest

from amodal_rt.domain.secret import SecretRef
from amodal_rt.domain.trigger import SignatureScheme, WebhookAuth
from amodal_rt.intake.requests import Refusal, Verified

ENDPOINT = "auto_0123456789abcdef"
SECRET = "It's a Secret to Everybody"
House = Callable[..., Any]

GITHUB = WebhookAuth(scheme=SignatureScheme.GITHUB, secrets=(SecretRef("HOOK_SECRET"),))
SET = {"HOOK_SECRET": SECRET}


def _signed(body: bytes, secret: str = SECRET, header: str = "X-Hub-Signature-256") -> dict:
    return {header: "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()}


async def test_an_unsigned_webhook_becomes_an_event_addressed_to_its_automation(
    house: House,
) -> None:
    verdict = await house().send(b'{"n": 1}', {"Content-Type": "application/json"})

    assert isinstance(verdict, Verified)
    event = verdict.event
    assert (event.type, event.source, event.address) == (
        "webhook.received",
        "/webhooks/hook",
        "hook",
    )
    assert event.data == {"n": 1}
    assert event.id.startswith("evt_")
    assert verdict.dedup is None


async def test_a_github_event_is_named_by_its_header_and_action(house: House) -> None:
    body = json.dumps(
        {
            "action": "opened",
            "repository": {"full_name": "acme/site"},
            "sender": {"login": "octocat"},
        }
    ).encode()
    headers = {**_signed(body), "X-GitHub-Event": "issues", "X-GitHub-Delivery": "72d3162e"}

    verdict = await house(auth=GITHUB, variables=SET).send(body, headers)

    assert isinstance(verdict, Verified)
    event = verdict.event
    assert event.type == "github.issues.opened"
    assert (event.source, event.subject, event.actor) == ("github", "acme/site", "github:octocat")
    assert event.delivery_id == "72d3162e"


@pytest.mark.parametrize("name", ["a.b", "../x", "issues\n", ""])
async def test_an_event_name_that_is_no_word_names_nothing(house: House, name: str) -> None:
    body = b'{"action": ["opened"], "sender": "octocat", "repository": 5}'

    verdict = await house(auth=GITHUB, variables=SET).send(
        body, {**_signed(body), "X-GitHub-Event": name}
    )

    assert verdict.event.type == "github.event"
    assert (verdict.event.subject, verdict.event.actor) == (None, None)


async def test_signatures_cover_the_raw_bytes_in_a_header_of_choice(house: House) -> None:
    auth = WebhookAuth(
        scheme=SignatureScheme.HMAC_SHA256, secrets=("a literal secret",), header="X-Proof-Event"
    )
    body = b'{ "spaced" :  1 }'
    headers = _signed(body, "a literal secret", "x-proof-event")

    verdict = await house(auth=auth).send(body, headers)

    assert isinstance(verdict, Verified)
    assert verdict.event.headers == {}


async def test_no_header_that_could_be_a_proof_is_kept(house: House) -> None:
    verdict = await house().send(
        b"{}",
        {
            "Content-Type": "application/json",
            "X-GitHub-Event": "push",
            "X-Gitea-Delivery": "7",
            "User-Agent": "sender \udcff" + "x" * 5000,
            "Authorization": "Bearer planted",
            "Proxy-Authorization": "planted",
            "Cookie": "planted",
            "X-Hub-Signature-256": "planted",
            "X-Signature-256": "planted",
            "X-Gitlab-Token": "planted",
            "X-Event-Token": "planted",
            "X-Api-Key": "planted",
            "X-Event-Secret": "planted",
            "X-Whatever": "planted",
        },
    )

    kept = verdict.event.headers
    assert set(kept) == {"content-type", "x-github-event", "x-gitea-delivery", "user-agent"}
    assert len(kept["user-agent"]) == 1024
    assert "planted" not in json.dumps(kept, ensure_ascii=False).encode().decode()


def _refused(verdict: object) -> Refusal:
    assert isinstance(verdict, Refusal)
    return verdict


async def test_an_unknown_endpoint_is_404_and_nothing_is_kept_of_it(house: House) -> None:
    refusal = _refused(await house().send(endpoint="auto_ffffffffffffffff"))

    assert (refusal.status, refusal.rejection) == (404, None)


async def test_an_automation_without_webhook_is_404_as_an_unknown_one(house: House) -> None:
    assert _refused(await house(has_webhook=False).send()) == _refused(
        await house().send(endpoint="auto_ffffffffffffffff")
    )


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS", "post"])
async def test_any_method_but_post_is_405_and_names_post(house: House, method: str) -> None:
    refusal = _refused(await house().send(method=method))

    assert (refusal.status, refusal.headers) == (405, {"Allow": "POST"})


@pytest.mark.parametrize("coding", ["gzip", "br", "GZIP", "identity, gzip", "x"])
async def test_a_compressed_body_is_415(house: House, coding: str) -> None:
    refusal = _refused(await house().send(b"x", {"Content-Encoding": coding}))

    assert refusal.status == 415


async def test_a_body_over_the_automations_limit_is_413(house: House) -> None:
    fits = await house(webhook_bytes=10).send(b"x" * 10)
    refusal = _refused(await house(webhook_bytes=10).send(b"x" * 11))

    assert isinstance(fits, Verified)
    assert refusal.status == 413


@pytest.mark.parametrize(
    "state", [{"blocked": True}, {"broken": True}, {"auth": GITHUB, "variables": {}}]
)
async def test_what_cannot_run_now_is_503_with_retry_after(
    house: House, state: dict[str, Any]
) -> None:
    """A sender that answers 4xx with unsubscribing must not learn of our mistakes so."""
    body = b"{}"

    refusal = _refused(await house(**state).send(body, _signed(body, "")))

    assert refusal.status == 503
    assert int(refusal.headers["Retry-After"]) > 0


async def test_every_bad_signature_gets_one_answer_and_its_own_cause_on_record(
    house: House,
) -> None:
    one = house(auth=GITHUB, variables=SET)
    right = _signed(b"{}")["X-Hub-Signature-256"]
    name = "X-Hub-Signature-256"
    attempts: list[list[tuple[str, str]]] = [
        [],
        [(name, "")],
        [(name, "sha256=" + "0" * 64)],
        [(name, right[:-1])],
        [(name, right), ("x-hub-signature-256", right)],
        [("X-Hub-Signature", right)],
    ]

    refusals = [_refused(await one.send(b"{}", headers)) for headers in attempts]

    shown = {(each.status, each.code, each.message, tuple(each.headers)) for each in refusals}
    assert len(shown) == 1
    assert refusals[0].status == 401
    causes = {each.rejection.reason for each in refusals if each.rejection}
    assert len(causes) == 4
    assert all(cause.startswith("bad_signature: ") for cause in causes)
    assert all(each.rejection.automation == "hook" for each in refusals if each.rejection)


async def test_rotation_is_a_list_of_secrets(house: House) -> None:
    auth = WebhookAuth(scheme=SignatureScheme.GITHUB, secrets=(SecretRef("OLD"), SecretRef("NEW")))
    one = house(auth=auth, variables={"OLD": "the older secret", "NEW": "the newer secret"})

    for secret in ("the older secret", "the newer secret"):
        assert isinstance(await one.send(b"x", _signed(b"x", secret)), Verified)
    assert isinstance(await one.send(b"x", _signed(b"x", "another one's secret")), Refusal)
    # One of them is enough while the other is not there yet.
    one.variables = {"NEW": "the newer secret"}
    assert isinstance(await one.send(b"x", _signed(b"x", "the newer secret")), Verified)


async def test_a_secret_that_can_be_guessed_is_none(house: House) -> None:
    one = house(auth=GITHUB, variables={"HOOK_SECRET": "fifteen letters"})

    refused = await one.send(b"x", _signed(b"x", "fifteen letters"))

    assert isinstance(refused, Refusal)
    assert refused.status == 503


async def test_a_changed_secret_counts_for_the_next_request(house: House) -> None:
    one = house(auth=GITHUB, variables=SET)
    assert isinstance(await one.send(b"x", _signed(b"x")), Verified)

    one.variables = {"HOOK_SECRET": "the rotated secret"}

    assert isinstance(await one.send(b"x", _signed(b"x")), Refusal)
    assert isinstance(await one.send(b"x", _signed(b"x", "the rotated secret")), Verified)


async def test_an_id_that_was_rotated_away_is_unknown_within_the_same_snapshot(
    house: House,
) -> None:
    one = house()
    one.kept, intake = one.read(), one.intake()
    assert isinstance(await one.send(intake=intake), Verified)

    one.endpoint = "auto_another000000000"

    refused = await one.send(intake=intake)
    assert (refused.status, refused.rejection) == (404, None)
    assert isinstance(await one.send(intake=intake, endpoint=one.endpoint), Verified)


async def test_a_new_snapshot_counts_for_the_next_request(house: House) -> None:
    one = house()
    one.kept, intake = one.read(), one.intake()
    assert isinstance(await one.send(intake=intake), Verified)

    one.blocked = True
    one.kept = one.read()

    assert (await one.send(intake=intake)).status == 503
