"""Who makes room for whom."""

from dataclasses import dataclass

import pytest

from amodal_rt.servers.crowd import Crowd, is_public


@dataclass(eq=False)
class Someone:
    idle: bool = False
    slow: bool = False
    gone: bool = False

    def is_idle(self) -> bool:
        return self.idle

    def is_slow(self) -> bool:
        return self.slow

    def hang_up(self) -> None:
        self.gone = True


def test_the_longest_silent_goes_first_and_who_is_heard_goes_last() -> None:
    crowd = Crowd(2)
    first, second, third = Someone(idle=True), Someone(idle=True), Someone()
    assert crowd.admit(first, "a")
    assert crowd.admit(second, "b")
    crowd.heard(first)
    assert crowd.admit(third, "c")
    assert (first.gone, second.gone, len(crowd)) == (False, True, 2)


def test_who_is_slow_goes_only_where_nobody_is_silent() -> None:
    crowd = Crowd(2)
    slow, idle = Someone(slow=True), Someone(idle=True)
    for each in (slow, idle):
        assert crowd.admit(each, "a")
    assert crowd.admit(Someone(), "a")
    assert (slow.gone, idle.gone) == (False, True)
    assert crowd.admit(Someone(), "a")
    assert slow.gone
    assert not crowd.admit(Someone(), "a")


def test_one_address_makes_room_among_its_own() -> None:
    crowd = Crowd(10, most_of_one=2)
    other, busy, idle = Someone(idle=True), Someone(), Someone(idle=True)
    assert crowd.admit(other, "8.8.4.4")
    assert crowd.admit(busy, "8.8.8.8")
    assert crowd.admit(idle, "8.8.8.8")
    assert crowd.admit(Someone(), "8.8.8.8")
    assert (other.gone, idle.gone) == (False, True)
    assert not crowd.admit(Someone(), "8.8.8.8")
    assert crowd.leave(busy)
    assert not crowd.leave(busy)
    assert crowd.admit(Someone(), "8.8.8.8")


def test_a_proxy_of_ours_brings_as_many_as_there_is_room_for() -> None:
    crowd = Crowd(50, most_of_one=2)
    assert all(crowd.admit(Someone(), "127.0.0.1") for _ in range(25))
    assert all(crowd.admit(Someone(), "10.0.0.7") for _ in range(25))


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2600::1", True), ("::ffff:8.8.8.8", True), ("127.0.0.1", False),
        ("::1", False), ("10.1.2.3", False), ("fd00::1", False), ("", False), ("unix", False),
    ],
)  # fmt: skip
def test_which_address_is_one_senders(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_who_only_listens_takes_no_place_and_makes_no_room() -> None:
    crowd = Crowd(1, most_listening=1)
    listener, second, third = Someone(idle=True), Someone(), Someone()
    assert crowd.admit(listener, "a")
    assert crowd.listen(listener)

    assert crowd.admit(second, "b")
    assert not crowd.admit(third, "c")
    assert not crowd.listen(second)
    assert not listener.gone
    assert len(crowd) == 2


def test_a_listener_that_left_leaves_its_place_to_another() -> None:
    crowd = Crowd(2, most_listening=1)
    first, second = Someone(), Someone()
    for each in (first, second):
        crowd.admit(each, "203.0.113.7")
    crowd.listen(first)

    assert crowd.leave(first)
    assert not crowd.leave(first)
    assert crowd.listen(second)
    assert len(crowd) == 1
