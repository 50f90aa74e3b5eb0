"""How senders prove themselves, as files spell it: `webhookAuth`, and the same in integrations."""

from typing import Annotated

from pydantic import Field

from amodal_rt.definitions.shapes import EnvText, FileShape, HeaderName, Listed, described


class WebhookAuthShape(FileShape):
    """The proof that a webhook must carry; without it the URL is shown as unsigned."""

    type: Annotated[str, described("How senders sign: `hmac-sha256`, or the preset `github`.")]
    secret: Annotated[
        list[EnvText],
        Listed,
        Field(min_length=1, description="`env:NAME`, or a list of them while a secret rotates."),
    ]
    header: Annotated[
        HeaderName | None,
        described("The header that carries the signature; default `X-Signature-256`."),
    ] = None
    dedupe_header: Annotated[
        HeaderName | None,
        described("The one header whose value tells deliveries apart, for duplicates."),
    ] = None
