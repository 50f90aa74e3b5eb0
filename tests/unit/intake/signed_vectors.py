"""Signed requests of each provider: published where the provider publishes one, else made once
by hand (`derived`), so that a change of the verifier shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from amodal_rt.domain.presets import recipes_for
from amodal_rt.domain.signing import (
    SIGNS_NOTHING,
    CustomScheme,
    Fields,
    Kind,
    Plain,
    Recipe,
    SignedTime,
    Spelling,
    TokenClaims,
)
from amodal_rt.domain.trigger import SignatureScheme as Scheme
from amodal_rt.domain.trigger import WebhookAuth

_T = "1614265330"
_B = b'{"id":"evt_1"}'
_ATLASSIAN = "a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
_GITHUB = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
_SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
    b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
    b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands"
    b"%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
_TWILIO_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
_TWILIO_FORM = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "From": "+14158675309",
    "Digits": "1234",
    "To": "+18005551212",
}
_SENDGRID_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+"
    "2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
)
_SENDGRID_SIGNATURE = (
    "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAb"
    "PIqHh89M15TluLtEZtM="
)
_SENDGRID_BODY = (
    b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address",'
    b'"sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",'
    b'"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",'
    b'"smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]\r\n'
)
_CLAIMS = (
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
)
"""Of the examples of RFC 7515, appendix A: `iss` is joe, `exp` 1300819380."""
_BEFORE = 1300819000
ES256_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7
6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==
-----END PUBLIC KEY-----
"""
"""The key of RFC 7515, A.3, as PEM."""
RS256_JWK = (
    '{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2'
    "mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSH"
    "SXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7"
    'aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}'
)


def _jwt(*algorithms: str, spelling: Spelling = "pem", **keys: Any) -> CustomScheme:
    claims = TokenClaims(algorithms=algorithms, **keys)
    return CustomScheme(
        recipe=Recipe(header="authorization", kind=Kind.JWT, spelling=spelling, claims=claims)
    )


_TWILIO_DIGEST = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"


@dataclass(frozen=True)
class Vector:
    """A request that `secret` signed at `at`; `header` carries the signature."""

    scheme: Scheme
    secret: str
    header: str
    signature: str
    body: bytes
    at: int = int(_T)
    others: Mapping[str, str] = field(default_factory=dict)
    urls: tuple[str, ...] = ()
    custom: CustomScheme | None = None

    @property
    def covers_body(self) -> bool:
        """Whether what nobody signed may not be in the body: a token says who sends, not what."""
        recipe = next(each for each in self.recipes if each.header == self.header)
        said = recipe.claims is not None and recipe.claims.body_claim is not None
        return recipe.kind not in SIGNS_NOTHING or said

    @property
    def auth(self) -> WebhookAuth:
        return WebhookAuth(scheme=self.scheme, secrets=(self.secret,), custom=self.custom)

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        return recipes_for(self.auth)

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [*self.others.items(), (self.header, self.signature)]


