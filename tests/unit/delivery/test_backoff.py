from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from amodal_rt.delivery.backoff import Verdict, next_try, parse_retry_after, verdict

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DAY = NOW + timedelta(hours=24)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((200, 201, 202, 204, 299), Verdict.DELIVERED),
        ((408, 425, 429, 500, 502, 503, 504, 599), Verdict.PASSING),
        ((300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 409, 422), Verdict.UNLIKELY),
        ((410,), Verdict.GONE),
    ],
)
def test_a_status_says_whether_trying_again_helps(
    statuses: tuple[int, ...], expected: Verdict
) -> None:
    assert {verdict(status) for status in statuses} == {expected}


@pytest.mark.parametrize(
    ("fraction", "last"), [(0.0, 21_600 * 0.8), (0.5, 21_600), (0.9999, 10_400)]
)
def test_pauses_grow_and_the_last_try_is_near_the_expiry(fraction: float, last: float) -> None:
    now, tries = NOW, [NOW]
    for attempts in range(1, 20):
        at = next_try(attempts, now=now, expires_at=DAY, fraction=fraction)
        if at is None:
            break
        tries.append(at)
        now = at

    pauses = [(after - before).total_seconds() for before, after in pairwise(tries)]
    factor = 0.8 + 0.4 * fraction
    wanted = [factor * each for each in (5, 300, 1_800, 7_200, 18_000, 36_000)]
    assert pauses[:6] == pytest.approx(wanted, rel=1e-3)
    assert pauses[6] == pytest.approx(last, rel=0.01)
    assert DAY - timedelta(hours=1) < tries[-1] < DAY


@pytest.mark.parametrize(("fraction", "seconds"), [(0.0, 240), (0.5, 300), (0.999999, 360)])
def test_a_pause_is_spread_by_a_fifth(fraction: float, seconds: int) -> None:
    at = next_try(2, now=NOW, expires_at=DAY, fraction=fraction)

    assert at is not None
    assert round((at - NOW).total_seconds()) == seconds


@pytest.mark.parametrize(("wanted", "seconds"), [(0, 1), (-5, 1), (90, 90), (80_000, 80_000)])
def test_retry_after_replaces_the_pause(wanted: int, seconds: int) -> None:
    at = next_try(1, now=NOW, expires_at=DAY, fraction=0.9, retry_after=timedelta(seconds=wanted))

    assert at == NOW + timedelta(seconds=seconds)


def test_a_retry_after_beyond_the_expiry_ends_the_message() -> None:
    late = NOW + timedelta(hours=23)
    asked = timedelta(hours=2)

    assert next_try(1, now=late, expires_at=DAY, fraction=0.5, retry_after=asked) is None
    assert next_try(1, now=DAY, expires_at=DAY, fraction=0.5) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("Mon, 02 Mar 2026 09:01:00 GMT", 60),
        ("Mon, 02 Mar 2026 09:01:00 -0000", 60),
        ("Mon, 02 Mar 2026 08:00:00 GMT", -3600),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: int) -> None:
    assert parse_retry_after(value, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "soon",
        "1.5",
        "-1",
        "٣",
        "9" * 400 + "x",
        "Wed, 21 Oct 2026 07:28:" + "9" * 30 + " GMT",
    ],
)
def test_an_unclear_retry_after_is_ignored(value: str | None) -> None:
    assert parse_retry_after(value, NOW) is None


def test_a_huge_retry_after_is_a_day_at_most() -> None:
    asked = parse_retry_after("9" * 400, NOW)

    at = next_try(1, now=NOW, expires_at=NOW + timedelta(days=3), fraction=0.5, retry_after=asked)
    assert at == DAY
