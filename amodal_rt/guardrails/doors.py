"""What a request over TCP must show before anything else of it counts.

A page in somebody's browser can send requests here without being able to read the answers, and
a name that it owns can be made to point to this machine. So a request must have been meant for
this server (`Host`), and must not come from another page (`Origin`).
"""

import socket
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from amodal_rt.guardrails.egress import is_loopback_host

_LONGEST = 256


def host_allowed(hosts: Sequence[str], public_url: str | None) -> bool:
    """Whether the request was meant for us: an address literal, a name of this machine, or that
    of `publicUrl`. Exactly one `Host` header."""
    name = _name(hosts[0]) if len(hosts) == 1 else None
    if name is None:
        return False
    if _is_address(name) or is_loopback_host(name) or name == socket.gethostname().lower():
        return True
    return public_url is not None and name == _name_of(public_url)


def origin_allowed(origins: Sequence[str], own: Sequence[str | None]) -> bool:
    """Whether no page sent the request, or one of ours: `own` are the URLs that we are at."""
    if not origins:
        return True
    known = {_origin(url) for url in own if url}
    return len(origins) == 1 and _origin(origins[0]) in known - {None}


def bearer_of(values: Sequence[str]) -> str | None:
    """The token of the one `Authorization: Bearer …` header, or None."""
    scheme, _, token = (values[0] if len(values) == 1 else "").partition(" ")
    return key_of([token]) if scheme.lower() == "bearer" else None


def key_of(values: Sequence[str]) -> str | None:
    """The token of the one header that holds nothing else, or None."""
    token = values[0].strip() if len(values) == 1 else ""
    right = token.isascii() and token.isprintable() and 0 < len(token) <= _LONGEST
    return token if right else None


def _name(host: str) -> str | None:
    """The name or address of `NAME`, `NAME:PORT` or `[ADDRESS]:PORT`, in lower case."""
    return _name_of(f"//{host}") if host.isascii() and not set(host) & set("/?#@\\ ") else None


def _name_of(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
        return parts.hostname.lower().rstrip(".") if parts.hostname else None
    except ValueError:
        return None


def _origin(url: str) -> tuple[str, str, int | None] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname.lower(), port) if parts.hostname else None


def _is_address(name: str) -> bool:
    try:
        ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
