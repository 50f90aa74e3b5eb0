"""`ports.TokenLedger`, sentence by sentence."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import ledger_values as given
import pytest
from ledger_values import CALLER, HOUR, NOW

from amodal_rt.domain.token import Scope, Token
from amodal_rt.errors import ConflictError, NotFoundError
from amodal_rt.ports import Ledger


def token(name: str = "ci", **changed: object) -> Token:
    plain = Token(
        id=given.fresh("tok"),
        name=name,
        digest="a" * 64,
        scopes=frozenset({Scope.READ, Scope.TRIGGER}),
        created_at=NOW,
        created_by="ada",
    )
    return replace(plain, **changed)


async def test_tokens_come_as_they_were_given_oldest_first(ledger: Ledger) -> None:
    late, early = token("a", created_at=NOW + HOUR), token("b", scopes=frozenset[Scope]())

    await ledger.add_token(late, caller=CALLER)
    await ledger.add_token(early, caller=CALLER)

    assert await ledger.tokens() == [early, late]


async def test_a_name_opens_one_door_at_a_time(ledger: Ledger) -> None:
    first = token()
    await ledger.add_token(first, caller=CALLER)

    with pytest.raises(ConflictError) as refusal:
        await ledger.add_token(token(), caller=CALLER)

    assert refusal.value.code == "token_exists"
    assert await ledger.tokens() == [first]


async def test_of_two_who_take_a_name_at_once_one_does(ledger: Ledger, another: Ledger) -> None:
    done = await asyncio.gather(
        *(node.add_token(token(), caller=CALLER) for node in (ledger, another)),
        return_exceptions=True,
    )

    assert [type(each) for each in done if each] == [ConflictError]
    assert len(await ledger.tokens()) == 1


@pytest.mark.parametrize("by", ["id", "name"])
async def test_a_revoked_token_is_kept_and_opens_nothing(ledger: Ledger, by: str) -> None:
    first, other = token(), token("other")
    await ledger.add_token(first, caller=CALLER)
    await ledger.add_token(other, caller=CALLER)

    ended = await ledger.revoke_token(getattr(first, by), caller=CALLER, at=NOW + HOUR)

    assert ended == replace(first, revoked_at=NOW + HOUR)
    assert await ledger.tokens() == [ended, other]
    assert not ended.allows(Scope.READ)


async def test_the_name_of_a_revoked_token_is_free(ledger: Ledger) -> None:
    first, second = token(), token(created_at=NOW + HOUR)
    await ledger.add_token(first, caller=CALLER)
    await ledger.revoke_token("ci", caller=CALLER, at=NOW)
    await ledger.add_token(second, caller=CALLER)

    assert (await ledger.revoke_token("ci", caller=CALLER, at=NOW + HOUR)).id == second.id


async def test_a_token_ends_once(ledger: Ledger) -> None:
    await ledger.add_token(token(), caller=CALLER)
    first = await ledger.revoke_token("ci", caller=CALLER, at=NOW)

    again = await ledger.revoke_token("ci", caller=CALLER, at=NOW + timedelta(days=1))

    assert again == first


async def test_an_id_counts_before_a_name(ledger: Ledger) -> None:
    first = token()
    odd = token(first.id)
    for each in (first, odd):
        await ledger.add_token(each, caller=CALLER)

    assert (await ledger.revoke_token(first.id, caller=CALLER, at=NOW)).id == first.id


async def test_a_token_that_is_not_there_cannot_end(ledger: Ledger) -> None:
    with pytest.raises(NotFoundError) as refusal:
        await ledger.revoke_token("ci", caller=CALLER, at=NOW)

    assert refusal.value.code == "token_not_found"
