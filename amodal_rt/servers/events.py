"""`POST /events`: CloudEvents of programs that have a token; translation only."""

import functools
import json
from collections.abc import Mapping

from aiohttp import web

from amodal_rt.clock import Clock
from amodal_rt.domain.token import Scope
from amodal_rt.errors import AmodalError, DeniedError, InvalidError
from amodal_rt.guardrails.causes import HEADER, Causes
from amodal_rt.intake.cloudevents import BYTES, parse_request
from amodal_rt.intake.headers import Headers
from amodal_rt.logs import Log
from amodal_rt.operations.bus import EventBus, Sender
from amodal_rt.servers.deadlines import Deadlines, SlowSenderError, expect_nothing, read_body
from amodal_rt.servers.tokens import TokenCheck, Turned

RETRY_AFTER_SECONDS = 30
"""When a sender should come again whose events could not be committed."""

_STATUS = {"unsupported": 415, "too_large": 413}
_log = Log("events")


class EventsDoor:
    """The door of the bus."""

    def __init__(
        self,
        bus: EventBus,
        check: TokenCheck,
        causes: Causes,
        *,
        clock: Clock,
        deadlines: Deadlines | None = None,
    ) -> None:
        self._bus = bus
        self._check = check
        self._causes = causes
        self._clock = clock
        self._deadlines = deadlines or Deadlines()

    def routes(self) -> list[web.RouteDef]:
        """The one route."""
        return [web.route("*", "/events", self._receive, expect_handler=expect_nothing)]

    async def _receive(self, request: web.Request) -> web.Response:
        """Answer within the request's deadline, whatever comes and whatever fails behind."""
        try:
            async with self._clock.deadline(self._deadlines.request):
                return await self._take(request)
        except SlowSenderError:
            return _close(_error(408, "timed_out", "the body did not come in time"))
        except (web.RequestPayloadError, ConnectionError):
            return _close(_error(400, "invalid", "the body is incomplete"))
        except DeniedError as error:
            return _told(403, error)
        except (AmodalError, TimeoutError) as error:
            code = error.code if isinstance(error, AmodalError) else "timed_out"
            return _later(code)
        except Exception as error:  # noqa: BLE001 - a sender must come again, whatever broke here
            _log.exception("events.failed", error)
            return _later("internal")

    async def _take(self, request: web.Request) -> web.Response:
        headers = Headers(tuple(request.headers.items()))
        token = self._check.judge(headers, Scope.TRIGGER)
        if isinstance(token, Turned):
            await self._bus.note_refusal(token.reason)
            return _error(token.status, token.code, token.message, token.headers)
        if request.method != "POST":
            return _error(405, "method_not_allowed", "POST only", {"Allow": "POST"})
        if headers.compressed():
            return _error(415, "compressed", "send the body without Content-Encoding")
        read = functools.partial(read_body, seconds=self._deadlines.body, clock=self._clock)
        body = await read(request, BYTES)
        if body is None:
            return _close(_error(413, "too_large", f"a request has at most {BYTES:,} bytes"))
        try:
            sent = parse_request(headers, body)
        except InvalidError as error:
            await self._bus.note_refusal(f"{error.code}: {token.name}")
            return _told(_STATUS.get(error.code, 400), error)
        sender = Sender(
            actor=f"token:{token.name}",
            may_impersonate=token.allows(Scope.MANAGE),
            cause=self._causes.read(headers.all(HEADER)),
            headers=headers.kept(also_secret=()),
        )
        receipts = await self._bus.take(sender, sent.events)
        fresh = any(each["status"] == "accepted" for each in receipts)
        document = {"receipts": receipts} if sent.batched else receipts[0]
        return _respond(202 if fresh else 200, document)


def _told(status: int, error: AmodalError) -> web.Response:
    """What is wrong with the request, for its sender to put right."""
    told = {"code": error.code, "message": error.message}
    return _respond(status, {"error": told | ({"hint": error.hint} if error.hint else {})})


def _error(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    return _respond(status, {"error": {"code": code, "message": message}}, headers)


def _later(code: str) -> web.Response:
    wait = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return _error(503, code, "not possible right now", wait)


def _respond(
    status: int, document: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> web.Response:
    kind = {"Content-Type": "application/json"}
    return web.Response(
        status=status, body=json.dumps(document).encode(), headers={**kind, **(headers or {})}
    )


def _close(response: web.Response) -> web.Response:
    response.headers["Connection"] = "close"
    response.force_close()
    return response
