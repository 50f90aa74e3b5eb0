"""What callers ask with is checked once, for every door."""

from datetime import UTC, datetime

import pytest

from amodal_rt.errors import AmodalError, InvalidError
from amodal_rt.operations import asked

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(("text", "count"), [(None, 50), ("", 50), ("1", 1), (1000, 1000)])
def test_a_limit_is_a_number_of_rows(text: str | int | None, count: int) -> None:
    assert asked.limit(text) == count


@pytest.mark.parametrize("text", ["0", "-1", "1001", "ten", "1e3"])
def test_other_limits_are_refused(text: str) -> None:
    with pytest.raises(InvalidError) as caught:
        asked.limit(text)

    assert caught.value.code == "bad_limit"


@pytest.mark.parametrize(
    ("text", "hour"),
    [("2026-03-01T09:00:00Z", 9), ("2026-03-01T10:00:00+01:00", 9), ("3h", 9), ("180m", 9)],
)
def test_an_instant_is_iso_or_an_age(text: str, hour: int) -> None:
    assert asked.instant(text, now=NOW) == datetime(2026, 3, 1, hour, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-03-01T09:00:00", "yesterday", "999999999999999d", "-3h"])
def test_other_instants_are_refused(text: str) -> None:
    with pytest.raises(InvalidError) as caught:
        asked.instant(text, now=NOW)

    assert caught.value.code == "bad_instant"


def test_an_unknown_status_names_the_known_ones() -> None:
    with pytest.raises(AmodalError) as caught:
        asked.run_status("done")

    assert caught.value.code == "bad_status"
    assert "completed" in caught.value.message
