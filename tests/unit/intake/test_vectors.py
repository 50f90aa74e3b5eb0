"""Every preset against its vector, and the vector mutated in forty ways."""

from datetime import timedelta

import pytest
from mutated_vectors import Pairs, mutations
from signed_vectors import VECTORS, Vector

from amodal_rt.domain.trigger import SignatureScheme
from amodal_rt.intake.headers import Headers
from amodal_rt.intake.signatures.request import Request
from amodal_rt.intake.signatures.verifier import find_fault

NAMES = pytest.mark.parametrize("name", VECTORS)
STALE = {"standard", "svix", "gitlab", "slack", "stripe (derived)", "linear (derived)",
         "discord (derived)", "zoom (derived)", "paddle, as custom (derived)",
         "sendgrid, as custom"}  # fmt: skip
"""Those whose time is signed."""


def is_jwt(name: str) -> bool:
    """Whether it is a token that says itself how long it is good."""
    return VECTORS[name].recipes[0].claims is not None


def fault(
    vector: Vector,
    *,
    headers: Pairs | None = None,
    body: bytes | None = None,
    secrets: list[str] | None = None,
    late: float = 0,
    urls: tuple[str, ...] | None = None,
) -> str | None:
    request = Request(
        headers=Headers(vector.headers if headers is None else headers),
        body=vector.body if body is None else body,
        urls=vector.urls if urls is None else urls,
    )
    now = vector.now + timedelta(seconds=late)
    given = [vector.secret] if secrets is None else secrets
    return find_fault(vector.recipes, request, given, now=now)


def test_there_is_a_vector_for_every_scheme_but_the_generic_one() -> None:
    covered = {vector.scheme for vector in VECTORS.values()}
    assert covered == set(SignatureScheme) - {SignatureScheme.HMAC_SHA256}


@NAMES
def test_the_vector_is_taken(name: str) -> None:
    assert fault(VECTORS[name]) is None


@NAMES
def test_any_of_several_secrets_may_have_signed(name: str) -> None:
    vector = VECTORS[name]
    other = "00" * 32 if vector.scheme is SignatureScheme.DISCORD else "whsec_" + "A" * 32
    assert fault(vector, secrets=[other, vector.secret]) is None
    assert fault(vector, secrets=[vector.secret, other]) is None
    assert fault(vector, secrets=[other]) is not None


@NAMES
def test_what_nobody_signed_is_refused(name: str) -> None:
    vector = VECTORS[name]
    # A token signs no body: what changes only the body is as good as before.
    unsigned = not vector.covers_body
    refused = 0
    for what, headers, body in mutations(vector):
        if unsigned and body != vector.body:
            continue
        if not (same := headers == vector.headers and body == vector.body):
            assert fault(vector, headers=headers, body=body) is not None, what
        refused += not same
    assert refused >= (30 if unsigned else 40)


@pytest.mark.parametrize("name", [name for name in VECTORS if not is_jwt(name)])
def test_what_was_signed_long_ago_or_in_the_future_is_refused(name: str) -> None:
    vector = VECTORS[name]
    limit = 60 if vector.scheme is SignatureScheme.LINEAR else 300
    for late in (limit, -limit):
        assert fault(vector, late=late) is None
    for late in (limit + 1, -limit - 1, 10**6):
        assert (fault(vector, late=late) is not None) == (name in STALE)


@NAMES
def test_an_empty_secret_signs_nothing(name: str) -> None:
    assert fault(VECTORS[name], secrets=[""]) is not None
    assert fault(VECTORS[name], secrets=[]) is not None


def test_more_than_eight_signatures_are_no_rotation() -> None:
    vector = VECTORS["stripe (derived)"]
    good = vector.signature.partition(",v1=")[2]
    eight = f"t={vector.at}" + f",v1={'0' * 64}" * 7 + f",v1={good}"

    assert fault(vector, headers=[(vector.header, eight)]) is None
    assert fault(vector, headers=[(vector.header, f"{eight},v1={good}")]) is not None


@pytest.mark.parametrize("name", ["twilio form", "twilio json"])
def test_twilio_signs_the_address(name: str) -> None:
    vector = VECTORS[name]
    other = vector.urls[0].replace("mycompany", "another")

    assert fault(vector, urls=(other,)) is not None
    assert fault(vector, urls=(other, *vector.urls)) is None
    assert fault(vector, urls=()) is not None
