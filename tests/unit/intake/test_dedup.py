"""Which deliveries are the same one."""

from typing import Any

import pytest

from amodal_rt.domain.signing import CustomScheme, Recipe, Where
from amodal_rt.domain.trigger import SignatureScheme, WebhookAuth
from amodal_rt.intake.dedup import key_for, name_in_headers, name_of
from amodal_rt.intake.headers import Headers

GITHUB = WebhookAuth(scheme=SignatureScheme.GITHUB, secrets=("x",))
GENERIC = WebhookAuth(scheme=SignatureScheme.HMAC_SHA256, secrets=("x",))
NAMED = WebhookAuth(
    scheme=SignatureScheme.HMAC_SHA256, secrets=("x",), dedupe_header="X-Order-Number"
)

Delivery = tuple[dict[str, str], bytes]


def _same(auth: WebhookAuth | None, first: Delivery, second: Delivery, data: object = None) -> bool:
    """Whether the ledger would take the two for one: any key in common."""
    keys = [
        key_for("auto_x", auth, headers, name_in_headers(auth, headers), body, data)
        for headers, body in ((Headers(list(raw.items())), body) for raw, body in (first, second))
    ]
    assert all(key is None or key.endpoint == "auto_x" for key in keys)
    one, other = (set(key.keys) if key else set() for key in keys)
    return bool(one & other)


@pytest.mark.parametrize("auth", [None, GENERIC])
@pytest.mark.parametrize(
    "name", ["webhook-id", "Idempotency-Key", "X-Webhook-Id", "X-GitHub-Delivery"]
)
def test_a_generic_delivery_is_its_id_and_its_body(auth: WebhookAuth | None, name: str) -> None:
    assert _same(auth, ({name: "1"}, b"a"), ({name.lower(): "1"}, b"a"))
    assert not _same(auth, ({name: "1"}, b"a"), ({name: "1"}, b"b"))
    assert not _same(auth, ({name: "1"}, b"a"), ({name: "2"}, b"a"))


def test_id_and_body_cannot_be_shifted_into_each_other() -> None:
    assert not _same(None, ({"webhook-id": "1"}, b"2\n3"), ({"webhook-id": "1\n2"}, b"3"))


def test_without_an_id_every_request_is_new() -> None:
    assert not _same(None, ({}, b"a"), ({}, b"a"))


@pytest.mark.parametrize("value", ["", "x" * 257, "caf\u00e9", "a\tb"])
def test_an_id_that_is_not_printable_is_none(value: str) -> None:
    assert not _same(None, ({"webhook-id": value}, b"a"), ({"webhook-id": value}, b"a"))


@pytest.mark.parametrize(
    ("scheme", "headers", "data", "name"),
    [
        ("slack", {}, {"event_id": "Ev1"}, "Ev1"),
        ("stripe", {}, {"id": "evt_9"}, "evt_9"),
        ("pagerduty", {}, {"event": {"id": "01E"}}, "01E"),
        ("pagerduty", {"X-Webhook-Id": "w-1"}, {"event": {"id": "01E"}}, "w-1"),
        ("slack", {}, {"event_id": "a\tb"}, None),
        ("github", {}, {"id": "7"}, None),
        ("hmac-sha256", {"webhook-id": "7"}, {"id": "8"}, "7"),
    ],
)
def test_what_a_sender_calls_a_delivery_stands_in_a_header_or_in_its_body(
    scheme: str, headers: dict[str, str], data: object, name: str | None
) -> None:
    auth = WebhookAuth(scheme=SignatureScheme(scheme), secrets=("x",))

    assert name_of(auth, Headers(list(headers.items())), data) == name


def test_the_named_header_alone_decides() -> None:
    assert _same(NAMED, ({"X-Order-Number": "7"}, b"a"), ({"x-order-number": "7"}, b"b"))
    assert not _same(NAMED, ({"X-Order-Number": "7"}, b"a"), ({"X-Order-Number": "8"}, b"a"))
    assert not _same(NAMED, ({"webhook-id": "1"}, b"a"), ({"webhook-id": "1"}, b"a"))


def _github(delivery: str, event: str = "issues") -> dict[str, str]:
    return {"X-GitHub-Delivery": delivery, "X-GitHub-Event": event}


def test_a_github_redelivery_is_known_by_its_id() -> None:
    assert _same(GITHUB, (_github("1"), b"a"), (_github("1"), b"b"))


def test_a_github_replay_under_a_fresh_id_is_known_by_its_body() -> None:
    assert _same(GITHUB, (_github("1"), b"a"), (_github("2"), b"a"))
    assert not _same(GITHUB, (_github("1"), b"a"), (_github("2"), b"b"))


