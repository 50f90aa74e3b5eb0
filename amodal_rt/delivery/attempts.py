"""One attempt to deliver one message: everything between claiming and settling."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from aiohttp import ClientError, ClientResponseError
from yarl import URL

from amodal_rt import failpoints
from amodal_rt.clock import Clock
from amodal_rt.delivery.backoff import (
    FEW,
    LONGEST_FOR_ALERTS,
    Verdict,
    next_try,
    parse_retry_after,
    verdict,
)
from amodal_rt.delivery.callbacks import Callbacks
from amodal_rt.delivery.request import SECONDS, build_request, hide_url, post
from amodal_rt.domain.breaker import Health
from amodal_rt.domain.delivery import (
    Attempt,
    AttemptResult,
    DeliveryRecord,
    MessageKind,
    OutboxMessage,
    TargetType,
    digest,
)
from amodal_rt.domain.secret import SecretRef, Text
from amodal_rt.errors import AmodalError, InvalidError, NotFoundError
from amodal_rt.guardrails.egress import Egress, is_loopback_host, refusal
from amodal_rt.ids import Ids
from amodal_rt.logs import Log
from amodal_rt.ports import Catalogue

Mask = Callable[[str], str]
Marks = Callable[[str, OutboxMessage], Awaitable[Mapping[str, str]]]
"""Headers of ours for a message to that URL, by which this runtime knows a run of its own."""

Fill = Callable[[OutboxMessage], Awaitable[OutboxMessage]]
"""Adds to a message what may not be kept. Raises AmodalError for what may pass."""

_ERROR = 500
"""How much is kept of why an attempt failed."""

_log = Log("delivery")


@dataclass(frozen=True, slots=True)
class _Answer:
    verdict: Verdict | None
    error: str | None = None
    retry_after: timedelta | None = None
    health: Health | None = None
    address: str | None = None


_HEALTH = {Verdict.DELIVERED: Health.GOOD, Verdict.GONE: Health.GONE}


_ONLY_LOOPBACK = _Answer(None, "a rehearsal is delivered to loopback only")


async def unmarked(url: str, message: OutboxMessage) -> Mapping[str, str]:
    """No headers: where no URL leads back to this runtime."""
    return {}


async def as_it_is(message: OutboxMessage) -> OutboxMessage:
    """The message: where nothing is added to it when it leaves."""
    return message


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """Tries messages. URL and secret are resolved at each attempt, never before.

    `mask` hides secrets in what a server or a callback says.
    """

    catalogue: Catalogue
    egress: Egress
    callbacks: Callbacks
    clock: Clock
    ids: Ids
    mask: Mask
    marks: Marks = unmarked
    fill: Fill = as_it_is

    async def make(self, record: DeliveryRecord) -> Attempt:
        """Try once and say what follows. Raises nothing but cancellation."""
        message = record.message
        try:
            failpoints.hit("delivery.before_send")
            answer = await self._send(await self.fill(message))
            failpoints.hit("delivery.after_send")
        except (AmodalError, ClientError, OSError, TimeoutError) as error:
            answer = _Answer(Verdict.PASSING, _describe(error))
        # No message may be lost to a defect of ours.
        except Exception as error:  # noqa: BLE001
            _log.exception("delivery.failed", error, delivery=message.delivery_id)
            answer = _Answer(Verdict.PASSING, f"{type(error).__name__}: {error}")
        return self._conclude(record, answer)

    async def _send(self, message: OutboxMessage) -> _Answer:
        if message.target.type is TargetType.CALLBACK:
            return await self._call(message)
        url = self._resolve(message.target.url)
        if message.rehearsed and not is_loopback_host(_host(url)):
            return _ONLY_LOOPBACK
        self.egress.permit(url, [url])
        secret = message.target.secret
        request = build_request(
            message,
            url=url,
            secret=None if secret is None else self._resolve(secret),
            timestamp=int(self.clock.now().timestamp()),
        )
        request = replace(request, headers={**request.headers, **await self.marks(url, message)})
        try:
            answer = await post(self.egress.session(), request, self.clock)
        except (ClientError, OSError, TimeoutError) as error:
            said = hide_url(_describe(error), URL(url))
            # An address that our own guard refuses says nothing about who lives there.
            health = None if refusal(error) else Health.BAD
            return _Answer(Verdict.PASSING, said, health=health, address=digest(url))
        found = verdict(answer.status)
        delivered, passing = found is Verdict.DELIVERED, found is Verdict.PASSING
        return _Answer(
            found,
            None if delivered else answer.sentence(),
            parse_retry_after(answer.retry_after, self.clock.now()) if passing else None,
            health=_HEALTH.get(found, Health.BAD),
            address=digest(url),
        )

    async def _call(self, message: OutboxMessage) -> _Answer:
        try:
            self.callbacks.get(message.target.name)
        except NotFoundError as error:
            # Nobody will register one while this program runs: a retry would only hide it.
            return _Answer(Verdict.GONE, error.message)
        try:
            async with self.clock.deadline(SECONDS):
                await self.callbacks.call(message.target.name, message.body)
        except TimeoutError as error:
            return _Answer(Verdict.PASSING, _describe(error), health=Health.BAD)
        # A callback may raise anything, and no message may be lost to it.
        except Exception as error:  # noqa: BLE001
            said = f"{type(error).__name__}: {error}"
            _log.exception("delivery.callback_failed", error, delivery=message.delivery_id)
            return _Answer(Verdict.PASSING, said, health=Health.BAD)
        return _Answer(Verdict.DELIVERED, health=Health.GOOD)

    def _resolve(self, text: Text | None) -> str:
        if isinstance(text, SecretRef):
            return self.catalogue.environment().get(text.name)
        if text is None:
            raise InvalidError("the target has no URL", code="bad_url")
        return text

    def _conclude(self, record: DeliveryRecord, answer: _Answer) -> Attempt:
        message, now = record.message, self.clock.now()
        # Cut after that: half a secret would not be recognised.
        error = None if answer.error is None else self.mask(answer.error)[:_ERROR]
        if answer.verdict is Verdict.DELIVERED:
            result, retry_at = AttemptResult.DELIVERED, None
        elif answer.verdict is None:
            result, retry_at = AttemptResult.SUPPRESSED, None
        else:
            attempts = record.tries + 1
            hopeless = answer.verdict is Verdict.GONE or (
                answer.verdict is Verdict.UNLIKELY and attempts >= FEW
            )
            retry_at = (
                None
                if hopeless
                else next_try(
                    attempts,
                    now=now,
                    expires_at=message.expires_at,
                    fraction=self.ids.fraction(),
                    retry_after=answer.retry_after,
                    longest=None if message.kind is MessageKind.RESULT else LONGEST_FOR_ALERTS,
                )
            )
            # A rehearsal moves no failure counter, so that its letters do not die.
            final = AttemptResult.SUPPRESSED if message.rehearsed else AttemptResult.DEAD
            result = final if retry_at is None else AttemptResult.RETRY
        return Attempt(
            delivery_id=message.delivery_id,
            result=result,
            at=now,
            retry_at=retry_at,
            error=error,
            health=answer.health,
            address=answer.address,
        )


def _host(url: str) -> str:
    try:
        return URL(url).raw_host or ""
    except ValueError:
        return ""


def _describe(error: BaseException) -> str:
    denied = refusal(error)
    if denied is not None:
        return f"{denied.message}; {denied.hint}"
    if isinstance(error, TimeoutError):
        return f"no answer within {SECONDS:.0f} s"
    if isinstance(error, AmodalError):
        return f"{error.message}; {error.hint}" if error.hint else error.message
    if isinstance(error, ClientResponseError):
        return f"no valid HTTP answer: {error.message}"
    return f"{error}" or type(error).__name__
