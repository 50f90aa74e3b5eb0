"""How senders prove themselves, as files spell it: `webhookAuth`, and the same in integrations."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from amodal_rt.definitions.shapes import (
    EnvText,
    FileShape,
    Filled,
    HeaderName,
    Listed,
    PlainUrl,
    described,
)

SHARED_KEY = ("HS256", "HS384", "HS512")
PUBLIC_KEY = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
Algorithm = Literal[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
    "ES256", "ES384", "EdDSA",
]  # fmt: skip


class SignedTimeShape(FileShape):
    """Of a `custom` scheme: when the sender signed; one of `header`, `part`, `body`."""

    header: Annotated[HeaderName | None, described("The header that holds the time.")] = None
    part: Annotated[
        Filled | None, described("The field of the signature header that holds the time, as `t`.")
    ] = None
    body: Annotated[
        Filled | None, described("The path to the time in a JSON body, as in `sent.at`.")
    ] = None
    unit: Annotated[Literal["s", "ms"], described("Unix time in seconds or milliseconds.")] = "s"
    tolerance_seconds: Annotated[
        int, Field(ge=1, le=86_400, description="How far from now it may be, either way.")
    ] = 300


class WhereShape(FileShape):
    """Where a text of a request stands: exactly one of `header`, `body`."""

    header: Annotated[HeaderName | None, described("The header that holds it.")] = None
    body: Annotated[Filled | None, described("The path to it in the body, as in `event.id`.")] = (
        None
    )


class DedupShape(WhereShape):
    """Of a `custom` scheme: what tells deliveries apart; one of `header`, `body`, `digest`."""

    digest: Annotated[Literal[True] | None, described("`true`: the body alone, as it is.")] = None


class JwtShape(FileShape):
    """Of a `custom` scheme `jwt`: what a token must be and say."""

    algorithms: Annotated[
        Annotated[list[Algorithm], Field(min_length=1)],
        described("The only algorithms that may have signed; all of them with one kind of key."),
    ]
    issuer: Annotated[Filled | None, described("What `iss` must be.")] = None
    audience: Annotated[
        Filled | None, described("What `aud` must be, or hold; required with `jwksUrl`.")
    ] = None
    jwks_url: Annotated[
        PlainUrl | None,
        described(
            "Where the senders' public keys stand, as a JSON Web Key Set; instead of `secret`."
        ),
    ] = None
    body_claim: Annotated[
        Filled | None,
        described(
            "The claim that holds the SHA-256 of the body; without one a token vouches for its "
            "sender, and not for what it sends."
        ),
    ] = None


class ChallengeShape(FileShape):
    """Of a `custom` scheme: a GET by which the sender asks whether the address is yours."""

    echo: Annotated[Filled, described("The parameter that is answered, as `hub.challenge`.")]
    token: Annotated[EnvText, described("`env:NAME`: what you told the sender.")]
    token_in: Annotated[
        Filled, described("The parameter that must hold the token, as `hub.verify_token`.")
    ]


def _nothing(value: object) -> object:
    return None if value == "none" else value


class CustomShape(FileShape):
    """The keys that say how a sender signs that no preset knows."""

    scheme: Annotated[
        Literal["hmac", "ed25519", "ecdsa-p256", "token", "basic", "jwt"] | None,
        described(
            "Of `custom`: `hmac` (default), `ed25519`, `ecdsa-p256`, `token`: the secret itself, "
            "`basic`: user and password, or `jwt`: a token that is signed."
        ),
    ] = None
    algorithm: Annotated[
        Literal["sha256", "sha512"] | None, described("Of `custom`: the hash; default `sha256`.")
    ] = None
    prefix: Annotated[
        Filled | None, described("Of `custom`: what stands before the signature, as `sha256=`.")
    ] = None
    key: Annotated[
        Filled | None,
        described("Of `custom`: the header is a list of `name=value`; the name of signatures."),
    ] = None
    separator: Annotated[
        Annotated[str, Field(min_length=1, max_length=4)] | None,
        described(
            "Of `custom`: what stands between several signatures, as a space; with `key` between "
            "the fields, default `,`."
        ),
    ] = None
    encoding: Annotated[
        Literal["hex", "base64"] | None,
        described("Of `custom`: how the signature is spelled; default `hex`."),
    ] = None
    signed: Annotated[
        Filled | None,
        described(
            "Of `custom`: what is signed, a template over `{body}`, `{timestamp}`, `{id}`, "
            "`{url}` and `{form_sorted}`; default `{body}`."
        ),
    ] = None
    secret_encoding: Annotated[
        Literal["utf8", "base64", "hex"] | None,
        described(
            "Of `custom`: how the secret spells the key; default `utf8`, of `ed25519` `hex`."
        ),
    ] = None
    id_header: Annotated[
        HeaderName | None, described("Of `custom`: the header that gives `{id}`.")
    ] = None
    timestamp: Annotated[
        SignedTimeShape | None, described("Of `custom`: where the signed time stands.")
    ] = None
    dedup: Annotated[
        DedupShape | None,
        described("Of `custom`: what tells deliveries apart; default an id and the body."),
    ] = None
    event_type: Annotated[
        WhereShape | None, described("Of `custom`: what names the event's type.")
    ] = None
    challenge: Annotated[
        ChallengeShape | None,
        BeforeValidator(_nothing),
        described(
            "Of `custom`: how a GET that asks whether the address is yours is answered; default "
            "not at all, which `none` says too."
        ),
    ] = None
    jwt: Annotated[JwtShape | None, described("Of `custom` with the scheme `jwt`.")] = None


class ProofShape(CustomShape):
    """What every proof has, whoever sends."""

    secret: Annotated[
        Annotated[list[EnvText], Listed, Field(min_length=1)] | None,
        described(
            "`env:NAME`, or a list of them while a secret rotates; only a `jwt` with `jwksUrl` "
            "has none."
        ),
    ] = None
    header: Annotated[
        HeaderName | None,
        described(
            "Of `hmac-sha256` and `custom`: the header that carries the signature; "
            "default `X-Signature-256`, of `basic` and `jwt` `Authorization`."
        ),
    ] = None
    dedupe_header: Annotated[
        HeaderName | None,
        described("The one header whose value tells deliveries apart, for duplicates."),
    ] = None


class WebhookAuthShape(ProofShape):
    """The proof that a webhook must carry; without it the URL is shown as unsigned."""

    type: Annotated[
        str,
        described(
            "How senders sign: a preset (`github`, `gitlab`, `slack`, `stripe`, `pagerduty`, "
            "`linear`, `jira`, `shopify`, `twilio`, `discord`, `sentry`, `zoom`, "
            "`standard-webhooks`), `hmac-sha256`, or `custom`."
        ),
    ]
