"""`/webhooks/<id>`, `/integrations/<name>/<key>`, `/api/trigger-callback`, `/healthz`,
`/readyz`: open doors, translation only."""

import functools
import json
from collections.abc import Awaitable, Callable

from aiohttp import web

from amodal_rt.clock import Clock
from amodal_rt.errors import AmodalError, UnavailableError
from amodal_rt.intake import answers
from amodal_rt.intake.requests import Answer, RawRequest
from amodal_rt.logs import Log
from amodal_rt.servers.deadlines import Deadlines, SlowSenderError, expect_nothing, read_body

_log = Log("webhooks")

CALLBACK = "/api/trigger-callback"

Accept = Callable[[RawRequest], Awaitable[Answer]]
"""Judges one request and makes it durable; the answer is sent as it is."""


def webhook_routes(
    accept: Accept,
    why_not_ready: Callable[[], str | None],
    *,
    integrations: Accept,
    callbacks: Accept | None = None,
    clock: Clock,
    deadlines: Deadlines | None = None,
) -> list[web.RouteDef]:
    """The routes that need none of our tokens: senders prove themselves, health says nothing.

    `why_not_ready` gives the reason in one sentence, None while the daemon takes work.
    `callbacks` None: no MCP server is asked to call back.
    """
    bounds = deadlines or Deadlines()
    door, broadcast = _Webhooks(accept, clock, bounds), _Webhooks(integrations, clock, bounds)
    routes = [
        web.route("*", "/webhooks/{endpoint}", door.receive, expect_handler=expect_nothing),
        web.route(
            "*",
            "/integrations/{endpoint}/{key}",
            broadcast.receive,
            expect_handler=expect_nothing,
        ),
        *health_routes(why_not_ready),
    ]
    if callbacks is not None:
        called = _Webhooks(callbacks, clock, bounds).receive
        routes.append(web.route("*", CALLBACK, called, expect_handler=expect_nothing))
    return routes


def health_routes(why_not_ready: Callable[[], str | None]) -> list[web.RouteDef]:
    """Whether the daemon lives, and whether it takes work: else why not, in one sentence."""

    async def healthz(request: web.Request) -> web.Response:
        return _respond(Answer(status=200, document={"status": "ok"}))

    async def readyz(request: web.Request) -> web.Response:
        reason = why_not_ready()
        if reason is None:
            return _respond(Answer(status=200, document={"status": "ready"}))
        return _respond(Answer(status=503, document={"status": "not_ready", "reason": reason}))

    return [web.get("/healthz", healthz), web.get("/readyz", readyz)]


class _Webhooks:
    """A door for senders that prove themselves."""

    def __init__(self, accept: Accept, clock: Clock, deadlines: Deadlines) -> None:
        self._accept = accept
        self._clock = clock
        self._deadlines = deadlines

    async def receive(self, request: web.Request) -> web.Response:
        """Answer within the request's deadline, whatever comes and whatever fails behind."""
        raw = RawRequest(
            endpoint=request.match_info.get("endpoint", ""),
            method=request.method,
            headers=tuple(request.headers.items()),
            read_body=functools.partial(
                read_body, request, seconds=self._deadlines.body, clock=self._clock
            ),
            key=request.match_info.get("key", ""),
            target=request.raw_path,
        )
        try:
            async with self._clock.deadline(self._deadlines.request):
                answer = await self._accept(raw)
        except SlowSenderError:
            late = {"error": {"code": "timed_out", "message": "the body did not come in time"}}
            answer = Answer(status=408, document=late, headers={"Connection": "close"})
        except AmodalError as error:
            answer = answers.unavailable(error)
        except TimeoutError:
            answer = answers.unavailable(UnavailableError("no answer in time", code="timed_out"))
        except (web.RequestPayloadError, ConnectionError):
            # The sender broke off or sent a malformed chunk: nobody may be there to read this.
            broken = {"error": {"code": "invalid", "message": "the body is incomplete"}}
            answer = Answer(status=400, document=broken, headers={"Connection": "close"})
        except Exception as error:  # noqa: BLE001 - a sender must come again, whatever broke here
            _log.exception("webhook.failed", error)
            answer = answers.unavailable(UnavailableError("failed", code="internal"))
        return _respond(answer)


def _respond(answer: Answer) -> web.Response:
    if answer.text is None:
        body, headers = json.dumps(answer.document).encode(), {"Content-Type": "application/json"}
    else:
        body, headers = answer.text.encode("utf-8", "replace"), dict[str, str]()
    response = web.Response(
        status=answer.status, body=body or None, headers={**headers, **answer.headers}
    )
    if "Connection" in answer.headers:
        response.force_close()
    return response
