"""Files of `integrations/`: what they become, and what is wrong with them."""

import json
from typing import Any

import pytest

from amodal_rt.definitions.integration import parse_integration
from amodal_rt.domain.integration import Integration
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.secret import SecretRef
from amodal_rt.domain.signing import (
    Fields,
    Kind,
    Plain,
    QueryChallenge,
    SignedTime,
    TokenClaims,
    Where,
)
from amodal_rt.domain.trigger import SignatureScheme


def read(file: str = "github", **keys: Any) -> tuple[Integration | None, tuple[Problem, ...]]:
    document = {"provider": "github", "secret": "env:S", **keys}
    text = json.dumps({key: value for key, value in document.items() if value is not ...})
    return parse_integration(text.encode(), file=f"integrations/{file}.json")


def good(file: str = "github", **keys: Any) -> Integration:
    found, problems = read(file, **keys)
    assert found is not None, problems
    assert problems == ()
    return found


def test_a_provider_and_a_secret_are_enough() -> None:
    found = good()

    assert (found.name, found.file) == ("github", "integrations/github.json")
    assert found.auth.scheme is SignatureScheme.GITHUB
    assert found.auth.secrets == (SecretRef("S"),)
    assert (found.account, found.endpoint_key, found.bytes) == (None, None, 1_048_576)
    assert found.secrets == ("S",)


def test_a_list_of_secrets_and_a_key_in_the_environment_are_all_needed() -> None:
    found = good(secret=["env:NEW", "env:OLD"], endpointKey="env:KEY")

    assert found.auth.secrets == (SecretRef("NEW"), SecretRef("OLD"))
    assert found.endpoint_key == SecretRef("KEY")
    assert found.secrets == ("KEY", "NEW", "OLD")


def test_own_accounts_are_named_as_events_name_them() -> None:
    assert good(own_accounts="acme-bot").own_accounts == ("github:acme-bot",)
    assert good(ownAccounts=["github:a", "b[bot]"]).own_accounts == ("github:a", "github:b[bot]")


def test_a_custom_scheme_says_everything_about_its_signatures() -> None:
    found = good(
        "paddle",
        provider="custom",
        header="Paddle-Signature",
        key="h1",
        separator=";",
        algorithm="sha512",
        encoding="base64",
        secretEncoding="hex",
        signed="{timestamp}:{body}",
        timestamp={"part": "ts", "unit": "ms", "toleranceSeconds": 5},
        dedup={"body": "event.id"},
        eventType={"header": "X-Event"},
        challenge="none",
    )
    custom = found.auth.custom
    assert custom is not None
    recipe = custom.recipe
    assert (recipe.header, recipe.kind, recipe.algorithm) == (
        "paddle-signature",
        Kind.HMAC,
        "sha512",
    )
    assert recipe.spelled == Fields(key="h1", time="ts", separator=";")
    assert (recipe.encodings, recipe.spelling) == (("base64",), "hex")
    assert recipe.signed == ("{timestamp}", ":", "{body}")
    assert recipe.time == SignedTime(unit="ms", tolerance_seconds=5)
    assert custom.dedup == Where(body=("event", "id"))
    assert custom.event_type == Where(header="x-event")


def test_a_custom_scheme_without_more_is_hexadecimal_hmac_of_the_body() -> None:
    custom = good("acme", provider="custom").auth.custom

    assert custom is not None
    assert (custom.recipe.header, custom.recipe.kind) == ("x-signature-256", Kind.HMAC)
    assert custom.recipe.spelled == Plain(prefix="")
    assert (custom.recipe.signed, custom.dedup, custom.event_type) == (("{body}",), None, None)


KEYS = "https://sender.example/keys"
META = {"echo": "hub.challenge", "token": "env:VERIFY", "tokenIn": "hub.verify_token"}


def jwt_of(secret: Any = "env:SECRET", **said: Any) -> dict[str, Any]:
    """A file whose senders show tokens."""
    keys = {"algorithms": ["RS256"], **said}
    return {"provider": "custom", "scheme": "jwt", "secret": secret, "jwt": keys}


