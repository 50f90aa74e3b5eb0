"""A sender that asks by a GET whether the address is ours is answered what it asks, if it may."""

from dataclasses import replace

import pytest
from intake_house import ENDPOINT, House

from amodal_rt.domain.secret import SecretRef
from amodal_rt.domain.signing import CustomScheme, QueryChallenge, Recipe
from amodal_rt.domain.trigger import SignatureScheme, WebhookAuth
from amodal_rt.intake.requests import Answer, RawRequest, Refusal, Verified

TOKEN = "the token that Meta was told"
META = QueryChallenge(echo="hub.challenge", token_in="hub.verify_token", token=SecretRef("VERIFY"))
CUSTOM = CustomScheme(recipe=Recipe(header="x-hub-signature-256"), challenge=META)
AUTH = WebhookAuth(scheme=SignatureScheme.CUSTOM, secrets=(SecretRef("SECRET"),), custom=CUSTOM)
SET = {"SECRET": "0123456789abcdef", "VERIFY": TOKEN}
RIGHT = "hub.mode=subscribe&hub.verify_token=the+token+that+Meta+was+told&hub.challenge=1158201444"


async def get(house: House, query: str, method: str = "GET") -> Verified | Refusal | Answer:
    async def read(limit: int) -> bytes | None:
        raise AssertionError("a GET has no body")

    request = RawRequest(
        endpoint=ENDPOINT, method=method, headers=(), read_body=read,
        target=f"/webhooks/{ENDPOINT}?{query}",
    )  # fmt: skip
    return await house.intake().verify(request)


async def test_who_knows_the_token_is_answered_its_own_words_as_plain_text() -> None:
    answer = await get(House(auth=AUTH, variables=SET), RIGHT)

    assert isinstance(answer, Answer)
    assert (answer.status, answer.text) == (200, "1158201444")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "hub.challenge=1",
        "hub.verify_token=&hub.challenge=1",
        RIGHT.replace("Meta", "meta"),
        RIGHT + "&hub.verify_token=x",
        RIGHT + "&hub.verify_token=the+token+that+Meta+was+told",
        RIGHT + "&hub.challenge=2",
        RIGHT.replace("1158201444", ""),
        RIGHT.replace("1158201444", "x" * 1025),
        RIGHT.replace("1158201444", "%0d%0aSet-Cookie:x"),
        "&".join(f"a{n}=1" for n in range(100)) + "&" + RIGHT,
    ],
)
async def test_all_others_get_the_one_answer_of_a_wrong_signature(query: str) -> None:
    house = House(auth=AUTH, variables=SET)

    refused, unsigned = await get(house, query), await house.send(b"{}", {})

    assert isinstance(refused, Refusal)
    assert isinstance(unsigned, Refusal)
    assert (refused.status, refused.code, refused.message, refused.headers) == (
        unsigned.status, unsigned.code, unsigned.message, unsigned.headers,
    )  # fmt: skip
    assert refused.rejection
    assert "token that" not in refused.rejection.reason


@pytest.mark.parametrize("variables", [{}, {"VERIFY": "short"}])
async def test_without_a_token_that_nobody_guesses_the_sender_must_come_again(
    variables: dict[str, str],
) -> None:
    refused = await get(House(auth=AUTH, variables={**variables, "SECRET": "0" * 16}), RIGHT)

    assert isinstance(refused, Refusal)
    assert refused.status == 503


async def test_an_endpoint_without_a_challenge_takes_no_get_and_one_with_it_nothing_else() -> None:
    plain = replace(AUTH, custom=CustomScheme(recipe=CUSTOM.recipe))

    for auth, method, allowed in ((plain, "GET", "POST"), (AUTH, "HEAD", "GET, POST")):
        refused = await get(House(auth=auth, variables=SET), RIGHT, method)
        assert isinstance(refused, Refusal)
        assert (refused.status, refused.headers["Allow"]) == (405, allowed)
