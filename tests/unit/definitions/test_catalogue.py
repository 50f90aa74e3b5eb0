"""What is known of events before one arrives."""

import subprocess
import sys

import pytest
from jsonschema import Draft202012Validator

from amodal_rt.definitions.catalogue import BUILT_IN, OWN_FAMILIES, PROVIDERS
from amodal_rt.definitions.json_schema import misfit
from amodal_rt.domain.event_type import EventOrigin
from amodal_rt.domain.glob import fits
from amodal_rt.domain.trigger import SignatureScheme, WebhookAuth
from amodal_rt.intake.headers import Headers
from amodal_rt.intake.naming import integration_name

_OF_PROVIDERS = [name for name, each in BUILT_IN.items() if each.origin is EventOrigin.PROVIDER]
_OF_PLATFORM = (
    "thread.created",
    "thread.deleted",
    "thread.member_joined",
    "thread.message_added",
    "thread.session.join",
    "thread.session.leave",
    "context.ingestion.succeeded",
    "context.ingestion.failed",
    "email.received",
    "workflow.scheduled",
    "schedule.cron",
    "agentroutine.invoked",
    "agent_session.started",
    "connector.connected",
    "credential.updated",
)
"""Every name of the documented platform that a public source gives, but for `webhook.*`, which here
have other names."""
_OTHER_NAMES = (
    "webhook.inbound",
    "webhook.github_app.issues",
    "webhook.github_app.pull_request",
    "webhook.slack.app_mention",
)
_FIELDS_UNKNOWN = frozenset(
    {
        "webhook.received",
        "webhook.inbound",
        "email.received",
        "schedule.cron",
        "agentroutine.invoked",
    }
)
"""Types whose data may have any fields."""


def _headers(provider: str, words: list[str]) -> Headers:
    """What of the type a request of the provider says in its headers."""
    if provider == "github":
        return Headers([("X-GitHub-Event", words[0])])
    if provider == "sentry":
        return Headers([("Sentry-Hook-Resource", words[0])])
    if provider == "shopify":
        return Headers([("X-Shopify-Topic", "/".join(words))])
    return Headers([])


@pytest.mark.parametrize("name", _OF_PROVIDERS)
def test_a_real_request_is_called_what_the_catalogue_calls_it(name: str) -> None:
    """Else a trigger that was written from the catalogue would never start."""
    provider, *words = name.split(".")
    auth = WebhookAuth(scheme=SignatureScheme(provider), secrets=("planted",))

    found = integration_name(auth, "hub", _headers(provider, words), BUILT_IN[name].sample)

    assert found.type == name


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_type_is_described_and_its_sample_fits_its_schema(name: str) -> None:
    found = BUILT_IN[name]

    assert found.name == name
    assert found.description.endswith((".", ")"))
    Draft202012Validator.check_schema(found.schema)
    assert misfit(found.sample, found.schema) is None
    if name not in _FIELDS_UNKNOWN:
        assert found.schema["properties"]
        assert misfit("no object", found.schema) is not None


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_preset_has_types_of_its_own(provider: str) -> None:
    names = [name for name in BUILT_IN if name.startswith(f"{provider}.")]

    assert len(names) >= 7
    assert provider in OWN_FAMILIES


@pytest.mark.parametrize("name", _OF_PLATFORM)
def test_what_is_known_of_the_documented_platform_is_in_it(name: str) -> None:
    assert BUILT_IN[name].origin in (EventOrigin.PLATFORM, EventOrigin.RUNTIME)
    assert BUILT_IN[name].alias_of is None


@pytest.mark.parametrize("name", _OTHER_NAMES)
def test_a_name_that_nobody_here_says_is_an_alias_of_one_that_somebody_does(name: str) -> None:
    found = BUILT_IN[name]

    assert (found.origin, found.source) == (EventOrigin.ALIAS, "platform")
    assert found.alias_of
    real = [each for each in BUILT_IN if fits(found.alias_of, each)]
    assert {BUILT_IN[each].origin for each in real} <= {EventOrigin.PROVIDER, EventOrigin.RUNTIME}
    assert found.alias_of in found.description
    assert real


def test_no_name_of_the_documented_platform_is_one_that_it_may_not_send() -> None:
    """Such a type would be offered for triggers, and `POST /events` would refuse it."""
    platform = [each for each in BUILT_IN.values() if each.origin is EventOrigin.PLATFORM]

    assert len(platform) == 12
    assert not [each.name for each in platform if each.name.partition(".")[0] in OWN_FAMILIES]


def test_names_stand_in_one_source_alone() -> None:
    names = list(BUILT_IN)

    assert len(names) == len(set(names)) == len(BUILT_IN) > 300


@pytest.mark.parametrize("name", ["github.nothing.happened", "nobody.knows", "", "github", "a.b"])
def test_what_is_not_known_is_not_in_it(name: str) -> None:
    assert name not in BUILT_IN
    assert BUILT_IN.get(name) is None


def test_importing_it_reads_no_file_of_it() -> None:
    """A start and a reload must not pay for what nobody asked."""
    script = (
        "import builtins, io, sys\n"
        "seen = []\n"
        "sys.addaudithook(lambda event, args: event == 'open' and seen.append(str(args[0])))\n"
        "from amodal_rt.definitions.catalogue import BUILT_IN\n"
        "assert not any('event_types' in each for each in seen), seen\n"
        "assert 'github.push' in BUILT_IN\n"
        "read = {each.rpartition('/')[2] for each in seen if each.endswith('.json')}\n"
        "assert read == {'github.json'}, read\n"
    )

    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
