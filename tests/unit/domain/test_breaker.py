"""When a target is left alone, and when it is tried again."""

from datetime import UTC, datetime, timedelta

import pytest

from amodal_rt.domain.breaker import (
    FEWEST,
    FIRST_PAUSE,
    IN_A_ROW,
    LEAST_TRIES,
    LONGEST_PAUSE,
    PATIENCE,
    WINDOW,
    Breaker,
    BreakerState,
    Health,
    Try,
    after,
    on_trial,
)
from amodal_rt.domain.delivery import Format, Target, TargetType
from amodal_rt.domain.secret import SecretRef

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def tried(health: Health, at: datetime = NOW) -> Try:
    error = None if health is Health.GOOD else "HTTP 503"
    return Try(target="webhook env:U", label="#ops", health=health, at=at, error=error)


def over(words: str, *, step: timedelta = SECOND, known: Breaker | None = None) -> Breaker | None:
    """The breaker after tries in a row: `+` is good, `-` bad, `x` gone."""
    kinds = {"+": Health.GOOD, "-": Health.BAD, "x": Health.GONE}
    for number, word in enumerate(words):
        known = after(known, tried(kinds[word], NOW + number * step))
    return known


def state(words: str, step: timedelta = SECOND) -> BreakerState | None:
    found = over(words, step=step)
    return found.state if found else None


@pytest.mark.parametrize("words", ["", "+", "++++"])
def test_a_target_that_is_well_has_none(words: str) -> None:
    assert over(words) is None


def test_failures_in_a_row_open_it() -> None:
    assert state("-" * (IN_A_ROW - 1)) is BreakerState.CLOSED
    assert state("-" * IN_A_ROW) is BreakerState.OPEN


def test_a_good_one_between_begins_the_row_anew() -> None:
    assert state("----+----") is BreakerState.CLOSED


def test_more_than_half_of_at_least_ten_tries_open_it() -> None:
    assert FEWEST == 10
    assert state("--+--+--+") is BreakerState.CLOSED
    assert state("--+--+--+-") is BreakerState.OPEN
    assert state("-++-+-+-+-+-+") is BreakerState.CLOSED


def test_tries_outside_the_window_do_not_count() -> None:
    spread = WINDOW / 5
    assert state("--+--+--+-", step=spread) is BreakerState.CLOSED


def test_only_good_ones_within_the_window_make_it_well() -> None:
    known = over("-+")
    assert known is not None
    assert after(known, tried(Health.GOOD, NOW + WINDOW + SECOND)) is None


def test_it_holds_for_a_minute_and_then_lets_one_through() -> None:
    opened = over("-" * IN_A_ROW)
    assert opened is not None
    assert opened.open_until is not None
    until = opened.open_until
    assert until == opened.changed_at + FIRST_PAUSE
    assert opened.holds(until - SECOND)
    assert not opened.holds(until)

    trial = on_trial(opened, until)
    assert trial.state is BreakerState.HALF_OPEN
    assert trial.holds(until)
    assert not trial.holds(until + FIRST_PAUSE)


def test_a_trial_that_arrives_closes_it_and_one_that_fails_doubles_the_pause() -> None:
    known = over("-" * IN_A_ROW)
    pauses: list[timedelta] = []
    for _ in range(7):
        assert known is not None
        assert known.open_until is not None
        pauses.append(known.open_until - known.changed_at)
        known = after(on_trial(known, known.open_until), tried(Health.BAD, known.open_until))

    assert pauses[:4] == [FIRST_PAUSE * factor for factor in (1, 2, 4, 8)]
    assert pauses[-1] == LONGEST_PAUSE
    assert known is not None
    assert after(on_trial(known, NOW), tried(Health.GOOD)) is None


def test_a_late_failure_of_what_was_under_way_does_not_lengthen_the_pause() -> None:
    opened = over("-" * IN_A_ROW)
    assert opened is not None
    later = after(opened, tried(Health.BAD, opened.changed_at + 5 * SECOND))

    assert later is not None
    assert (later.open_until, later.opened) == (opened.open_until, 1)


def test_a_clock_that_was_set_back_does_not_keep_it_open() -> None:
    opened = over("-" * IN_A_ROW)
    assert opened is not None

    assert not opened.holds(NOW - timedelta(days=1))


def test_gone_disables_at_once_and_a_failure_changes_nothing_then() -> None:
    gone = over("x")
    assert gone is not None
    assert gone.state is BreakerState.DISABLED
    assert gone.holds(NOW + timedelta(days=300))
    assert state("x-") is BreakerState.DISABLED
    assert state("x+") is None


def test_five_days_of_nothing_but_failure_disable_it() -> None:
    step = PATIENCE / 20
    assert state("-" * 20, step=step) is not BreakerState.DISABLED
    assert state("-" * 21, step=step) is BreakerState.DISABLED
    assert state("-" * 10 + "+" + "-" * 15, step=step) is not BreakerState.DISABLED


def test_a_few_tries_in_five_days_are_too_few_to_disable() -> None:
    assert state("-" * (LEAST_TRIES - 1), step=PATIENCE) is BreakerState.OPEN


def test_a_target_is_the_same_whatever_its_label_and_its_key_holds_no_secret() -> None:
    def hook(url: str | SecretRef, label: str = "a", form: Format = Format.JSON) -> Target:
        return Target(type=TargetType.WEBHOOK, label=label, url=url, format=form)

    secret = "https://hooks.example/services/T0/SECRET"
    assert hook(secret).key == hook(secret, "b", Format.SLACK).key
    assert hook(secret).key != hook(secret + "2").key
    assert "SECRET" not in hook(secret).key
    assert "hooks.example" in hook(secret).key
    assert hook(SecretRef("OPS")).key == "webhook env:OPS"
    assert Target(type=TargetType.CALLBACK, label="x", name="ui").key == "callback ui"
    assert Target(type=TargetType.CALLBACK, label="x").key == "callback"
