"""The one guard of everything on TCP that has no proof of its own.

A route that is not handed to the guard does not exist for it: `rest` answers all other paths, so
that who has no token learns neither what there is nor what there is not.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler

from amodal_rt.clock import Clock
from amodal_rt.domain.token import Scope, Token
from amodal_rt.errors import AmodalError, DeniedError, InternalError, InvalidError, NotFoundError
from amodal_rt.intake.headers import Headers
from amodal_rt.logs import Log
from amodal_rt.ports import Caller
from amodal_rt.servers.deadlines import Deadlines, SlowSenderError, expect_nothing, read_body
from amodal_rt.servers.problems import refused
from amodal_rt.servers.tokens import TokenCheck, Turned

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

LARGEST_BODY = 1_048_576
"""Bytes of a request; what is larger is not read."""
TOKEN: web.RequestKey[Token] = web.RequestKey("token", Token)
"""Whose request it is."""
CONTENT: web.RequestKey[bytes] = web.RequestKey("content", bytes)
"""The body, read within its deadline."""

_log = Log("api")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """One route and what a token needs for it: None is whatever a token may do, and the route
    judges. GET answers HEAD too, unless it `streams`."""

    method: str
    path: str
    scope: Scope | None
    answer: Answer
    streams: bool = False


class Guard:
    """Lets in who shows a token that may do what a route does, and tells of errors alike."""

    def __init__(
        self, check: TokenCheck, *, clock: Clock, deadlines: Deadlines | None = None
    ) -> None:
        self._check = check
        self._clock = clock
        self._deadlines = deadlines or Deadlines()
        self._noted_at = float("-inf")
        self._unnoted = 0

    def routes(self, guarded: Iterable[Guarded]) -> list[web.RouteDef]:
        """The routes for an application, one a path: what a path has no method for is 405."""
        by_path: dict[str, dict[str, Guarded]] = {}
        for each in guarded:
            methods = by_path.setdefault(each.path, {})
            methods[each.method] = each
            if each.method == "GET" and not each.streams:
                methods.setdefault("HEAD", each)
        return [
            web.route("*", path, self._door(methods), expect_handler=expect_nothing)
            for path, methods in by_path.items()
        ]

    def rest(self) -> web.RouteDef:
        """Every other path: nothing is there, for those who may know."""
        return web.route("*", "/{rest:.*}", self._door({}), expect_handler=expect_nothing)

    def _door(self, methods: Mapping[str, Guarded]) -> Handler:
        async def enter(request: web.Request) -> web.StreamResponse:
            try:
                return await self._enter(request, methods)
            except AmodalError as error:
                return refused(error)
            except SlowSenderError:
                late = InvalidError("the body did not come in time", code="sender_slow")
                return _closing(refused(late))
            except web.RequestPayloadError:
                return _closing(refused(InvalidError("the body is incomplete", code="bad_body")))
            except web.HTTPException as error:
                return refused(InvalidError(error.reason, code="bad_request"), error.status)
            except ConnectionError:
                raise  # a caller who went away is no defect
            except Exception as error:  # noqa: BLE001 - the caller gets an answer, the log the defect
                _log.exception("api.defect", error, path=request.path)
                return refused(InternalError("a defect of this program; the daemon's log has it"))

        return enter

    async def _enter(
        self, request: web.Request, methods: Mapping[str, Guarded]
    ) -> web.StreamResponse:
        headers = Headers(tuple(request.headers.items()))
        route = methods.get(request.method)
        token = self._check.judge(headers, route.scope if route else None)
        if isinstance(token, Turned):
            self._note(token.reason)
            told = DeniedError(token.message, code=token.code, hint=token.hint)
            return refused(told, token.status, headers=token.headers)
        if not methods:
            raise NotFoundError("there is nothing at this path", code="no_such_path")
        if route is None:
            told = InvalidError("this path has no such method", code="method_not_allowed")
            return refused(told, headers={"Allow": ", ".join(sorted(methods))})
        if headers.compressed():
            raise InvalidError("send the body without Content-Encoding", code="unsupported")
        content = await read_body(
            request, LARGEST_BODY, seconds=self._deadlines.body, clock=self._clock
        )
        if content is None:
            large = f"a request has at most {LARGEST_BODY:,} bytes"
            return _closing(refused(InvalidError(large, code="too_large")))
        request[TOKEN], request[CONTENT] = token, content
        answer = await route.answer(request)
        if not answer.prepared:
            # What a token shows is for its bearer, and never a page.
            answer.headers.setdefault("Cache-Control", "no-store")
            answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer

    def _note(self, reason: str) -> None:
        """Log at most one line a second: whoever can send can otherwise fill the disk."""
        now = self._clock.monotonic()
        if now - self._noted_at < 1:
            self._unnoted += 1
            return
        _log.warning("api.refused", reason=reason, unlogged=self._unnoted)
        self._noted_at, self._unnoted = now, 0


def caller_of(request: web.Request) -> Caller:
    """Who asks, as the audit trail keeps it."""
    return Caller(actor=f"token:{request[TOKEN].name}", door="api")


def _closing(response: web.Response) -> web.Response:
    response.headers["Connection"] = "close"
    response.force_close()
    return response
