"""How often somebody may fail to sign in."""

import pytest

from amodal_rt.errors import DeniedError
from amodal_rt.servers.dashboard.tries import MOST, SECONDS, Tries
from amodal_rt.testing.clock import FakeClock


async def test_after_too_many_failures_an_address_waits_a_minute() -> None:
    clock = FakeClock()
    tries = Tries(clock)
    for _ in range(MOST):
        tries.require_room("203.0.113.7")
        tries.failed("203.0.113.7")

    with pytest.raises(DeniedError) as refused:
        tries.require_room("203.0.113.7")
    tries.require_room("203.0.113.8")
    await clock.advance(SECONDS)
    tries.require_room("203.0.113.7")

    assert refused.value.code == "too_many_tries"


def test_very_many_addresses_are_not_all_remembered() -> None:
    tries = Tries(FakeClock())

    for number in range(5000):
        tries.failed(f"2001:db8::{number:x}")

    assert len(tries._failures) == 1024
