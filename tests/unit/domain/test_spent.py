"""What a provider reports never gives a budget back."""

from datetime import date

from amodal_rt.domain.budget import Amount, Spent

DAY = date(2026, 3, 2)


def test_what_is_counted_backwards_is_nothing() -> None:
    told = Spent(
        day=DAY, automation="a", model="x:y", input_tokens=-900, output_tokens=7, cost_usd=-3.0
    )

    assert told.upwards.amount == Amount(cost_usd=0.0, tokens=7, unpriced_tokens=0)
