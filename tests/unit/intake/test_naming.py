"""What a verified request is called at each door."""

from datetime import datetime
from typing import Any

import pytest

from amodal_rt.domain.integration import SAYS_ACCOUNT, SAYS_ACTOR
from amodal_rt.domain.signing import CustomScheme, Recipe, Where
from amodal_rt.domain.trigger import SignatureScheme, WebhookAuth
from amodal_rt.intake.headers import Headers
from amodal_rt.intake.naming import integration_name, unwrapped, webhook_name
from amodal_rt.intake.providers import PROVIDERS

NONE = Headers([])


def auth(scheme: str, **keys: Any) -> WebhookAuth:
    return WebhookAuth(scheme=SignatureScheme(scheme), secrets=("x",), **keys)


def test_every_preset_has_its_row_and_the_rows_know_accounts_as_files_may_ask_for_them() -> None:
    generic = {SignatureScheme.HMAC_SHA256, SignatureScheme.CUSTOM}
    assert set(PROVIDERS) == set(SignatureScheme) - generic
    assert {scheme for scheme, row in PROVIDERS.items() if row.accounts} == SAYS_ACCOUNT
    assert {scheme for scheme, row in PROVIDERS.items() if row.actors} == SAYS_ACTOR
    for scheme, row in PROVIDERS.items():
        assert row.name == scheme.value or scheme is SignatureScheme.STANDARD_WEBHOOKS


@pytest.mark.parametrize(
    ("scheme", "headers", "data", "type", "actor"),
    [
        ("github", [("X-GitHub-Event", "Push")], {}, "github.push", None),
        ("github", [], {"sender": {"login": "ada"}}, "github.event", "github:ada"),
        ("slack", [], {"command": "/deploy", "user_id": "U1"}, "slack.deploy", "slack:U1"),
        ("slack", [], {"type": "block_actions", "user": {"id": "U1"}}, "slack.block_actions",
         "slack:U1"),
        ("slack", [], {"event": {"type": "message", "bot_id": "B1"}}, "slack.message", "slack:B1"),
        ("jira", [], {"webhookEvent": "comment_created"}, "jira.comment_created", None),
        ("twilio", [], {"SmsStatus": "sent", "MessageStatus": "sent"}, "twilio.sent", None),
        ("stripe", [], {"type": "a.*.b"}, "stripe.a.b", None),
        ("linear", [], {"type": 5, "action": "x"}, "linear.5.x", None),
        ("zoom", [], {"event": "automation.run.completed"}, "zoom.automation.run.completed", None),
        ("zoom", [], {"event": ".".join("a" * 50)}, "zoom.a.a.a.a.a.a", None),
    ],
)  # fmt: skip
def test_a_provider_names_its_events_and_nobody_elses(
    scheme: str, headers: list[tuple[str, str]], data: object, type: str, actor: str | None
) -> None:
    name = integration_name(auth(scheme), "hub", Headers(headers), data)

    assert (name.type, name.source, name.actor) == (type, "/integrations/hub", actor)
    assert webhook_name(auth(scheme), "hook", Headers(headers), data).type == type


@pytest.mark.parametrize("scheme", ["standard-webhooks", "hmac-sha256", "custom"])
def test_where_many_share_a_scheme_the_file_names_the_events(scheme: str) -> None:
    keys: dict[str, Any] = {}
    if scheme == "custom":
        recipe = Recipe(header="x-s")
        keys["custom"] = CustomScheme(recipe=recipe, event_type=Where(body=("type",)))
    name = integration_name(auth(scheme, **keys), "resend", NONE, {"type": "email.sent"})

    assert name.type == ("resend.event" if scheme == "hmac-sha256" else "resend.email.sent")


def test_a_custom_scheme_may_name_its_events_by_a_header() -> None:
    recipe = Recipe(header="x-s")
    custom = CustomScheme(recipe=recipe, event_type=Where(header="x-event"))
    name = webhook_name(auth("custom", custom=custom), "hook", Headers([("X-Event", "A.b")]), {})

    assert (name.type, name.source) == ("webhook.a.b", "/webhooks/hook")


@pytest.mark.parametrize(
    ("scheme", "data", "at"),
    [
        ("slack", {"event": {"event_ts": "1772366400.000002"}}, "12:00:00.000002"),
        ("stripe", {"created": 1772366400}, "12:00:00"),
        ("linear", {"webhookTimestamp": 1772366400123}, "12:00:00.123"),
        ("github", {"issue": {"updated_at": "2026-03-01T12:00:00Z"}}, "12:00:00"),
        ("shopify", {"updated_at": "2026-03-01T07:00:00-05:00"}, "12:00:00"),
        ("gitlab", {"object_attributes": {"updated_at": "2026-03-01 12:00:00 UTC"}}, "12:00:00"),
        ("github", {"issue": {"updated_at": "yesterday"}}, None),
        ("linear", {"webhookTimestamp": 10**18}, None),
        # What is deleted has the time of its last edit.
        ("github", {"comment": {"updated_at": "2026-03-01T12:00:00Z"},
                    "issue": {"updated_at": "2026-03-01T13:00:00Z"}}, "13:00:00"),
        # Commits are as old as they are, whenever they are pushed.
        ("github", {"head_commit": {"timestamp": "2026-03-01T12:00:00Z"}}, None),
    ],
)  # fmt: skip
def test_the_source_says_when_it_was_however_it_spells_it(
    scheme: str, data: object, at: str | None
) -> None:
    name = integration_name(auth(scheme), "x", NONE, data)

    assert name.at == (datetime.fromisoformat(f"2026-03-01T{at}+00:00") if at else None)


def test_a_body_in_one_field_of_a_form_is_the_data() -> None:
    wrapped = {"payload": '{"action": "opened"}'}

    assert unwrapped(auth("github"), wrapped) == {"action": "opened"}
    assert unwrapped(auth("slack"), {"payload": "no json"}) == "no json"
    assert unwrapped(auth("github"), {**wrapped, "more": "x"}) == {**wrapped, "more": "x"}
    assert unwrapped(auth("stripe"), wrapped) == wrapped
    assert unwrapped(None, wrapped) == wrapped
