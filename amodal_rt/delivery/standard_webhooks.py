"""Signatures as https://www.standardwebhooks.com describes them, scheme `v1`."""

import base64
import binascii
import hashlib
import hmac

from amodal_rt.errors import InvalidError

_PREFIX = "whsec_"


def signing_key(secret: str) -> bytes:
    """The key that a configured secret stands for.

    `whsec_` is followed by base64, as the standard says; any other text is the key itself,
    in UTF-8. Raises InvalidError (`bad_secret`), never repeating the secret.
    """
    if not secret.startswith(_PREFIX):
        return secret.encode()
    encoded = secret.removeprefix(_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise InvalidError(
            "the target's secret begins with whsec_ but no base64 follows",
            code="bad_secret",
            hint="copy the whole secret, or use a text without the prefix",
        )
    return key


def sign(key: bytes, *, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`; `timestamp` in seconds, as `webhook-timestamp` says it."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