def test_a_sender_may_show_a_token_whose_key_stands_elsewhere() -> None:
    found = good("acme", **jwt_of(..., jwksUrl=KEYS, audience="us", issuer="x", bodyClaim="h"))

    assert found.auth.custom is not None
    recipe = found.auth.custom.recipe
    assert (recipe.kind, recipe.header, found.auth.secrets) == (Kind.JWT, "authorization", ())
    assert recipe.claims == TokenClaims(
        algorithms=("RS256",), issuer="x", audience="us", key_set=KEYS, body_claim="h"
    )


def test_a_shared_secret_of_tokens_is_spelled_as_the_file_says() -> None:
    keys = jwt_of(algorithms=["HS256"])

    for more, spelling in (({}, "utf8"), ({"secretEncoding": "base64"}, "base64")):
        custom = good("acme", **{**keys, **more}).auth.custom
        assert custom is not None
        assert custom.recipe.spelling == spelling
    custom = good("acme", **jwt_of()).auth.custom
    assert custom is not None
    assert custom.recipe.spelling == "pem"


def test_a_curve_a_password_and_a_challenge_are_read() -> None:
    curve = good("acme", provider="custom", scheme="ecdsa-p256", header="X-S").auth.custom
    basic = good("acme", provider="custom", scheme="basic").auth.custom
    asked = good("acme", provider="custom", challenge=META)

    assert curve is not None
    assert basic is not None
    assert asked.auth.custom is not None
    assert (curve.recipe.spelling, curve.recipe.encodings) == ("spki", ("base64",))
    assert (basic.recipe.header, basic.recipe.encodings) == ("authorization", ("base64",))
    assert asked.auth.custom.challenge == QueryChallenge(
        echo="hub.challenge", token_in="hub.verify_token", token=SecretRef("VERIFY")
    )
    assert set(asked.secrets) >= {"VERIFY"}


