"""Which hosts a sandbox may reach, by the list of its profile."""

from collections.abc import Iterable
from ipaddress import ip_address

from amodal_rt.domain.profile import NetworkHost

ALL = "*"
BELOW = "*."


def find_host(host: str, port: int, allowed: Iterable[NetworkHost]) -> NetworkHost | None:
    """The entry that allows `host` at `port`, or None.

    Names are compared without case and final dot, addresses by their value; a pattern stands
    for names alone: an address must be written out, or everything be allowed. Which address a
    name leads to is not judged here.
    """
    wanted = host.lower().removesuffix(".").removeprefix("[").removesuffix("]")
    address = _address(wanted)
    for each in allowed:
        if each.port != port:
            continue
        if each.host in {ALL, address or wanted}:
            return each
        if each.host.startswith(BELOW) and address is None and _is_below(wanted, each.host[1:]):
            return each
    return None


def _is_below(name: str, ending: str) -> bool:
    return name.endswith(ending) and len(name) > len(ending)


def _address(text: str) -> str | None:
    try:
        return ip_address(text).compressed
    except ValueError:
        return None
