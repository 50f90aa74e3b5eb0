"""A provider that sends its events to one address for the whole workspace."""

import re
from dataclasses import dataclass

from amodal_rt.domain.secret import Text
from amodal_rt.domain.trigger import SignatureScheme, WebhookAuth

SAYS_ACCOUNT = frozenset(
    {
        SignatureScheme.GITHUB,
        SignatureScheme.SLACK,
        SignatureScheme.STRIPE,
        SignatureScheme.LINEAR,
        SignatureScheme.TWILIO,
        SignatureScheme.DISCORD,
        SignatureScheme.SENTRY,
        SignatureScheme.ZOOM,
    }
)
"""Providers whose signed bodies say of which account they are."""
SHARED = frozenset(
    {SignatureScheme.STANDARD_WEBHOOKS, SignatureScheme.HMAC_SHA256, SignatureScheme.CUSTOM}
)
"""Schemes that many senders share: the events of each are called after the integration."""
SAYS_ACTOR = frozenset(SignatureScheme) - SHARED - {SignatureScheme.SHOPIFY}
"""Providers whose signed bodies say who caused an event."""

_ENDPOINT_KEY = re.compile(r"[A-Za-z0-9_-]{16,128}")
ENDPOINT_KEY_FAULT = "is not 16 to 128 letters, digits, - and _"


def is_endpoint_key(text: str) -> bool:
    """Whether it can be the last part of an address, and cannot be guessed."""
    return _ENDPOINT_KEY.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Integration:
    """One file of `integrations/`: `POST /integrations/<name>/<endpoint key>`.

    `auth` holds the provider and its secrets. `account` is the external account (workspace,
    organisation, shop) that events must be of, None for any. `own_accounts` are those that this
    runtime itself acts as there (`github:acme-bot`): what they cause is `own_event`.
    `endpoint_key` None: it is made of the workspace's key. `secrets` are the variables that it
    needs.
    """

    name: str
    auth: WebhookAuth
    account: str | None = None
    own_accounts: tuple[str, ...] = ()
    endpoint_key: Text | None = None
    bytes: int = 1_048_576
    secrets: tuple[str, ...] = ()
    file: str = ""
    title: str | None = None
    description: str | None = None

    @property
    def family(self) -> str:
        """The first word of its events' types."""
        return self.name if self.auth.scheme in SHARED else self.auth.scheme.value
