"""How deep a chain of runs is, told over roads that leave the process.

A run may start others: its agent posts to a webhook of this runtime, its result is delivered
to one, an MCP server that it started runs `ops automations trigger`. Each of these carries a
token that names the run and its depth, sealed under the workspace's key: nobody can make one
up, and taking an old one along only makes a chain end earlier. It goes to this runtime's own
addresses and child processes, and nowhere else.
"""

import hashlib
import hmac
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address

from yarl import URL

from amodal_rt.domain.cause import Cause
from amodal_rt.errors import InvalidError
from amodal_rt.guardrails.egress import is_loopback_host, origin_of
from amodal_rt.ids import base32

HEADER = "Amodal-Rt-Cause"
"""Of requests to this runtime's own webhooks and control socket."""
VARIABLE = "AMODAL_RT_CAUSE"
"""In the environment of MCP servers that are child processes."""
META = "amodal-rt/cause"
"""In `_meta` of calls to MCP servers on this machine."""

_PURPOSE = b"amodal-rt cause 1"
_SHAPE = re.compile(r"(?P<depth>[0-9]{1,4})\.(?P<run>run_[0-9a-z]{16}|-)\.(?P<seal>[0-9a-z]{26})")


class Causes:
    """Makes and reads tokens under `key`; `is_own` says whether a URL is this runtime's."""

    def __init__(self, key: bytes, is_own: Callable[[str], bool]) -> None:
        self._key = hmac.new(key, _PURPOSE, hashlib.sha256).digest()
        self._is_own = is_own

    def token(self, cause: Cause) -> str:
        """The cause with its seal: printable, without spaces."""
        told = f"{cause.depth}.{cause.run_id or '-'}"
        return f"{told}.{self._seal(told)}"

    def read(self, texts: Sequence[str]) -> Cause | None:
        """The deepest genuine one; what is not genuine does not count."""
        if not texts:
            return None
        found = [cause for text in texts if (cause := self._read(text)) is not None]
        return max(found, key=lambda cause: cause.depth, default=None)

    def is_own(self, url: str) -> bool:
        """Whether a request to `url` comes back to this runtime."""
        return self._is_own(url)

    def headers(self, url: str, cause: Cause) -> Mapping[str, str]:
        """What a request to `url` carries: nothing where the URL is somebody else's."""
        return {HEADER: self.token(cause)} if self._is_own(url) else {}

    def _read(self, text: str) -> Cause | None:
        found = _SHAPE.fullmatch(text.strip())
        if found is None:
            return None
        told = f"{found['depth']}.{found['run']}"
        if not hmac.compare_digest(self._seal(told), found["seal"]):
            return None
        run_id = None if found["run"] == "-" else found["run"]
        return Cause(depth=int(found["depth"]), run_id=run_id)

    def _seal(self, told: str) -> str:
        return base32(hmac.new(self._key, told.encode(), hashlib.sha256).digest()[:16])


def reaches(url: str, base: str) -> bool:
    """Whether `url` leads to the server at `base` on this machine, by another name of it too."""
    try:
        if origin_of(url) == origin_of(base):
            return True
    except InvalidError:
        return False
    wanted, bound = URL(url), URL(base)
    if (wanted.scheme, wanted.port) != (bound.scheme, bound.port):
        return False
    host = wanted.host or ""
    # A door that is open on every address is known by its loopback one.
    return is_loopback_host(bound.host or "") and (is_loopback_host(host) or _is_here(host))


def _is_here(host: str) -> bool:
    """Whether the name or address literal is this machine's own."""
    if host == socket.gethostname():
        return True
    try:
        family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
            return True
    except (ValueError, OSError):
        return False