CUSTOM: dict[str, Any] = {"provider": "custom", "header": "X-S"}
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no provider": ({"provider": ...}, "missing_key", "provider"),
    "no secret": ({"secret": ...}, "missing_key", "secret"),
    "an empty list": ({"secret": []}, "wrong_value", "empty"),
    "a literal secret": ({"secret": "planted"}, "secret_in_file", "into a file"),
    "an unknown provider": ({"provider": "gihub"}, "unknown_scheme", "gihub"),
    "an unknown key": ({"acount": "x"}, "unknown_key", "acount"),
    "a header for a preset": ({"header": "X-S"}, "conflict", "knows its header"),
    "a recipe for a preset": ({"signed": "{body}"}, "conflict", "belongs to the scheme custom"),
    "an account that nobody says": (
        {"provider": "jira", "account": "acme"}, "conflict", "does not say of which account"),
    "own accounts that nobody says": (
        {"provider": "shopify", "ownAccounts": ["us"]}, "conflict", "not say who caused it"),
    "own accounts of many senders": (
        {**CUSTOM, "ownAccounts": ["us"]}, "conflict", "not say who caused it"),
    "a short key": ({"endpointKey": "planted"}, "bad_endpoint_key", "16 to 128"),
    "a key with a slash": ({"endpointKey": "planted/" * 3}, "bad_endpoint_key", "16 to 128"),
    "no bytes": ({"bytes": 0}, "wrong_value", "at least 1"),
    "an unknown place": ({**CUSTOM, "signed": "{boddy}"}, "bad_signed", "{boddy}"),
    "a body that nobody signs": ({**CUSTOM, "signed": "{url}"}, "bad_signed", "cover the body"),
    "a time from nowhere": (
        {**CUSTOM, "signed": "{timestamp}.{body}"}, "bad_signed", "stands nowhere"),
    "a time that is not signed": (
        {**CUSTOM, "timestamp": {"header": "X-T"}}, "bad_signed", "a replay can renew"),
    "an id from nowhere": ({**CUSTOM, "signed": "{id}.{body}"}, "bad_signed", "idHeader"),
    "an id that is not signed": ({**CUSTOM, "idHeader": "X-I"}, "bad_signed", "idHeader"),
    "no place of the time": ({**CUSTOM, "timestamp": {}}, "one_of", "timestamp has exactly one"),
    "two places of the time": (
        {**CUSTOM, "timestamp": {"header": "X-T", "body": "t"}}, "one_of", "exactly one"),
    "a part of no list": (
        {**CUSTOM, "timestamp": {"part": "t"}, "signed": "{timestamp}{body}"}, "conflict",
        "which has none"),
    "a path with a hole": ({**CUSTOM, "eventType": {"body": "a..b"}}, "bad_path", "is no path"),
    "two ways to tell apart": (
        {**CUSTOM, "dedup": {"header": "X-I", "digest": True}}, "one_of", "dedup has exactly one"),
    "the digest said wrongly": ({**CUSTOM, "dedup": {"digest": False}}, "wrong_value", "dedup"),
    "both words for it": (
        {**CUSTOM, "dedup": {"header": "X-I"}, "dedupeHeader": "X-I"}, "conflict", "two ways"),
    "prefix and key": ({**CUSTOM, "prefix": "a=", "key": "b"}, "conflict", "two ways to find"),
    "sha1": ({**CUSTOM, "algorithm": "sha1"}, "wrong_value", "algorithm"),
    "a token with a signature": (
        {**CUSTOM, "scheme": "token", "encoding": "hex"}, "conflict", "a token signs nothing"),
    "a token without a header": (
        {"provider": "custom", "scheme": "token"}, "missing_key", "needs the header"),
    "a hash for ed25519": (
        {**CUSTOM, "scheme": "ed25519", "algorithm": "sha512"}, "conflict", "has its own"),
    "a token that says nothing": ({**CUSTOM, "scheme": "jwt"}, "missing_key", "needs jwt"),
    "a token that nobody signs": (jwt_of(algorithms=["none"]), "wrong_value", "algorithms"),
    "a token of no algorithm": (jwt_of(algorithms=[]), "wrong_value", "algorithms"),
    "a shared secret that is public": (
        jwt_of(algorithms=["HS256"], jwksUrl=KEYS), "conflict", "a key set is public"),
    "two kinds of key": (
        jwt_of(algorithms=["RS256", "HS256"]), "conflict", "another kind of key"),
    "a key set for everybody": (jwt_of(secret=..., jwksUrl=KEYS), "conflict", "signs for others"),
    "a key set and a key": (
        jwt_of(jwksUrl=KEYS, audience="us"), "conflict", "two ways to have the key"),
    "a key set on the open road": (
        jwt_of(secret=..., jwksUrl="http://a.example/k", audience="us"), "conflict", "not https"),
    "a token without a key": (jwt_of(secret=...), "missing_key", "secret is missing"),
    "a signed part of a token": (jwt_of() | {"signed": "{body}"}, "conflict", "signs nothing"),
    "jwt of another scheme": (
        {**CUSTOM, "jwt": {"algorithms": ["RS256"]}}, "conflict", "belongs to the scheme jwt"),
    "an algorithm for a curve": (
        {**CUSTOM, "scheme": "ecdsa-p256", "algorithm": "sha512"}, "conflict", "has its own"),
    "a prefix of a password": (
        {**CUSTOM, "scheme": "basic", "prefix": "x"}, "conflict", "signs nothing"),
    "a literal token": (
        {**CUSTOM, "challenge": {**META, "token": "planted"}}, "secret_in_file", "into a file"),
    "half a challenge": (
        {**CUSTOM, "challenge": {"echo": "x"}}, "missing_key", "token"),
    "a challenge": ({**CUSTOM, "challenge": "echo"}, "wrong_type", "challenge"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_told_what_is_wrong_and_where(name: str) -> None:
    keys, code, says = WRONG[name]
    file = "acme" if keys.get("provider") == "custom" else "github"
    found, problems = read(file, **keys)

    assert found is None
    assert problems[0].code == code
    assert says in problems[0].message
    assert problems[0].line is not None or code == "missing_key"
    for each in problems:
        assert "planted" not in each.sentence()
        assert "\n" not in each.sentence()


@pytest.mark.parametrize(
    ("file", "provider", "code"),
    [
        ("Git Hub", "github", "bad_name"),
        ("github", "standard-webhooks", "reserved_name"),
        ("automation", "custom", "reserved_name"),
        ("slack", "hmac-sha256", "reserved_name"),
    ],
)
def test_no_file_gives_its_sender_anothers_name(file: str, provider: str, code: str) -> None:
    found, problems = read(file, provider=provider)

    assert found is None
    assert problems[0].code == code
