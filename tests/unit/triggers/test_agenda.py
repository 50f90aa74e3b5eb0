"""Who waits for which instant."""

from datetime import UTC, datetime, timedelta

from amodal_rt.triggers.agenda import Agenda

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_what_is_due_is_taken_in_the_order_of_time_and_once():
    agenda = Agenda()
    for at, stem in ((NINE + MINUTE, "c"), (NINE, "b"), (NINE, "a"), (NINE + 2 * MINUTE, "d")):
        agenda.put(at, (stem, "key"))

    taken = agenda.take(NINE + MINUTE)

    assert taken == [(NINE, [("b", "key"), ("a", "key")]), (NINE + MINUTE, [("c", "key")])]
    assert agenda.take(NINE + MINUTE) == []
    assert agenda.first == NINE + 2 * MINUTE


def test_an_instant_that_was_taken_can_be_waited_for_again():
    agenda = Agenda()
    agenda.put(NINE, ("a", "key"))
    agenda.take(NINE)

    agenda.put(NINE, ("a", "key"))

    assert agenda.waiting_for(NINE) == [("a", "key")]
    assert agenda.take(NINE) == [(NINE, [("a", "key")])]


def test_nobody_waits_on_an_empty_agenda():
    agenda = Agenda()

    assert agenda.first is None
    assert not agenda.waiting_for(NINE)
    assert agenda.take(NINE) == []
