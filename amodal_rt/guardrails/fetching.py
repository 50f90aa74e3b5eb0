"""Small documents that files name by their URL."""

from aiohttp import ClientError, ClientTimeout

from amodal_rt.clock import Clock
from amodal_rt.errors import UnavailableError
from amodal_rt.guardrails.egress import Egress, read_limited, refusal
from amodal_rt.guardrails.unreached import words_for

SECONDS = 3.0
"""Whoever asks has a sender waiting, who gives up soon after."""


async def fetch(egress: Egress, clock: Clock, url: str, *, limit: int) -> bytes:
    """What stands at `url`, at most `limit` bytes of it.

    Raises DeniedError (`egress`) for an address that may not be reached, UnavailableError for
    any other answer than 200, one that is too large, or none; TimeoutError.
    """
    egress.permit(url, [url])
    try:
        async with (
            clock.deadline(SECONDS),
            egress.session().get(
                url, allow_redirects=False, timeout=ClientTimeout(total=None, sock_connect=SECONDS)
            ) as response,
        ):
            body, cut = await read_limited(response, limit)
    except (ClientError, OSError) as error:
        if isinstance(error, TimeoutError):
            raise
        denied = refusal(error)
        message = denied.message if denied else f"it cannot be reached: {words_for(error)}"
        raise denied or UnavailableError(message) from None
    if response.status != 200 or cut:
        said = f"it answered {response.status}" if not cut else f"it has over {limit:,} bytes"
        raise UnavailableError(said)
    return body
