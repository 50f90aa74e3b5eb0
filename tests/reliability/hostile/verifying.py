"""The verifier under hostile bytes: header lines, an empty line, a body.

Whatever passes is asked again with one thing changed, and must then be refused: an exception is a
finding, and so is a second answer.
"""

import base64
import hmac
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from amodal_rt.domain.presets import PRESETS
from amodal_rt.domain.signing import Fields, Kind, Recipe, SignedTime, find_secret_fault
from amodal_rt.intake.headers import Headers
from amodal_rt.intake.signatures.request import Request
from amodal_rt.intake.signatures.verifier import find_fault

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
URL = "https://hooks.acme.example/webhooks/auto_x"
BODY = b'{"action": "opened", "issue": {"id": 7, "title": "x"}, "sender": {"login": "ada"}}'
LINEAR = b'{"action": "create", "webhookTimestamp": ' + STAMP.encode() + b"000}"
SECRET = "a-secret-of-the-fuzzer"
ENCODED = "whsec_" + base64.b64encode(SECRET.encode()).decode()
KEY = Ed25519PrivateKey.from_private_bytes(b"f" * 32)
SECRETS = (SECRET, ENCODED, KEY.public_key().public_bytes_raw().hex())
OTHERS = ("another-secret-of-some-length", "whsec_" + "A" * 32, "00" * 32)
CUSTOM = Recipe(
    header="x-acme-signature", spelled=Fields(key="h1", time="ts", separator=";"),
    algorithm="sha512", encodings=("base64",), signed=("{timestamp}", ":", "{body}"),
    time=SignedTime(),
)  # fmt: skip
RECIPES = (*PRESETS.values(), (CUSTOM,))


def _hex(content: bytes) -> bytes:
    return hmac.digest(SECRET.encode(), content, "sha256").hex().encode()


def _base64(content: bytes, algorithm: str = "sha256") -> bytes:
    return base64.b64encode(hmac.digest(SECRET.encode(), content, algorithm))


def _seed(*lines: bytes, body: bytes = BODY) -> bytes:
    return b"\n".join(lines) + b"\n\n" + body


_T = STAMP.encode()
VERIFIER_SEEDS = (
    _seed(b"X-Signature-256: sha256=" + _hex(BODY)),
    _seed(b"X-Signature-256: " + _base64(BODY)),
    _seed(b"X-Hub-Signature-256: sha256=" + _hex(BODY)),
    _seed(b"X-Slack-Request-Timestamp: " + _T,
          b"X-Slack-Signature: v0=" + _hex(b"v0:" + _T + b":" + BODY)),
    _seed(b"Stripe-Signature: t=" + _T + b",v1=" + _hex(_T + b"." + BODY) + b",v0=x"),
    _seed(b"X-PagerDuty-Signature: v1=" + b"0" * 64 + b",v1=" + _hex(BODY)),
    _seed(b"Linear-Signature: " + _hex(LINEAR), body=LINEAR),
    _seed(b"X-Shopify-Hmac-Sha256: " + _base64(BODY)),
    _seed(b"X-Twilio-Signature: " + _base64(URL.encode() + b"a1b2", "sha1"), body=b"b=2&a=1"),
    _seed(b"X-Gitlab-Token: " + SECRET.encode()),
    _seed(b"X-Signature-Timestamp: " + _T,
          b"X-Signature-Ed25519: " + KEY.sign(_T + BODY).hex().encode()),
    _seed(b"webhook-id: msg_1", b"webhook-timestamp: " + _T,
          b"webhook-signature: v1," + _base64(b"msg_1." + _T + b"." + BODY) + b" v1a,x"),
    _seed(b"svix-id: msg_1", b"svix-timestamp: " + _T,
          b"svix-signature: v1," + _base64(b"msg_1." + _T + b"." + BODY)),
    _seed(b"x-acme-signature: ts=" + _T + b";h1=" + _base64(_T + b":" + BODY, "sha512")),
    b"\n\n", b"X-Hub-Signature-256:\n\n{}",
)  # fmt: skip


def verify(data: bytes) -> object:
    """How many schemes the request is signed by."""
    head, _, body = data.partition(b"\n\n")
    lines = head.decode("utf-8", "surrogateescape").split("\n")[:70]
    pairs = [(name, value.strip()) for name, _, value in (each.partition(":") for each in lines)]
    passed = 0
    for recipes in RECIPES:
        if _fault(recipes, pairs, body) is None:
            passed += 1
            _is_alone(recipes, pairs, body)
    find_secret_fault([each for recipes in RECIPES for each in recipes], lines[0])
    return passed


def _is_alone(recipes: tuple[Recipe, ...], pairs: list[tuple[str, str]], body: bytes) -> None:
    """Nothing near a request that passed passes, too."""
    used = next(each for each in recipes if Headers(pairs).all(each.header))
    # A token signs no body, and Twilio signs the fields of a form and not their bytes.
    if used.kind is not Kind.TOKEN and "{body}" in used.signed:
        assert _fault(recipes, pairs, body + b"x") is not None
        assert _fault(recipes, pairs, body[:-1]) is not None
    assert _fault(recipes, [*pairs, *pairs], body) is not None
    assert _fault(recipes, pairs, body, OTHERS) is not None
    assert _fault(recipes, pairs, body, ()) is not None


def _fault(
    recipes: tuple[Recipe, ...],
    pairs: list[tuple[str, str]],
    body: bytes,
    secrets: tuple[str, ...] = SECRETS,
) -> str | None:
    request = Request(headers=Headers(pairs), body=body, urls=(URL,))
    return find_fault(recipes, request, secrets, now=NOW)
