"""The verifier against published vectors, mutations of them and arbitrary bytes."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amodal_rt.domain.trigger import SignatureScheme
from amodal_rt.intake.signatures.presets import PRESETS, Preset
from amodal_rt.intake.signatures.verifier import find_fault

GITHUB = PRESETS[SignatureScheme.GITHUB]
GENERIC = PRESETS[SignatureScheme.HMAC_SHA256]

# Published by GitHub: "Testing the webhook payload validation".
SECRET = b"It's a Secret to Everybody"
BODY = b"Hello, World!"
HEX = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def test_githubs_published_vector_is_accepted() -> None:
    assert find_fault(GITHUB, [f"sha256={HEX}"], BODY, [SECRET]) is None


def _base64(secret: bytes = SECRET, body: bytes = BODY) -> str:
    return base64.b64encode(hmac.digest(secret, body, "sha256")).decode()


@pytest.mark.parametrize(
    "value", [HEX, HEX.upper(), f"sha256={HEX}", _base64(), f"sha256={_base64()}"]
)
def test_the_generic_scheme_takes_hex_and_base64_with_or_without_the_prefix(value: str) -> None:
    assert find_fault(GENERIC, [value], BODY, [SECRET]) is None


def test_any_of_several_secrets_may_have_signed() -> None:
    assert find_fault(GITHUB, [f"sha256={HEX}"], BODY, [b"an older secret", SECRET]) is None
    assert find_fault(GITHUB, [f"sha256={HEX}"], BODY, [SECRET, b"an older secret"]) is None


SHA1 = hmac.digest(SECRET, BODY, "sha1").hex()
HALF = len(HEX) // 2
RIGHT = f"sha256={HEX}"
MUTATIONS: dict[str, tuple[list[str], bytes, list[bytes]]] = {
    "no header": ([], BODY, [SECRET]),
    "empty header": ([""], BODY, [SECRET]),
    "prefix alone": (["sha256="], BODY, [SECRET]),
    "no prefix": ([HEX], BODY, [SECRET]),
    "other prefix": ([f"sha1={HEX}"], BODY, [SECRET]),
    "upper-case prefix": ([f"SHA256={HEX}"], BODY, [SECRET]),
    "prefix twice": ([f"sha256=sha256={HEX}"], BODY, [SECRET]),
    "space after the prefix": ([f"sha256= {HEX}"], BODY, [SECRET]),
    "space before": ([f" sha256={HEX}"], BODY, [SECRET]),
    "line break after": ([f"sha256={HEX}\n"], BODY, [SECRET]),
    "byte zero after": ([f"sha256={HEX}\0"], BODY, [SECRET]),
    "first digit": ([f"sha256=8{HEX[1:]}"], BODY, [SECRET]),
    "last digit": ([f"sha256={HEX[:-1]}8"], BODY, [SECRET]),
    "middle digit": ([f"sha256={HEX[:HALF]}0{HEX[HALF + 1 :]}"], BODY, [SECRET]),
    "one digit short": ([f"sha256={HEX[:-1]}"], BODY, [SECRET]),
    "one byte short": ([f"sha256={HEX[:-2]}"], BODY, [SECRET]),
    "one digit long": ([f"sha256={HEX}0"], BODY, [SECRET]),
    "one byte long": ([f"sha256={HEX}00"], BODY, [SECRET]),
    "twice": ([f"sha256={HEX}{HEX}"], BODY, [SECRET]),
    "halves swapped": ([f"sha256={HEX[HALF:]}{HEX[:HALF]}"], BODY, [SECRET]),
    "reversed": ([f"sha256={HEX[::-1]}"], BODY, [SECRET]),
    "mixed case": ([f"sha256={HEX.upper()[:HALF]}{HEX[HALF:]}"], BODY, [SECRET]),
    "hex with a separator": ([f"sha256={HEX[:2]} {HEX[2:]}"], BODY, [SECRET]),
    "not hex": ([f"sha256={'g' * 64}"], BODY, [SECRET]),
    "full-width digits": (["sha256=" + chr(0xFF17) + HEX[1:]], BODY, [SECRET]),
    "base64 instead of hex": ([f"sha256={_base64()}"], BODY, [SECRET]),
    "sha-1 of the body": ([f"sha1={SHA1}"], BODY, [SECRET]),
    "sha-1 under the sha-256 name": ([f"sha256={SHA1}"], BODY, [SECRET]),
    "plain hash of the body": ([f"sha256={hashlib.sha256(BODY).hexdigest()}"], BODY, [SECRET]),
    "zeros": ([f"sha256={'0' * 64}"], BODY, [SECRET]),
    "two in one header": ([f"{RIGHT},{RIGHT}"], BODY, [SECRET]),
    "header twice": ([RIGHT, RIGHT], BODY, [SECRET]),
    "right one second": (["sha256=00", RIGHT], BODY, [SECRET]),
    "ten thousand characters": ([RIGHT + "0" * 10_000], BODY, [SECRET]),
    "lone surrogate": ([RIGHT + "\udc80"], BODY, [SECRET]),
    "body with a byte more": ([RIGHT], BODY + b" ", [SECRET]),
    "body with a byte less": ([RIGHT], BODY[:-1], [SECRET]),
    "body in another case": ([RIGHT], BODY.lower(), [SECRET]),
    "empty body": ([RIGHT], b"", [SECRET]),
    "body with a byte order mark": ([RIGHT], b"\xef\xbb\xbf" + BODY, [SECRET]),
    "other secret": ([RIGHT], BODY, [b"It's a Secret to Nobody"]),
    "secret with a line break": ([RIGHT], BODY, [SECRET + b"\n"]),
    "empty secret": ([f"sha256={hmac.digest(b'', BODY, 'sha256').hex()}"], BODY, [b""]),
    "no secret": ([RIGHT], BODY, []),
}


def test_there_are_at_least_forty_mutations() -> None:
    assert len(MUTATIONS) >= 40


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mutation_of_the_vector_is_rejected(mutation: str) -> None:
    values, body, secrets = MUTATIONS[mutation]

    assert find_fault(GITHUB, values, body, secrets)


@pytest.mark.parametrize(
    "value",
    [
        _base64().rstrip("="),
        _base64() + "=",
        _base64()[:-2] + "d=",
        _base64().replace("/", "_").replace("+", "-") + "!",
        _base64().encode().hex(),
    ],
)
def test_only_canonical_base64_is_accepted(value: str) -> None:
    assert find_fault(GENERIC, [value], BODY, [SECRET])


@given(
    preset=st.sampled_from([GITHUB, GENERIC]),
    value=st.text(st.characters(), max_size=200) | st.from_regex(r"sha256=[0-9a-fA-F+/=]{0,70}"),
    body=st.binary(max_size=64),
    secret=st.binary(max_size=32),
)
def test_any_text_gives_a_verdict_and_none_an_exception(
    preset: Preset, value: str, body: bytes, secret: bytes
) -> None:
    assert find_fault(preset, [value], body, [secret])
