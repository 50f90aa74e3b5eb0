"""Signature schemes as rows of data.

Only a provider's own page or SDK test backs a row.
"""

from dataclasses import dataclass, replace
from typing import Literal

from amodal_rt.domain.trigger import SignatureScheme, WebhookAuth

Encoding = Literal["hex", "base64"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One scheme: an HMAC of `algorithm` over the raw body stands in `header`.

    The value is `prefix` and the digest in any of `encodings`; a prefix that is not
    `prefix_required` may be missing.
    """

    header: str
    prefix: str
    prefix_required: bool
    encodings: tuple[Encoding, ...]
    algorithm: Literal["sha256"] = "sha256"


PRESETS: dict[SignatureScheme, Preset] = {
    SignatureScheme.HMAC_SHA256: Preset(
        header="X-Signature-256",
        prefix="sha256=",
        prefix_required=False,
        encodings=("hex", "base64"),
    ),
    # https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
    SignatureScheme.GITHUB: Preset(
        header="X-Hub-Signature-256",
        prefix="sha256=",
        prefix_required=True,
        encodings=("hex",),
    ),
}


def preset_for(auth: WebhookAuth) -> Preset:
    """The row of `auth`, with its own header where the file names one."""
    preset = PRESETS[auth.scheme]
    return replace(preset, header=auth.header) if auth.header else preset
