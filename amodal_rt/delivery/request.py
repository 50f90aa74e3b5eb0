"""One message as one HTTP request, and the answer as far as it matters."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import ClientError, ClientSession, ClientTimeout
from yarl import URL

from amodal_rt.clock import Clock
from amodal_rt.delivery.payload import cut_to
from amodal_rt.delivery.standard_webhooks import sign, signing_key
from amodal_rt.domain.delivery import Format, OutboxMessage
from amodal_rt.guardrails.egress import USER_AGENT, read_limited

SECONDS = 10.0
"""How long one attempt may take, from the connection to the answer."""
_ANSWER_LIMIT = 65_536
_SLACK_LIMIT = 40_000
_DISCORD_LIMIT = 2_000
_SUPPRESS_EMBEDS = 1 << 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A message, ready to be posted."""

    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The head of an HTTP answer, and the beginning of a refusal's body on one line."""

    status: int
    retry_after: str | None
    excerpt: str

    def sentence(self) -> str:
        """`HTTP 404 Not Found: no_service`."""
        try:
            named = f"HTTP {self.status} {HTTPStatus(self.status).phrase}"
        except ValueError:
            named = f"HTTP {self.status}"
        return f"{named}: {self.excerpt}" if self.excerpt else named


def build_request(
    message: OutboxMessage, *, url: str, secret: str | None, timestamp: int
) -> Request:
    """The request of one attempt at `timestamp` (Unix seconds).

    `webhook-id` is the same for all attempts; timestamp and signature are each attempt's
    own. Raises InvalidError (`bad_secret`).
    """
    body = json.dumps(_document(message), ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "replace"
    )
    headers = {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": message.delivery_id,
        "webhook-timestamp": str(timestamp),
    }
    if secret is not None:
        headers["webhook-signature"] = sign(
            signing_key(secret), message_id=message.delivery_id, timestamp=timestamp, body=body
        )
    return Request(url=url, headers=headers, body=body)


async def post(session: ClientSession, request: Request, clock: Clock) -> Answer:
    """Send it and return the answer; a redirect is an answer like any other.

    Raises `aiohttp.ClientError`, `OSError` or `TimeoutError` when none came in time. Once
    a status is known, what becomes of the rest of the answer no longer matters.
    """
    answer: Answer | None = None
    try:
        async with (
            clock.deadline(SECONDS),
            session.post(
                request.url,
                data=request.body,
                headers=request.headers,
                allow_redirects=False,
                timeout=ClientTimeout(total=None, sock_connect=5),
            ) as response,
        ):
            answer = Answer(
                status=response.status,
                retry_after=response.headers.get("Retry-After"),
                excerpt="",
            )
            body, _ = await read_limited(response, _ANSWER_LIMIT)
            if not 200 <= answer.status < 300:
                excerpt = _one_line(body, URL(request.url))
                answer = Answer(
                    status=answer.status, retry_after=answer.retry_after, excerpt=excerpt
                )
    except (ClientError, OSError, TimeoutError):
        if answer is None:
            raise
    return answer


def _document(message: OutboxMessage) -> Mapping[str, object]:
    if message.target.format is Format.JSON:
        return message.body
    # Both refuse an empty text.
    text = str(message.body.get("text") or "").strip()
    text = text or f"{message.automation}: nothing to report"
    if message.target.format is Format.DISCORD:
        return {
            "content": cut_to(text, _DISCORD_LIMIT),
            "allowed_mentions": {"parse": list[str]()},
            "flags": _SUPPRESS_EMBEDS,
        }
    # Slack cuts a longer one without a word. Where a stranger may have written the path of a link,
    # nobody follows it to draw a preview.
    previews = bool(message.body.get("tainted")) and "://" in text
    still = {"unfurl_links": False, "unfurl_media": False} if previews else {}
    return {"text": text[:_SLACK_LIMIT], **still}


def hide_url(text: str, url: URL) -> str:
    """`text` without the parts of `url` that may be a secret: its path and its query.

    Servers and error messages like to repeat them.
    """
    parts = {str(url), url.raw_path_qs, url.path_qs, url.raw_query_string, *url.query.values()}
    parts |= {*url.parts, *url.raw_parts}
    for part in sorted((part for part in parts if len(part) >= 4), key=len, reverse=True):
        text = text.replace(part, "…")
    return text


def _one_line(body: bytes, url: URL) -> str:
    text = hide_url(body.decode("utf-8", "replace"), url)
    shown = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(shown.split())
