"""The one verifier. Total: any bytes give a verdict, none an exception."""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from amodal_rt.intake.signatures.presets import Preset


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
    given = _digest(preset, values[0])
    if given is None:
        return f"malformed {preset.header} header"
    matched = False
    for secret in secrets:
        expected = hmac.digest(secret, body, preset.algorithm) if secret else b""
        # No early exit: the time taken must not tell which secret came close.
        matched |= hmac.compare_digest(given, expected)
    return None if matched else "no secret gives this signature"


def _digest(preset: Preset, value: str) -> bytes | None:
    """The digest that `value` spells; which encoding it is shows by its length."""
    if value.startswith(preset.prefix):
        value = value[len(preset.prefix) :]
    elif preset.prefix_required:
        return None
    size = hashlib.new(preset.algorithm).digest_size
    try:
        if "hex" in preset.encodings and len(value) == 2 * size:
            # Both cases at once, or white space inside, is nobody's spelling.
            plain = value.isalnum() and (value.islower() or value.isupper() or value.isdigit())
            return bytes.fromhex(value) if plain else None
        if "base64" in preset.encodings and len(value) == 4 * -(-size // 3):
            digest = base64.b64decode(value.encode("ascii"), validate=True)
            # Unused bits of the last character would give one signature several spellings.
            return digest if base64.b64encode(digest).decode("ascii") == value else None
    except ValueError:
        return None
    return None
