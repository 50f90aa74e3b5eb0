"""A rule of access.json with `above` holds back what passes its number, or may."""

from dataclasses import replace
from typing import Any

import pytest

from amodal_rt.domain.connection import (
    Access,
    AccessRule,
    Confirm,
    Connection,
    Intent,
    Protocol,
    Threshold,
)
from amodal_rt.guardrails.calls import Call, RestCall, ToolCall
from amodal_rt.guardrails.writes import READ_ONLY, Powers, Verdict, decide

WRITES = Powers(write_enabled=True, place="automations/x.json:7")
REFUND = AccessRule(
    match="POST /refunds",
    confirm=Confirm.NEVER,
    above=(Threshold(("data", "amount"), 100.0), Threshold(("data", "items", "0", "count"), 3.0)),
    reason="larger ones by hand",
)
INVOICE = AccessRule(match="create_*", confirm=Confirm.APPROVE, above=(Threshold(("total",), 9.5),))
SHOP = Connection(
    name="shop",
    protocol=Protocol.REST,
    hash="h",
    access=Access(endpoints=(REFUND,), tools=(INVOICE,)),
)


def refund(**keys: Any) -> RestCall:
    return RestCall(method="POST", path="/refunds", **keys)


def paying(amount: object, **more: object) -> RestCall:
    return refund(data={"amount": amount, "items": [{"count": 3}], **more})


def invoice(**arguments: object) -> ToolCall:
    return ToolCall(tool="create_invoice", arguments=arguments)


BELOW: dict[str, Call] = {
    "at the limit": paying(100),
    "a fraction below": paying(99.99),
    "less than nothing": paying(-5),
    "tool": invoice(total=9.5),
}
ABOVE: dict[str, Call] = {
    "a fraction above": paying(100.01),
    "far above": paying(10**30),
    "endless": paying(float("inf")),
    "no number by name": paying(float("nan")),
    "a number as a text": paying("5"),
    "a list": paying([5]),
    "true": paying(True),
    "null": paying(None),
    "the second field": refund(data={"amount": 1, "items": [{"count": 4}]}),
    "the second field missing": refund(data={"amount": 1, "items": []}),
    "nothing": refund(),
    "a text that reads as JSON": refund(data='{"amount": 1, "amount": 1000}'),
    "other capitals too": paying(1, Amount=1000),
    "a parameter too": replace(paying(1), params=(("amount", "1000"),)),
    "a form's header": replace(
        paying(1), headers={"Content-Type": "application/x-www-form-urlencoded"}
    ),
    "tool": invoice(total=10),
    "tool without it": invoice(sum=1),
    "tool, other capitals too": invoice(total=1, Total=10),
}


@pytest.mark.parametrize("call", BELOW.values(), ids=BELOW.keys())
def test_below_its_number_a_call_is_a_write_like_any_other(call: Call) -> None:
    allowed = decide(call, SHOP, WRITES)

    assert (allowed.allowed, allowed.intent) == (True, Intent.WRITE)
    assert not decide(call, SHOP, READ_ONLY).allowed


@pytest.mark.parametrize("call", ABOVE.values(), ids=ABOVE.keys())
def test_above_it_or_where_nobody_can_tell_the_call_is_held(call: Call) -> None:
    decision = decide(call, SHOP, WRITES)

    assert not decision.allowed
    person = decision.verdict is Verdict.PARK
    assert (decision.rule, person) == (
        ("access.json create_*", True) if isinstance(call, ToolCall) else ("confirm", False)
    )


def test_a_refusal_says_which_number_and_why() -> None:
    never, approve = decide(paying(101), SHOP, WRITES), decide(invoice(total=10), SHOP, WRITES)

    assert never.reason == (
        "POST /refunds is never allowed (larger ones by hand): data.amount is 101, and its limit "
        '100; connections/shop/access.json says "confirm": "never"'
    )
    assert "needs a person's approval: total is 10, and its limit 9.5; " in approve.reason


def test_a_rule_that_holds_something_makes_a_write_of_all_that_it_covers() -> None:
    rule = replace(REFUND, intent=Intent.READ)
    shop = replace(SHOP, access=Access(endpoints=(rule,)))

    assert not decide(paying(1), shop, READ_ONLY).allowed
    assert decide(paying(1), shop, WRITES).allowed
