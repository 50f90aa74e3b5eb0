"""Machines of one kernel: network namespaces on two bridges.

One bridge leads to the database, the other to the rest of the world, so that a node can be
cut off from its ledger and still reach what its agents write to: the case that fencing is for.
"""

import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from needs import missing, need_root, need_tools

_numbers = itertools.count()


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


@dataclass(frozen=True)
class Machine:
    """A namespace with one cable to each bridge."""

    name: str
    address: str
    """Its own in the world."""

    def command(self, *words: str) -> list[str]:
        """How to run a program there; the process is the program's own."""
        return ["ip", "netns", "exec", self.name, *words]

    def cut(self) -> None:
        """Pull the cable to the database: packets vanish, nobody is told."""
        _ip("-n", self.name, "link", "set", "db", "down")

    def mend(self) -> None:
        """Put it back."""
        _ip("-n", self.name, "link", "set", "db", "up")


@dataclass(frozen=True)
class Network:
    """Two bridges and the machines on them."""

    database: str
    """This kernel's own address on the bridge to the database."""
    world: str
    """And on the other one."""
    machines: tuple[Machine, ...]


def need_namespaces() -> None:
    """Skip, visibly, where there can be none."""
    need_root("network namespaces are root's to make")
    need_tools(["ip"], hint="on Debian: iproute2")
    try:
        with network(1):
            pass
    except OSError as error:
        missing(f"no network namespaces here ({error})")


@contextmanager
def network(count: int) -> Iterator[Network]:
    """`count` machines, gone with the context."""
    tag = f"{os.getpid() % 100_000}{next(_numbers) % 100:02}"
    first = 20 + os.getpid() % 200
    third = next(_numbers) % 250
    bridges = {
        "db": (f"ad{tag}", f"10.{first}.{third}"),
        "out": (f"ao{tag}", f"10.{first + 1}.{third}"),
    }
    made = []
    try:
        for bridge, prefix in bridges.values():
            _ip("link", "add", bridge, "type", "bridge")
            made.append(("link", "del", bridge))
            _ip("addr", "add", f"{prefix}.1/24", "dev", bridge)
            _ip("link", "set", bridge, "up")
        machines = []
        for number in range(count):
            name = f"am{tag}{number}"
            _ip("netns", "add", name)
            made.append(("netns", "del", name))
            _ip("-n", name, "link", "set", "lo", "up")
            for cable, (bridge, prefix) in bridges.items():
                outer = f"{cable[0]}{tag}{number}"
                _ip("link", "add", outer, "type", "veth", "peer", "name", cable, "netns", name)
                _ip("link", "set", outer, "master", bridge, "up")
                _ip("-n", name, "addr", "add", f"{prefix}.{number + 10}/24", "dev", cable)
                _ip("-n", name, "link", "set", cable, "up")
            machines.append(Machine(name, f"{bridges['out'][1]}.{number + 10}"))
        yield Network(f"{bridges['db'][1]}.1", f"{bridges['out'][1]}.1", tuple(machines))
    finally:
        for words in reversed(made):
            with suppress(OSError):
                _ip(*words)
