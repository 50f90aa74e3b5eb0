"""Signature schemes as rows of data. Only a provider's own page or SDK test backs a row.

A preset with several recipes takes the first whose header the request has.
"""

from dataclasses import replace

from amodal_rt.domain.signing import Fields, Kind, Plain, Recipe, SignedTime, Versioned
from amodal_rt.domain.trigger import SignatureScheme as Scheme
from amodal_rt.domain.trigger import WebhookAuth

_STANDARD = Recipe(
    header="webhook-signature",
    spelled=Versioned(),
    encodings=("base64",),
    signed=("{id}", ".", "{timestamp}", ".", "{body}"),
    spelling="base64",
    time=SignedTime(header="webhook-timestamp"),
    id_header="webhook-id",
)
_SVIX = Recipe(
    header="svix-signature",
    spelled=Versioned(),
    encodings=("base64",),
    signed=("{id}", ".", "{timestamp}", ".", "{body}"),
    spelling="base64",
    time=SignedTime(header="svix-timestamp"),
    id_header="svix-id",
)

PRESETS: dict[Scheme, tuple[Recipe, ...]] = {
    Scheme.HMAC_SHA256: (
        Recipe(
            header="x-signature-256",
            spelled=Plain(prefix="sha256=", required=False),
            encodings=("hex", "base64"),
        ),
    ),
    # https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
    Scheme.GITHUB: (Recipe(header="x-hub-signature-256", spelled=Plain(prefix="sha256=")),),
    # https://docs.gitlab.com/user/project/integrations/webhooks/ : since 19.0 as Standard
    # Webhooks; before, the secret itself, and nothing is signed.
    Scheme.GITLAB: (_STANDARD, Recipe(header="x-gitlab-token", kind=Kind.TOKEN)),
    # https://docs.slack.dev/authentication/verifying-requests-from-slack
    Scheme.SLACK: (
        Recipe(
            header="x-slack-signature",
            spelled=Plain(prefix="v0="),
            signed=("v0:", "{timestamp}", ":", "{body}"),
            time=SignedTime(header="x-slack-request-timestamp"),
        ),
    ),
    # https://docs.stripe.com/webhooks#verify-manually : the secret as text, `whsec_` included.
    Scheme.STRIPE: (
        Recipe(
            header="stripe-signature",
            spelled=Fields(key="v1", time="t"),
            signed=("{timestamp}", ".", "{body}"),
            time=SignedTime(),
        ),
    ),
    # https://developer.pagerduty.com/docs/verifying-webhook-signatures
    Scheme.PAGERDUTY: (Recipe(header="x-pagerduty-signature", spelled=Fields(key="v1")),),
    # https://linear.app/developers/webhooks : the time in the body is signed, the header's not.
    Scheme.LINEAR: (
        Recipe(
            header="linear-signature",
            time=SignedTime(body=("webhookTimestamp",), unit="ms", tolerance_seconds=60),
        ),
    ),
    # https://developer.atlassian.com/cloud/jira/platform/webhooks/
    Scheme.JIRA: (Recipe(header="x-hub-signature", spelled=Plain(prefix="sha256=")),),
    # https://shopify.dev/docs/apps/build/webhooks/subscribe/https
    Scheme.SHOPIFY: (Recipe(header="x-shopify-hmac-sha256", encodings=("base64",)),),
    # https://www.twilio.com/docs/usage/webhooks/webhooks-security
    Scheme.TWILIO: (
        Recipe(
            header="x-twilio-signature",
            algorithm="sha1",
            encodings=("base64",),
            signed=("{url}", "{form}"),
        ),
    ),
    # https://discord.com/developers/docs/events/webhook-events : it sends bad signatures on
    # purpose, and removes a URL that takes them.
    Scheme.DISCORD: (
        Recipe(
            header="x-signature-ed25519",
            kind=Kind.ED25519,
            signed=("{timestamp}", "{body}"),
            spelling="hex",
            time=SignedTime(header="x-signature-timestamp"),
        ),
    ),
    # https://docs.sentry.io/organization/integrations/integration-platform/webhooks/
    Scheme.SENTRY: (Recipe(header="sentry-hook-signature"),),
    # https://developers.zoom.us/docs/api/webhooks/
    Scheme.ZOOM: (
        Recipe(
            header="x-zm-signature",
            spelled=Plain(prefix="v0="),
            signed=("v0:", "{timestamp}", ":", "{body}"),
            time=SignedTime(header="x-zm-request-timestamp"),
        ),
    ),
    # https://www.standardwebhooks.com ; Svix names the same headers after itself.
    Scheme.STANDARD_WEBHOOKS: (_STANDARD, _SVIX),
}


def recipes_for(auth: WebhookAuth) -> tuple[Recipe, ...]:
    """The rows of `auth`, with its own header where the file names one; its own recipe."""
    if auth.custom:
        return (auth.custom.recipe,)
    recipes = PRESETS[auth.scheme]
    return (replace(recipes[0], header=auth.header.lower()),) if auth.header else recipes
