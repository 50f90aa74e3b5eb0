"""Which deliveries are the same one."""

import pytest

from amodal_rt.domain.trigger import SignatureScheme, WebhookAuth
from amodal_rt.intake.dedup import key_for
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
        key_for("auto_x", auth, headers, body, data)
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
