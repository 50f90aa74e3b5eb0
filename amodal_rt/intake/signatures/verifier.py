"""The one verifier. Total: any bytes give a verdict, none an exception."""

import base64
import binascii
import hmac
import re
from collections.abc import Sequence

from amodal_rt.intake.signatures.presets import Preset

_LONGEST = 512
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


def find_fault(
    preset: Preset, values: Sequence[str], body: bytes, secrets: Sequence[bytes]
) -> str | None:
    """None when one of `secrets` signed `body`, else the cause, for the operator's eyes only.

    `values` are all values of the preset's header. Every secret is tried, whichever fits.
    """
    if not values:
        return f"no {preset.header} header"
    if len(values) > 1:
        # Which of the two a proxy or a parser believes is not ours to guess.
        return f"more than one {preset.header} header"
    given = _digests(preset, values[0])
    if not given:
        return f"malformed {preset.header} header"
    matched = False
    for secret in secrets:
        expected = hmac.digest(secret, body, preset.algorithm) if secret else b""
        for digest in given:
            # No early exit: the time taken must not tell which secret came close.
            matched |= bool(secret) and hmac.compare_digest(digest, expected)
    return None if matched else "no secret gives this signature"


def _digests(preset: Preset, value: str) -> list[bytes]:
    """Every reading of `value` as a digest."""
    if len(value) > _LONGEST or not value.isascii():
        return []
    if value.startswith(preset.prefix):
        value = value[len(preset.prefix) :]
    elif preset.prefix_required:
        return []
    found: list[bytes] = []
    if "hex" in preset.encodings and len(value) % 2 == 0 and _HEX.fullmatch(value):
        found.append(bytes.fromhex(value))
    if "base64" in preset.encodings and _BASE64.fullmatch(value):
        found += _canonical_base64(value)
    return found


def _canonical_base64(value: str) -> list[bytes]:
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return []
    # Unused bits of the last character would give one signature several spellings.
    return [digest] if base64.b64encode(digest).decode() == value else []
