"""Where an event stands among those of its source."""

from datetime import UTC, datetime, timedelta, timezone

from amodal_rt.domain.event import order_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_one_instant_has_one_spelling_whatever_its_zone() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=-5)))

    assert order_of(there, now=NOW) == order_of(NOW, now=NOW) == "2026-03-01T12:00:00.000000+00:00"


def test_orders_sort_as_the_instants_do_to_the_microsecond() -> None:
    steps = [timedelta(microseconds=each) for each in (0, 1, 1000, 1_000_000)]
    orders = [order_of(NOW + each, now=NOW) or "" for each in steps]

    assert orders == sorted(set(orders))


def test_a_time_that_is_yet_to_come_is_no_order() -> None:
    assert order_of(NOW + timedelta(minutes=5), now=NOW) is not None
    assert order_of(NOW + timedelta(minutes=6), now=NOW) is None
    assert order_of(None, now=NOW) is None
