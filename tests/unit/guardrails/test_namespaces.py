"""Nobody may speak in another's name."""

import pytest

from amodal_rt.domain.connection import Connection, Protocol
from amodal_rt.domain.integration import Integration
from amodal_rt.domain.trigger import SignatureScheme, WebhookAuth
from amodal_rt.guardrails.namespaces import speaker_from, speaker_of, type_fault
from amodal_rt.intake.providers import PROVIDERS

CONNECTIONS = {
    "crm": Connection(name="crm", protocol=Protocol.MCP, hash="", document=""),
    "shop": Connection(name="shop", protocol=Protocol.REST, hash="", document=""),
}
INTEGRATIONS = {
    "deploys": Integration(
        name="deploys", auth=WebhookAuth(scheme=SignatureScheme.HMAC_SHA256, secrets=("x",))
    )
}


def speaker(type: str) -> str | None:
    return speaker_of(type, connections=CONNECTIONS, integrations=INTEGRATIONS)


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=lambda each: each.name)
def test_every_provider_is_spoken_for(provider: object) -> None:
    name = getattr(provider, "name", "")
    assert speaker(f"{name}.event")
    assert speaker(name)
    assert speaker(f"{name.upper()}.event")


@pytest.mark.parametrize(
    "type",
    [
        "automation.run.failed",
        "agent_session.started",
        "connector.connected",
        "credential.updated",
        "delivery.dead",
        "webhook.received",
        "Automation.paused",
        "crm.deal.won",
        "deploys.done",
    ],
)
def test_nobody_else_says_what_they_say(type: str) -> None:
    assert speaker(type)


@pytest.mark.parametrize(
    "type",
    [
        "deploy.finished",
        "thread.created",
        "email.received",
        "context.ingestion.failed",
        "githubs.event",
        "automations.event",
        "shop.order",
        "my.github.event",
    ],
)
def test_anybody_may_say_what_is_nobodys(type: str) -> None:
    assert speaker(type) is None


@pytest.mark.parametrize(
    "source", ["github", "GitHub", "/automations/x", "/webhooks/y", "/runtime"]
)
def test_sources_of_ours_are_ours(source: str) -> None:
    assert speaker_from(source)


@pytest.mark.parametrize("source", ["/ci", "https://github.com/acme", "urn:x", "/automation"])
def test_other_sources_are_anybodys(source: str) -> None:
    assert speaker_from(source) is None


def test_no_type_can_hold_a_glob() -> None:
    assert all(type_fault(each) for each in ("", "*", "a.*", "a?", "a b", "[a]", "-a", "a" * 300))
    assert not any(type_fault(each) for each in ("a", "a.b", "com.example.Object-1", "a:b/c"))
