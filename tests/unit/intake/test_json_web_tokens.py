"""Which tokens prove their sender, and all that does not make one."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from amodal_rt.domain.signing import TokenClaims
from amodal_rt.intake.signatures.json_web_tokens import LEEWAY_SECONDS, find_bearer
from amodal_rt.intake.signatures.request import Bearer

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
AT = int(NOW.timestamp())
OURS, THEIRS = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
SAID = {"iss": "https://sender.example", "aud": "acme", "exp": AT + 600}
WANTED = TokenClaims(algorithms=("ES256",), issuer="https://sender.example", audience="acme")


def pem(key: Any) -> str:
    public = key.public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def jwk(key: Any, **more: object) -> str:
    kind = ECAlgorithm if key is not RSA else RSAAlgorithm
    return json.dumps({**kind.to_jwk(key.public_key(), as_dict=True), **more})


def token(key: Any = OURS, algorithm: str = "ES256", head: Any = None, **claims: object) -> bytes:
    said = {name: value for name, value in {**SAID, **claims}.items() if value is not None}
    return jwt.encode(said, key, algorithm=algorithm, headers=head).encode()


def judged(
    sent: bytes, *keys: str, wanted: TokenClaims = WANTED, late: float = 0, body: bytes = b""
) -> Bearer | str:
    pairs = [(each, each.encode()) for each in keys or (pem(OURS),)]
    return find_bearer(wanted, sent, body, pairs, now=NOW + timedelta(seconds=late))


def test_the_key_that_signed_is_told() -> None:
    found = judged(token(), pem(THEIRS), jwk(OURS))

    assert found == Bearer(secret=jwk(OURS))


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://other.example"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"aud": "others"}, "another audience"),
        ({"aud": None}, "another audience"),
        ({"exp": None}, "never expires"),
        ({"exp": AT - LEEWAY_SECONDS}, "has expired"),
        ({"exp": "soon"}, "malformed|no key"),
        ({"exp": 1e300}, "malformed"),
        ({"exp": True}, "malformed"),
        ({"exp": None, "iat": AT - 301}, "more than 300 seconds ago"),
        ({"nbf": AT + LEEWAY_SECONDS + 1}, "a time to come"),
        ({"iat": AT + LEEWAY_SECONDS + 1}, "a time to come"),
    ],
)
def test_what_a_token_says_wrongly_is_why_it_does_not_count(
    claims: dict[str, Any], why: str
) -> None:
    found = judged(token(**claims))

    assert isinstance(found, str)
    assert any(each in found for each in why.split("|"))


def test_one_of_several_audiences_is_enough_and_a_young_one_needs_no_end() -> None:
    assert isinstance(judged(token(aud=["others", "acme"])), Bearer)
    assert isinstance(judged(token(exp=None, iat=AT - 300)), Bearer)
    assert isinstance(judged(token(), late=600 + LEEWAY_SECONDS - 1), Bearer)


def _unsigned(algorithm: str) -> bytes:
    parts = ({"alg": algorithm, "typ": "JWT"}, SAID)
    spelled = (base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=") for each in parts)
    return b".".join([*spelled, b""])


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", "ES256"])
def test_nothing_counts_that_nobody_signed(algorithm: str) -> None:
    assert isinstance(judged(_unsigned(algorithm)), str)
    assert isinstance(judged(_unsigned(algorithm) + b"AA"), str)


def test_a_public_key_is_no_shared_secret() -> None:
    """The classic: what is signed with the public key as an HMAC secret."""
    public = pem(OURS)
    forged = jwt.api_jws.PyJWS()
    forged_key = public.encode()
    head, said = (
        base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=")
        for each in ({"alg": "HS256", "typ": "JWT"}, SAID)
    )
    signature = forged.get_algorithm_by_name("HS256").sign(head + b"." + said, forged_key)
    sent = b".".join((head, said, base64.urlsafe_b64encode(signature).rstrip(b"=")))

    assert judged(sent, public) == "the token's algorithm is not one that may be"
    both = TokenClaims(algorithms=("HS256",), issuer=WANTED.issuer, audience="acme")
    assert isinstance(judged(sent, public, wanted=both), str)
    shared = json.dumps({"kty": "oct", "k": base64.urlsafe_b64encode(forged_key).decode()})
    assert isinstance(judged(sent, shared, wanted=both), str)


def test_a_key_that_the_token_brings_along_is_not_looked_at() -> None:
    sent = token(THEIRS, head={"jwk": json.loads(jwk(THEIRS)), "jku": "https://evil.example"})

    assert judged(sent) == "no key gives this signature"


def test_of_a_key_set_the_key_of_that_name_use_and_algorithm_counts() -> None:
    named = token(head={"kid": "a"})

    assert isinstance(judged(named, jwk(OURS, kid="a", use="sig", alg="ES256")), Bearer)
    assert isinstance(judged(named, jwk(OURS)), Bearer)
    for wrong in ({"kid": "b"}, {"use": "enc"}, {"alg": "ES384"}):
        assert judged(named, jwk(OURS, **wrong)) == "no key gives this signature"
    assert judged(named, jwk(RSA), "{}", '{"kty": 7}') == "no key gives this signature"


def test_one_token_has_one_spelling() -> None:
    sent = token()
    for other in (sent + b"=", b" " + sent, sent.replace(b".", b"..", 1), sent[:-2] + b"+/"):
        assert judged(other) == "malformed token"


def test_a_token_may_vouch_for_the_body() -> None:
    wanted = TokenClaims(algorithms=("ES256",), body_claim="body")
    digest = "40993c639ffb5f13a0a2ef5c93c965f10b405f2b87a37927238 1da2dbc158dfa".replace(" ", "")
    body = b'{"id":"evt_1"}'
    raw = bytes.fromhex(digest)

    for said in (
        digest,
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode()[:-1],
    ):
        sent = token(body=said)
        assert isinstance(judged(sent, wanted=wanted, body=body), Bearer)
        assert judged(sent, wanted=wanted, body=body + b" ") == "the token is of another body"
    assert judged(token(), wanted=wanted, body=body) == "the token is of another body"


@given(st.binary(max_size=200))
def test_any_bytes_give_a_verdict(sent: bytes) -> None:
    assert isinstance(judged(sent), str)
    assert isinstance(judged(sent, '{"keys": 1}', "{}"), str)


@pytest.mark.parametrize("part", [b"[" * 3000, b'{"alg": "ES256", "crit": ["b64"], "b64": false}'])
def test_a_header_that_is_none_is_refused(part: bytes) -> None:
    head = base64.urlsafe_b64encode(part).rstrip(b"=")

    assert isinstance(judged(head + b"." + token().partition(b".")[2]), str)
