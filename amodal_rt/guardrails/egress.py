"""Where requests may go: configured origins only, and no address that a name should not have.

Two checks, because neither is enough. `permit` compares a URL with the origins that the
workspace's files name, before anything is sent. The session's socket factory then judges the
address of every connection at the moment of connecting, so that a literal, a name, a second
DNS answer or a redirect all meet the same table. Both are the operator's to widen, in files.

Model providers are the operator's own choice and do not pass through here.
"""

import asyncio
import re
import socket
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from types import SimpleNamespace
from typing import Self

from aiohttp import (
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
    TraceConfig,
    TraceRequestRedirectParams,
)
from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from amodal_rt import __version__
from amodal_rt.errors import DeniedError, InvalidError

SETTING = "egress.allowPrivate"
USER_AGENT = f"amodal-rt/{__version__}"

Network = IPv4Network | IPv6Network

_REFUSED: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), what)
    for network, what in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared (carrier NAT)"),
        ("127.0.0.0/8", "loopback"),
        # Azure's own host, which tells a virtual machine its secrets, at an address like others'.
        ("168.63.129.16/32", "cloud host"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::/96", "IPv4-compatible"),
        ("::ffff:0:0:0/96", "IPv4-translated"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")
_AddressInfo = tuple[int, int, int, str, tuple[object, ...]]
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?", re.ASCII)
_DEFAULT_PORTS = {"http": 80, "https": 443}
# A connection that does not come about within five seconds will not be worth its slot.
_TIMEOUT = ClientTimeout(total=60, sock_connect=5)


class AddressRefusedError(OSError):
    """Raised while connecting; aiohttp wraps it, `refusal` finds it again."""


class Egress:
    """The one way out: `permit` for the URL, then `session` for the request.

    `allow_private` names networks (CIDR, or single addresses) that may be reached although
    the table refuses them; it is empty by default, so that loopback is refused as well.
    Use as an async context manager, or call `close` at the end.
    """

    def __init__(
        self, allow_private: Sequence[str] = (), *, resolver: AbstractResolver | None = None
    ) -> None:
        self._allowed = parse_networks(allow_private)
        self._resolver = resolver
        self._session: ClientSession | None = None
        self._retired: list[ClientSession] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def configure(self, allow_private: Sequence[str]) -> None:
        """Judge new connections by this list from now on; requests under way finish.

        Raises InvalidError (`bad_network`), with the old list kept.
        """
        networks = parse_networks(allow_private)
        if networks == self._allowed:
            return
        self._allowed = networks
        # A pooled connection was judged by the old list and would be used again unjudged.
        if self._session is not None:
            self._retired.append(self._session)
            self._session = None

    def permit(self, url: str, origins: Iterable[str]) -> None:
        """Return when `url` lies on one of `origins`: same scheme, host and port.

        Origins may be whole URLs. Raises DeniedError (`egress`), also for a URL that is none.
        """
        try:
            wanted = origin_of(url)
        except InvalidError as error:
            raise DeniedError(error.message, code="egress", hint=error.hint) from None
        if wanted not in {origin_of(origin) for origin in origins}:
            raise DeniedError(
                f"{wanted} is not an origin that this workspace configures",
                code="egress",
                hint="requests go only to the origins of connections and delivery targets",
            )

    def session(self) -> ClientSession:
        """The shared client session. Ask for it at each request: a reload may change it.

        It ignores proxy variables, keeps no cookies and never follows a redirect: asked to,
        it raises DeniedError (`egress`). A refused address raises `ClientConnectorError`;
        `refusal` says so in words. Read answers through `read_limited`. Needs a running loop.
        """
        if self._session is None or self._session.closed:
            self._session = self._open()
        return self._session

    async def connect(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A TCP connection to the first address of `host`, a name or a literal, that answers.

        What was judged is what is connected to: the name is looked up once. Raises DeniedError
        (`egress`) when no address may be reached, OSError when none answers.
        """
        resolver = self._resolver or ThreadedResolver()
        found = await resolver.resolve(host, port, socket.AF_UNSPEC)
        failure: OSError = AddressRefusedError(f"{host} has no address")
        for address in dict.fromkeys(each["host"] for each in found):
            reason = self.judge(address)
            if reason is not None:
                failure = AddressRefusedError(reason)
                continue
            try:
                return await asyncio.open_connection(address, port)
            except OSError as error:
                failure = error
        raise refusal(failure) or failure

    async def close(self) -> None:
        """Close every connection. A later `session` opens anew."""
        sessions = [*self._retired, *([self._session] if self._session else [])]
        self._retired, self._session = [], None
        for session in sessions:
            await session.close()

    def judge(self, address: str) -> str | None:
        """Why `address` (textual IP) may not be reached, or None. Names the setting."""
        what = special_range(address)
        if what is None or any(_unmapped(address) in network for network in self._allowed):
            return None
        return f"{address} is a {what} address, which {SETTING} in amodal.json does not allow"

    def _open(self) -> ClientSession:
        tracing = TraceConfig()
        tracing.on_request_redirect.append(_refuse_redirect)
        return ClientSession(
            connector=TCPConnector(socket_factory=self._socket, resolver=self._resolver),
            connector_owner=True,
            cookie_jar=DummyCookieJar(),
            headers={"User-Agent": USER_AGENT},
            timeout=_TIMEOUT,
            trust_env=False,
            trace_configs=[tracing],
        )

    def _socket(self, info: _AddressInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        reason = self.judge(str(address[0]))
        if reason is not None:
            raise AddressRefusedError(reason)
        return socket.socket(family=family, type=kind, proto=protocol)


def origin_of(url: str) -> str:
    """`scheme://host[:port]` of a URL: lower case, IDNA, default ports left out.

    Raises InvalidError (`bad_url`) for anything but http and https, for user information,
    and for a host that clients read differently (spaces, percent signs, zone ids, brackets).
    """
    try:
        # The client's own parser: another one could see another host.
        parsed = URL(url)
        host, port = parsed.raw_host, parsed.port
    except (ValueError, TypeError):
        raise _bad_url("is not a URL") from None
    if any(character.isspace() or not character.isprintable() for character in url):
        raise _bad_url("contains white space or control characters")
    if parsed.scheme not in _DEFAULT_PORTS:
        raise _bad_url("is neither http nor https")
    if parsed.raw_user is not None or parsed.raw_password is not None:
        raise _bad_url("carries user information", hint="keep credentials in the connection's auth")
    if not host or not port:
        raise _bad_url("names no host and port")
    host = _plain_host(host)
    return f"{parsed.scheme}://{host}" + (
        "" if port == _DEFAULT_PORTS[parsed.scheme] else f":{port}"
    )


def special_range(address: str) -> str | None:
    """What kind of non-public address this textual IP is (`loopback`, `NAT64` …), or None."""
    ip = _unmapped(address)
    for network, what in _REFUSED:
        if ip in network:
            return what
    # Only 2000::/3 is given out; the rest has no owner who could be meant.
    return None if isinstance(ip, IPv4Address) or ip in _GLOBAL_V6 else "reserved"


def is_loopback_host(host: str) -> bool:
    """Whether a URL's host is this machine by its own words: `localhost` or a loopback literal."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return special_range(host) == "loopback"
    except ValueError:
        return False


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks from CIDR notation or single addresses. Raises InvalidError (`bad_network`)."""
    found: list[Network] = []
    for text in texts:
        try:
            found.append(ip_network(text, strict=False))
        except ValueError:
            raise InvalidError(
                f"{SETTING}: {text!r} is not a network",
                code="bad_network",
                hint="write an address or a range, such as 127.0.0.0/8 or fd00::/8",
            ) from None
    return tuple(found)


def refusal(error: BaseException) -> DeniedError | None:
    """The address guard's word inside a client error, or None when it failed otherwise."""
    # Several candidates of one name are joined to one OSError, in whose text alone the
    # guard's own error survives.
    cause = getattr(error, "os_error", error)
    if isinstance(cause, AddressRefusedError) or SETTING in str(cause):
        return DeniedError(
            f"connection refused by the egress guard: {cause}",
            code="egress",
            hint=f"add the network to {SETTING} if it is meant, such as 127.0.0.0/8",
        )
    return None


async def read_limited(response: ClientResponse, limit: int) -> tuple[bytes, bool]:
    """The body after decompression, at most `limit` bytes, and whether more was there.

    What is left over is never read: the connection is closed with it.
    """
    parts: list[bytes] = []
    room = limit + 1
    while room > 0:
        part = await response.content.read(room)
        if not part:
            break
        parts.append(part)
        room -= len(part)
    body = b"".join(parts)
    if len(body) > limit:
        response.close()
    return body[:limit], len(body) > limit


def _unmapped(address: str) -> IPv4Address | IPv6Address:
    ip = ip_address(address)
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return mapped or ip


def _plain_host(host: str) -> str:
    if ":" in host:
        try:
            return f"[{IPv6Address(host).compressed}]" if "%" not in host else _no_host()
        except ValueError:
            return _no_host()
    return host if _HOST.fullmatch(host) else _no_host()


def _no_host() -> str:
    raise _bad_url("has a host that clients may read differently")


def _bad_url(what: str, hint: str | None = None) -> InvalidError:
    # The URL itself may be a secret, as those of Slack are: it is not repeated.
    return InvalidError(f"the URL {what}", code="bad_url", hint=hint)


async def _refuse_redirect(
    _session: ClientSession, _context: SimpleNamespace, params: TraceRequestRedirectParams
) -> None:
    params.response.close()
    raise DeniedError(
        "the server answered with a redirect, which is not followed",
        code="egress",
        hint="configure the final address instead",
    )
