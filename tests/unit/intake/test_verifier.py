"""The verifier against arbitrary bytes, and the spellings that only the generic scheme takes.
Each provider's vector is in `test_vectors`."""

import base64
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amodal_rt.domain.presets import PRESETS
from amodal_rt.domain.signing import Fields, Kind, Plain, Recipe, SignedTime, Versioned
from amodal_rt.domain.trigger import SignatureScheme
from amodal_rt.intake.headers import Headers
from amodal_rt.intake.signatures.request import Request
from amodal_rt.intake.signatures.verifier import find_fault

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
# Published by GitHub: "Testing the webhook payload validation".
SECRET = "It's a Secret to Everybody"
BODY = b"Hello, World!"
HEX = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
GENERIC = PRESETS[SignatureScheme.HMAC_SHA256]


def _fault(value: str, body: bytes = BODY, secrets: tuple[str, ...] = (SECRET,)) -> str | None:
    request = Request(headers=Headers([("X-Signature-256", value)]), body=body)
    return find_fault(GENERIC, request, secrets, now=NOW)


def _base64() -> str:
    return base64.b64encode(hmac.digest(SECRET.encode(), BODY, "sha256")).decode()


@pytest.mark.parametrize(
    "value", [HEX, HEX.upper(), f"sha256={HEX}", _base64(), f"sha256={_base64()}"]
)
def test_the_generic_scheme_takes_hex_and_base64_with_or_without_the_prefix(value: str) -> None:
    assert _fault(value) is None


@pytest.mark.parametrize(
    "value",
    [
        _base64().rstrip("="),
        _base64() + "=",
        _base64()[:-2] + "d=",
        _base64().replace("/", "_").replace("+", "-") + "!",
        _base64().encode().hex(),
        HEX[:32].upper() + HEX[32:],
        f"{HEX[:2]} {HEX[2:]}",
        chr(0xFF17) + HEX[1:],
    ],
)
def test_only_the_one_spelling_that_everybody_writes_is_taken(value: str) -> None:
    assert _fault(value)


def test_an_empty_secret_signs_nothing_even_what_it_signed() -> None:
    assert _fault(hmac.digest(b"", BODY, "sha256").hex(), secrets=("",))


RECIPES = [
    *(recipe for recipes in PRESETS.values() for recipe in recipes),
    Recipe(header="x-s", kind=Kind.TOKEN, spelled=Fields(key="k", separator=";")),
    Recipe(header="x-s", algorithm="sha512", signed=("{id}", "{url}", "{form}", "{body}"),
           id_header="x-i", time=SignedTime(body=("a", "b"))),
    Recipe(header="x-s", spelled=Versioned(version="v9"), time=SignedTime(header="x-t")),
    Recipe(header="x-s", spelled=Plain(prefix="p=", required=False), spelling="hex",
           signed=("{timestamp}", "{body}"), time=SignedTime(body=("t",), unit="ms")),
]  # fmt: skip
TEXTS = (
    st.text(st.characters(), max_size=200)
    | st.from_regex(r"(sha256=|v0=|t=[0-9]{0,12},v1=|v1,)[0-9a-fA-F+/=]{0,90}")
    | st.integers(0, 3_000_000_000).map(str)
)


@given(
    recipe=st.sampled_from(RECIPES),
    values=st.lists(TEXTS, min_size=3, max_size=3),
    body=st.binary(max_size=64)
    | st.from_regex(r'\{"a": ?(\{"b": )?[0-9-]{1,30}\}*').map(str.encode),
    secret=st.text(st.characters(), max_size=40) | st.just("00" * 32),
    url=st.text(st.characters(), max_size=60),
)
def test_any_text_gives_a_verdict_and_none_an_exception(
    recipe: Recipe, values: list[str], body: bytes, secret: str, url: str
) -> None:
    pairs = list(zip(recipe.headers, values, strict=False))
    request = Request(headers=Headers(pairs), body=body, urls=(url,))
    found = find_fault([recipe], request, [secret], now=NOW)
    # A secret may well spell the token that was sent.
    assert found or recipe.kind is Kind.TOKEN
