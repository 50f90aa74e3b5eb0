"""When a server that keeps ending is started again."""

from amodal_rt.executors.acting.mcp_falls import Falls
from amodal_rt.testing.clock import FakeClock

PLACE = ("tools", 0)


def test_two_ends_are_forgiven_and_more_cost_time_that_doubles_to_a_minute() -> None:
    falls = Falls(FakeClock())
    pauses: list[float] = []
    for _ in range(10):
        falls.begin(PLACE)
        falls.note(PLACE, "key")
        pauses.append(falls.patience(PLACE, "key"))

    assert pauses == [0, 0, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_changed_server_has_no_past() -> None:
    falls = Falls(FakeClock())
    for _ in range(5):
        falls.begin(PLACE)
        falls.note(PLACE, "key")

    assert falls.patience(PLACE, "other") == 0
    assert falls.patience(("other", 0), "key") == 0


async def test_a_server_that_lived_for_long_is_started_at_once() -> None:
    clock = FakeClock()
    falls = Falls(clock)
    for _ in range(5):
        falls.begin(PLACE)
        falls.note(PLACE, "key")
    falls.begin(PLACE)
    await clock.advance(61)
    falls.note(PLACE, "key")

    assert falls.patience(PLACE, "key") == 0
