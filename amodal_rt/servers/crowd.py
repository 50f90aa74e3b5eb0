"""Who is connected, who is let in, and who has to make room.

Whoever can connect can hold connections open. A full house turns nobody away who has something
to say while another has nothing: the one that has been silent longest goes.
"""

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from amodal_rt.guardrails.egress import special_range

MOST = 512
"""Connections at once."""
MOST_OF_ONE = 32
"""Of them from one public address. Loopback and private addresses are where proxies stand, which
bring everybody's connections: only the whole bounds them."""

MOST_LISTENING = 2048
"""Connections that were let in and only listen: they are nobody's to make room."""


class Member(Protocol):
    """One connection."""

    def is_idle(self) -> bool:
        """Whether no request of it is in hand."""
        ...

    def is_slow(self) -> bool:
        """Whether its request is not complete, though it had its time."""
        ...

    def hang_up(self) -> None:
        """Close it now."""
        ...


def is_public(address: str) -> bool:
    """Whether one sender stands behind it, rather than a proxy of ours."""
    try:
        return special_range(address) is None
    except ValueError:
        return False


class Crowd:
    """The connections of one listener, the one that was heard least lately first."""

    def __init__(
        self,
        most: int = MOST,
        *,
        most_of_one: int = MOST_OF_ONE,
        most_listening: int = MOST_LISTENING,
        is_single: Callable[[str], bool] = is_public,
    ) -> None:
        self.most = most
        self._most_of_one = most_of_one
        self._is_single = is_single
        self._most_listening = most_listening
        self._members: dict[Member, str] = {}
        self._listening: set[Member] = set()
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._members) + len(self._listening)

    def admit(self, member: Member, address: str) -> bool:
        """Let it in, if need be in place of another; False when there is no room for it."""
        if self._counts[address] >= self._most_of_one and self._is_single(address):
            # It may have what it has, and make room among its own.
            if not self._make_room(address):
                return False
        elif len(self._members) >= self.most and not self._make_room(None):
            return False
        self._members[member] = address
        self._counts[address] += 1
        return True

    def heard(self, member: Member) -> None:
        """A whole request came: its turn to go is the last again."""
        if member in self._members:
            self._members[member] = self._members.pop(member)

    def listen(self, member: Member) -> bool:
        """It has shown who it is, and will only listen: its place is free for others. False when
        too many do."""
        if member in self._listening:
            return True
        if len(self._listening) >= self._most_listening or not self.leave(member):
            return False
        self._listening.add(member)
        return True

    def leave(self, member: Member) -> bool:
        """Forget it; False when it was not, or is no more, one of them."""
        if member in self._listening:
            self._listening.discard(member)
            return True
        address = self._members.pop(member, None)
        if address is None:
            return False
        self._counts[address] -= 1
        if not self._counts[address]:
            del self._counts[address]
        return True

    def _make_room(self, address: str | None) -> bool:
        mine = [each for each, of in self._members.items() if address in {None, of}]
        silent = next((each for each in mine if each.is_idle()), None)
        victim = silent or next((each for each in mine if each.is_slow()), None)
        if victim is None:
            return False
        self.leave(victim)
        victim.hang_up()
        return True