VECTORS: Mapping[str, Vector] = {
    "standard": Vector(
        Scheme.STANDARD_WEBHOOKS,
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "webhook-signature",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        b'{"test": 2432232314}',
        others={"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": _T},
    ),
    "svix": Vector(
        Scheme.STANDARD_WEBHOOKS,
        "whsec_plJ3nmyCDGBKInavdOK15jsl",
        "svix-signature",
        "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
        b'{"event_type":"ping","data":{"success":true}}',
        at=1731705121,
        others={"svix-id": "msg_loFOjxBNrRLzqYUf", "svix-timestamp": "1731705121"},
    ),
    "gitlab": Vector(
        Scheme.GITLAB,
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "webhook-signature",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        b'{"test": 2432232314}',
        others={"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": _T},
    ),
    "github": Vector(
        Scheme.GITHUB,
        "It's a Secret to Everybody",
        "x-hub-signature-256",
        f"sha256={_GITHUB}",
        b"Hello, World!",
    ),
    "jira": Vector(
        Scheme.JIRA,
        "It's a Secret to Everybody",
        "x-hub-signature",
        f"sha256={_ATLASSIAN}",
        b"Hello World!",
    ),
    "slack": Vector(
        Scheme.SLACK,
        "8f742231b10e8888abcd99yyyzzz85a5",
        "x-slack-signature",
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        _SLACK_BODY,
        at=1531420618,
        others={"x-slack-request-timestamp": "1531420618"},
    ),
    "stripe (derived)": Vector(
        Scheme.STRIPE,
        "whsec_test_secret",
        "stripe-signature",
        f"t={_T},v1=e135cdbed3dda004bf8a2fb350f2541d299393c770e0b9e6e319dc595e9072aa",
        _B,
    ),
    "linear (derived)": Vector(
        Scheme.LINEAR,
        "SECRET",
        "linear-signature",
        "e1f98aafdb5d5f17b80994881c4064d366c72eab21d3c7c7faf563c778881deb",
        b'{"action":"create","webhookTimestamp":1614265330000}',
    ),
    "shopify": Vector(
        Scheme.SHOPIFY,
        "test_secret_key",
        "x-shopify-hmac-sha256",
        "B23tXN681gZ0qIWNRrgtzBE9XSDo5yaUu6wfmhu3a7g=",
        b'{"foo": "bar"}',
    ),
    "twilio form": Vector(
        Scheme.TWILIO,
        "12345",
        "x-twilio-signature",
        "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
        urlencode(_TWILIO_FORM).encode(),
        urls=(_TWILIO_URL,),
    ),
    "twilio json": Vector(
        Scheme.TWILIO,
        "12345",
        "x-twilio-signature",
        "a9nBmqA0ju/hNViExpshrM61xv4=",
        b'{"property": "value", "boolean": true}',
        urls=(f"{_TWILIO_URL}&bodySHA256={_TWILIO_DIGEST}",),
    ),
    "discord (derived)": Vector(
        Scheme.DISCORD,
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "x-signature-ed25519",
        "183962183db8eda2a978bad76c783463e12f69ffaa6e605b94f40f449776fb78"
        "b98913b711081cff968e4e648c0298d212358f4c6e0985f92bc9851e6b98ff0d",
        _B,
        others={"x-signature-timestamp": _T},
    ),
    "sentry (derived)": Vector(
        Scheme.SENTRY,
        "SECRET",
        "sentry-hook-signature",
        "fcfd3dc4ebd0495b161cc08009725336b053d50a46763536e4e0dc5b30e3ff17",
        _B,
    ),
    "zoom (derived)": Vector(
        Scheme.ZOOM,
        "SECRET",
        "x-zm-signature",
        "v0=5da431b61d6a9f19ad4af630c1915a58c825c9fa9e06347545d6c602609d02a9",
        _B,
        others={"x-zm-request-timestamp": _T},
    ),
    "pagerduty": Vector(
        Scheme.PAGERDUTY,
        "lDQHScfUeXUKaQRNF+8XIiDKZ7XX3itBAYzwU0TARw8lJqRnkKl2iB1anSb0Z+IK",
        "x-pagerduty-signature",
        "v1=0c0b9495b893a39e70d1fea2fe11fbe0a825f88b9f67846f6cc07dd2bc5476cd",
        # What PagerDuty's own Go client is tested with.
        (Path(__file__).parent / "pagerduty_incident.json").read_bytes(),
    ),
    "paddle, as custom (derived)": Vector(
        Scheme.CUSTOM,
        "SECRET",
        "paddle-signature",
        f"ts={_T};h1=7202646fea284634ed8f3a130a5d9fd42d4ea0d067e66d60671720498f0e131f",
        _B,
        custom=CustomScheme(
            recipe=Recipe(
                header="paddle-signature",
                spelled=Fields(key="h1", time="ts", separator=";"),
                signed=("{timestamp}", ":", "{body}"),
                time=SignedTime(),
            )
        ),
    ),
    "meta, as custom (derived)": Vector(
        Scheme.CUSTOM,
        "SECRET",
        "x-hub-signature-256",
        "sha256=fcfd3dc4ebd0495b161cc08009725336b053d50a46763536e4e0dc5b30e3ff17",
        _B,
        custom=CustomScheme(
            recipe=Recipe(header="x-hub-signature-256", spelled=Plain(prefix="sha256="))
        ),
    ),
    "sendgrid, as custom": Vector(
        Scheme.CUSTOM,
        _SENDGRID_KEY,
        "x-twilio-email-event-webhook-signature",
        _SENDGRID_SIGNATURE,
        # What SendGrid's own libraries are tested with.
        _SENDGRID_BODY,
        at=1600112502,
        others={"x-twilio-email-event-webhook-timestamp": "1600112502"},
        custom=CustomScheme(
            recipe=Recipe(
                header="x-twilio-email-event-webhook-signature",
                kind=Kind.ECDSA_P256,
                encodings=("base64",),
                signed=("{timestamp}", "{body}"),
                spelling="spki",
                time=SignedTime(header="x-twilio-email-event-webhook-timestamp"),
            )
        ),
    ),
    "a list between spaces, as custom (derived)": Vector(
        Scheme.CUSTOM,
        "SECRET",
        "x-signatures",
        "v1=fcfd3dc4ebd0495b161cc08009725336b053d50a46763536e4e0dc5b30e3ff17",
        _B,
        custom=CustomScheme(
            recipe=Recipe(header="x-signatures", spelled=Plain(prefix="v1=", separator=" "))
        ),
    ),
    "RFC 7617, user and password": Vector(
        Scheme.CUSTOM,
        "Aladdin:open sesame",
        "authorization",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        _B,
        custom=CustomScheme(
            recipe=Recipe(header="authorization", kind=Kind.BASIC, encodings=("base64",))
        ),
    ),
    "RFC 7515, HS256": Vector(
        Scheme.CUSTOM,
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ+EstJQLr/T+1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow==",
        "authorization",
        f"Bearer eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{_CLAIMS}"
        ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        _B,
        at=_BEFORE,
        custom=_jwt("HS256", spelling="base64", issuer="joe"),
    ),
    "RFC 7515, RS256": Vector(
        Scheme.CUSTOM,
        RS256_JWK,
        "authorization",
        f"Bearer eyJhbGciOiJSUzI1NiJ9.{_CLAIMS}"
        ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5"
        "jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1"
        "L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEU"
        "ipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        _B,
        at=_BEFORE,
        custom=_jwt("RS256", issuer="joe"),
    ),
    "RFC 7515, ES256": Vector(
        Scheme.CUSTOM,
        ES256_KEY,
        "authorization",
        f"Bearer eyJhbGciOiJFUzI1NiJ9.{_CLAIMS}"
        ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        _B,
        at=_BEFORE,
        custom=_jwt("ES256", "RS256", issuer="joe"),
    ),
    "plaid, as custom (derived)": Vector(
        Scheme.CUSTOM,
        ES256_KEY,
        "authorization",
        "Bearer eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiSldUIn0.eyJpYXQiOjE2MTQyNjUzMzAsInJlcXV"
        "lc3RfYm9keV9zaGEyNTYiOiI0MDk5M2M2MzlmZmI1ZjEzYTBhMmVmNWM5M2M5NjVmMTBiNDA1ZjJiODdhMzc5MjcyMzgx"
        "ZGEyZGJjMTU4ZGZhIn0.-42avIn9zxzmO1CDmQUMwvuKh0mCZqXVujd0CpJqKZMxPNkvdKymnZihOdzJHkJiOktq8_jF0"
        "JYZ6c77vNwDMw",
        _B,
        custom=_jwt("ES256", body_claim="request_body_sha256"),
    ),
    "gitlab's older token": Vector(
        Scheme.GITLAB, "a token of some length", "x-gitlab-token", "a token of some length", _B
    ),
}
