"""Why a request got no answer, in words for the person who has to put it right."""

import errno
import os

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientPayloadError,
    ClientSSLError,
    ServerDisconnectedError,
)

_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    # The first that fits: what is more particular comes before what it is a kind of.
    (ClientConnectorDNSError, "its host name is not known"),
    (ClientConnectorCertificateError, "its certificate is not valid for it"),
    (ClientSSLError, "TLS could not be agreed"),
    (ServerDisconnectedError, "it hung up before it answered"),
    (ClientPayloadError, "it broke off in the middle of its answer"),
    (TimeoutError, "it took too long"),
)
_NUMBERS = {
    errno.ECONNREFUSED: "connection refused: nothing listens there",
    errno.ECONNRESET: "it hung up before it answered",
}


def words_for(error: BaseException) -> str:
    """What went wrong on the way. No host and no URL, which may hold a secret."""
    for kind, words in _WORDS:
        if isinstance(error, kind):
            return words
    number = getattr(getattr(error, "os_error", error), "errno", None)
    if isinstance(number, int) and number > 0:
        return _NUMBERS.get(number) or os.strerror(number).lower()
    return type(error).__name__
