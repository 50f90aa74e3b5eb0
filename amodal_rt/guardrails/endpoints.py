"""The parts of a request that a model may choose, and the tricks that they may not hold."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from amodal_rt.errors import DeniedError

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})

_ALLOWED_PATH = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,;=:@%/\[\]{}|\"^` \u0080-\U0010ffff]*")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}")
_RESERVED_HEADERS = frozenset({
    "authorization", "proxy-authorization", "authentication", "host", "cookie", "cookie2",
    "set-cookie", "connection", "keep-alive", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade", "content-length", "expect", "forwarded", "via",
    "idempotency-key", "accept-encoding", "content-encoding",
})  # fmt: skip
_RESERVED_PREFIXES = ("x-forwarded-", "x-original-", "x-rewrite-", "x-real-", "proxy-", "sec-")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path without tricks, and the parameters that stood in its query."""

    path: str
    params: tuple[tuple[str, str], ...] = ()


def parse_endpoint(text: str) -> Endpoint:
    """The endpoint as it will be appended to the connection's base URL.

    Raises DeniedError (`bad_endpoint`) for anything that another parser could read as
    another place: an absolute URL, `//`, `.` and `..` (encoded too), a backslash, an encoded
    slash, user information, a fragment, control characters.
    """
    if not text.startswith("/"):
        kind = "an absolute URL" if "://" in text else "not a path that begins with /"
        raise _denied(f"is {kind}")
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise _denied("contains control characters")
    path, _, query = text.partition("?")
    if "#" in text:
        raise _denied("contains a fragment")
    if not _ALLOWED_PATH.fullmatch(path):
        raise _denied("contains characters that are not part of a path")
    # Twice, because a proxy on the way may decode once more than the server's router.
    decoded = unquote(unquote(path))
    if decoded.count("/") != path.count("/") or "\\" in decoded or "//" in decoded:
        raise _denied("contains an encoded or doubled slash, or a backslash")
    segments = (segment.partition(";")[0].strip() for segment in decoded.split("/"))
    if any(segment in {".", ".."} for segment in segments):
        raise _denied("climbs out of its folder")
    if any(ord(character) < 32 or ord(character) == 127 for character in decoded):
        raise _denied("contains encoded control characters")
    return Endpoint(path, tuple(parse_qsl(query, keep_blank_values=True)))


def check_method(method: str) -> str:
    """The method in capitals. Raises DeniedError (`bad_method`) for any but the usual seven."""
    upper = method.strip().upper()
    if upper not in METHODS:
        raise DeniedError(
            f"{method[:40]!r} is not a method that requests may have",
            code="bad_method",
            hint=", ".join(sorted(METHODS)),
        )
    return upper


def check_headers(headers: Mapping[str, str], reserved: frozenset[str] = frozenset()) -> None:
    """Raise DeniedError (`bad_header`) for a header that a model may not choose.

    These are proofs of identity (`reserved` names the connection's own, in lower case), the
    host, cookies, what belongs to one hop, and anything that is not one header line.
    """
    for name, value in headers.items():
        # Servers behind CGI cannot tell `_` from `-`.
        lower = name.strip().lower().replace("_", "-")
        if not _TOKEN.fullmatch(name):
            raise _header(name, "is not a header name")
        if any(character in value for character in "\r\n\0"):
            raise _header(name, "contains a line break")
        if lower in _RESERVED_HEADERS or lower in reserved or lower.startswith(_RESERVED_PREFIXES):
            raise _header(name, "is set by the runtime alone")


def _denied(what: str) -> DeniedError:
    return DeniedError(
        f"the endpoint {what}",
        code="bad_endpoint",
        hint="give a plain path below the connection's base URL, such as /v1/items",
    )


def _header(name: str, what: str) -> DeniedError:
    return DeniedError(f"the header {name[:60]!r} {what}", code="bad_header")