REPEATABLE: dict[str, dict[str, object]] = {
    "ping": {"zen": "Keep it simple.", "hook_id": 1, "hook": {}},
    "repository_dispatch": {"action": "go", "branch": "main", "client_payload": {}},
    "workflow_dispatch": {"inputs": None, "ref": "main", "workflow": "x.yml"},
    "watch": {"action": "started", "repository": {}, "sender": {}},
}


@pytest.mark.parametrize("event", REPEATABLE)
def test_events_that_github_repeats_byte_for_byte_are_new_each_time(event: str) -> None:
    first, second = (_github("1", event), b"a"), (_github("2", event), b"a")

    assert not _same(GITHUB, first, second, REPEATABLE[event])
    assert _same(GITHUB, first, (_github("1", event), b"a"), REPEATABLE[event])


@pytest.mark.parametrize("event", REPEATABLE)
@pytest.mark.parametrize(
    "data",
    [{"action": "opened", "issue": {}}, {"action": "created", "repository": {}}, None, [], "text"],
)
def test_a_replay_cannot_rename_itself_to_such_an_event(event: str, data: object) -> None:
    """The header that names the event is not signed."""
    assert _same(GITHUB, (_github("1"), b"a"), (_github("2", event), b"a"), data)


def _auth(scheme: str, **keys: Any) -> WebhookAuth:
    return WebhookAuth(scheme=SignatureScheme(scheme), secrets=("x",), **keys)


@pytest.mark.parametrize(
    ("scheme", "data", "other"),
    [
        ("slack", {"event_id": "Ev1"}, {"event_id": "Ev2"}),
        ("stripe", {"id": "evt_1"}, {"id": "evt_2"}),
        ("pagerduty", {"event": {"id": "01"}}, {"event": {"id": "02"}}),
        ("discord", {"id": "1"}, {"id": "2"}),
    ],
)
def test_what_the_signed_body_calls_itself_decides_whatever_headers_say(
    scheme: str, data: object, other: object
) -> None:
    auth = _auth(scheme)
    first, second = ({"webhook-id": "1"}, b"a"), ({"webhook-id": "2"}, b"b")

    assert _same(auth, first, second, data)
    one = key_for("auto_x", auth, Headers([]), None, b"a", data)
    two = key_for("auto_x", auth, Headers([]), None, b"a", other)
    assert one
    assert two
    assert not set(one.keys) & set(two.keys)


@pytest.mark.parametrize(
    ("scheme", "header"),
    [
        ("linear", "Linear-Delivery"),
        ("jira", "X-Atlassian-Webhook-Identifier"),
        ("sentry", "Request-ID"),
        ("shopify", "X-Shopify-Webhook-Id"),
        ("twilio", "I-Twilio-Idempotency-Token"),
    ],
)
def test_a_name_that_is_not_signed_or_the_body_is_enough(scheme: str, header: str) -> None:
    auth = _auth(scheme)

    assert _same(auth, ({header: "1"}, b"a"), ({header: "1"}, b"b"))
    assert _same(auth, ({header: "1"}, b"a"), ({header: "2"}, b"a"))
    assert not _same(auth, ({header: "1"}, b"a"), ({header: "2"}, b"b"))


def test_one_body_under_two_topics_of_a_shop_is_two_events() -> None:
    auth = _auth("shopify")

    assert not _same(auth, ({"X-Shopify-Topic": "orders/create"}, b"a"),
                     ({"X-Shopify-Topic": "orders/paid"}, b"a"))  # fmt: skip


@pytest.mark.parametrize("scheme", ["standard-webhooks", "gitlab"])
def test_a_signed_name_alone_decides(scheme: str) -> None:
    auth = _auth(scheme)

    assert _same(auth, ({"webhook-id": "1"}, b"a"), ({"webhook-id": "1"}, b"b"))
    assert not _same(auth, ({"webhook-id": "1"}, b"a"), ({"webhook-id": "2"}, b"a"))


@pytest.mark.parametrize(
    ("dedup", "first", "second", "same"),
    [
        ("digest", ({}, b"a"), ({"webhook-id": "2"}, b"a"), True),
        ("digest", ({"webhook-id": "1"}, b"a"), ({"webhook-id": "1"}, b"b"), False),
        (Where(header="x-id"), ({"X-Id": "1"}, b"a"), ({"X-Id": "1"}, b"b"), True),
        (Where(header="x-id"), ({}, b"a"), ({}, b"a"), False),
        (Where(body=("n",)), ({}, b"a"), ({}, b"b"), True),
        (None, ({"webhook-id": "1"}, b"a"), ({"webhook-id": "1"}, b"b"), False),
    ],
)
def test_a_custom_scheme_says_itself_what_tells_deliveries_apart(
    dedup: Any, first: Delivery, second: Delivery, *, same: bool
) -> None:
    custom = CustomScheme(recipe=Recipe(header="x-s"), dedup=dedup)

    assert _same(_auth("custom", custom=custom), first, second, {"n": 7}) == same
