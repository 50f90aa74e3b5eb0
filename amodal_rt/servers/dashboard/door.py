"""Who sees a page, and what every page has in common.

The rules: the request names us (`Host`); a change is a form of ours (`Sec-Fetch-Site`, `Origin`,
and a token in the form); whoever asks has a session that may do it. Errors are pages too.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import NoReturn

from aiohttp import web
from aiohttp.typedefs import Handler

from amodal_rt.errors import (
    AmodalError,
    DeniedError,
    InternalError,
    InvalidError,
    NotFoundError,
)
from amodal_rt.guardrails.doors import host_allowed
from amodal_rt.ids import Ids
from amodal_rt.intake.headers import Headers
from amodal_rt.logs import Log
from amodal_rt.operations.address import Address
from amodal_rt.operations.sessions import Session
from amodal_rt.servers.dashboard.assets import PREFIX, Assets
from amodal_rt.servers.dashboard.deciding import DECIDE, Deciding
from amodal_rt.servers.dashboard.frames import Frames
from amodal_rt.servers.dashboard.rooms import Rooms
from amodal_rt.servers.dashboard.signing import LINK, SIGN_IN, SIGN_OUT, Signing
from amodal_rt.servers.dashboard.visits import (
    LARGEST_FORM,
    Form,
    Route,
    Visit,
    form_of,
    quoted,
    require_own_form,
    require_token,
    see,
)
from amodal_rt.servers.deadlines import Deadlines, SlowSenderError, expect_nothing, read_body
from amodal_rt.servers.problems import RETRY_AFTER_SECONDS, status_of

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CSP,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}
Change = Callable[[web.Request, Form], Awaitable[web.StreamResponse]]
_log = Log("dashboard")


class Dashboard:
    """The pages of `routes`, for who has a session."""

    def __init__(
        self,
        routes: Sequence[Route],
        rooms: Rooms,
        address: Address,
        frames: Frames,
        assets: Assets,
        *,
        ids: Ids,
        deadlines: Deadlines | None = None,
    ) -> None:
        self._routes = routes
        self._address = address
        self._frames = frames
        self._assets = assets
        self._clock = clock = rooms.clock
        self._deadlines = deadlines or Deadlines()
        self._signing = Signing(rooms.sessions, address, frames, clock=clock, ids=ids)
        self._deciding = Deciding(rooms.links, self._signing, clock=clock)
        self._noted_at = float("-inf")
        self._unnoted = 0

    def routes(self) -> list[web.RouteDef]:
        """What answers where; whatever else begins with `/dashboard` is a page that is not
        there."""
        by_path: dict[str, dict[str, Route]] = {}
        for each in self._routes:
            by_path.setdefault(each.path, {})[each.method] = each
        signing = self._signing
        rows = [
            (SIGN_IN, self._open(signing.ask, signing.take)),
            (LINK, self._open(signing.show_link, signing.follow_link)),
            (SIGN_OUT, self._door({}, signing.sign_out)),
            (PREFIX + "{name}", self._guarded(self._asset)),
            *((path, self._door(methods)) for path, methods in by_path.items()),
            ("/dashboard", self._door({})),
            ("/dashboard/{rest:.*}", self._door({})),
        ]
        return [web.route("*", path, each, expect_handler=expect_nothing) for path, each in rows]

    def open_routes(self) -> list[web.RouteDef]:
        """What somebody with a link in a message needs, who may come by `publicUrl` alone."""
        rows = [
            (DECIDE, self._open(self._deciding.look, self._deciding.answer)),
            (PREFIX + "{name}", self._guarded(self._asset)),
        ]
        return [web.route("*", path, each, expect_handler=expect_nothing) for path, each in rows]

    def _open(self, look: Handler, change: Change) -> Handler:
        """A page that needs no session. Its forms hold the token of a cookie of their own."""

        async def enter(request: web.Request) -> web.StreamResponse:
            if request.method in ("GET", "HEAD"):
                return await look(request)
            _require_method(request, ("GET", "HEAD", "POST"))
            form = await self._form(request)
            require_token(form, self._signing.form_token(request))
            return await change(request, form)

        return self._guarded(enter)

    def _door(self, methods: Mapping[str, Route], change: Change | None = None) -> Handler:
        async def enter(request: web.Request) -> web.StreamResponse:
            method = "GET" if request.method == "HEAD" else request.method
            session = self._signing.session(request)
            if method == "GET":
                if session is None:
                    self._send_to_sign_in(request)
                return await self._look(methods, Visit(request=request, session=session))
            _require_method(request, ("GET", "HEAD", "POST"))
            form = await self._form(request)
            if session is None:
                raise DeniedError("you are signed out", code="unauthorized", hint="sign in again")
            require_token(form, session.form_token)
            if change is not None:
                return await change(request, form)
            return await self._do(methods, Visit(request=request, session=session, form=form))

        return self._guarded(enter)

    async def _look(self, methods: Mapping[str, Route], visit: Visit) -> web.StreamResponse:
        if not methods:
            raise NotFoundError("there is no such page", code="no_such_path")
        return await self._do(methods, visit)

    async def _do(self, methods: Mapping[str, Route], visit: Visit) -> web.StreamResponse:
        method = "GET" if visit.request.method == "HEAD" else visit.request.method
        route = methods.get(method)
        if route is None:
            _require_method(visit.request, methods)
            raise NotFoundError("there is no such page", code="no_such_path")
        if not visit.session.allows(route.scope):
            raise DeniedError(
                f"{visit.session.actor} may not do this: the scope {route.scope.value} is missing",
                code="scope_missing",
            )
        return await route.answer(visit)

    async def _form(self, request: web.Request) -> dict[str, str]:
        require_own_form(request, self._address)
        if Headers(tuple(request.headers.items())).compressed():
            raise InvalidError("send the form without Content-Encoding", code="unsupported")
        content = await read_body(
            request, LARGEST_FORM, seconds=self._deadlines.body, clock=self._clock
        )
        if content is None:
            raise InvalidError(f"a form has at most {LARGEST_FORM:,} bytes", code="too_large")
        return form_of(request, content)

    def _guarded(self, answer: Handler) -> Handler:
        """What every request passes, and what every answer carries."""

        async def enter(request: web.Request) -> web.StreamResponse:
            try:
                hosts = Headers(tuple(request.headers.items())).all("host")
                if not host_allowed(hosts, self._address.public):
                    raise DeniedError("no such host here", code="bad_host")
                response = await answer(request)
            except web.HTTPSeeOther as moved:
                response = web.Response(status=303, headers={"Location": str(moved.location)})
            except AmodalError as error:
                response = await self._told(request, error)
            except (SlowSenderError, web.RequestPayloadError):
                late = InvalidError("the form did not come whole", code="sender_slow")
                response = _closing(await self._told(request, late))
            except ConnectionError:
                raise  # a browser that went away is no defect
            except Exception as error:  # noqa: BLE001 - a person gets a page, the log the defect
                # Not the path as it came: that of a link holds its secret.
                _log.exception("dashboard.defect", error, path=_place(request))
                defect = InternalError("a defect of this program; the daemon's log has it")
                response = await self._told(request, defect)
            if not response.prepared:
                response.headers.update(HEADERS)
                response.headers.setdefault("Cache-Control", "no-store")
            return response

        return enter

    async def _told(self, request: web.Request, error: AmodalError) -> web.Response:
        status = 429 if error.code == "too_many_tries" else status_of(error)
        if isinstance(error, DeniedError):
            self._note(error.code)
        session: Session | None = None
        # A stranger's name for us is told nothing that a session may see.
        if error.code != "bad_host":
            session = self._signing.session(request)
        response = await self._frames.problem(session, error, status=status)
        if isinstance(error, _MethodError):
            response.headers["Allow"] = ", ".join(error.methods)
        if status in (429, 503):
            response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        if error.code in ("too_large", "bad_origin", "unsupported"):
            # What was not read would be taken for the next request.
            return _closing(response)
        return response

    def _send_to_sign_in(self, request: web.Request) -> NoReturn:
        if request.path.endswith("/stream"):
            raise DeniedError("you are signed out", code="unauthorized")
        wanted = "" if request.path == "/" else f"?next={quoted(request.path)}"
        see(SIGN_IN + wanted)

    async def _asset(self, request: web.Request) -> web.StreamResponse:
        _require_method(request, ("GET", "HEAD"))
        return self._assets.answer(request.match_info["name"])

    def _note(self, reason: str) -> None:
        """Log at most one line a second: whoever can send can otherwise fill the disk."""
        now = self._clock.monotonic()
        if now - self._noted_at < 1:
            self._unnoted += 1
            return
        _log.warning("dashboard.refused", reason=reason, unlogged=self._unnoted)
        self._noted_at, self._unnoted = now, 0


class _MethodError(InvalidError):
    """A page is asked in a way that it does not know."""

    def __init__(self, method: str, methods: Iterable[str]) -> None:
        super().__init__(f"this page knows no {method}", code="method_not_allowed")
        self.methods = sorted(methods)


def _require_method(request: web.Request, methods: Iterable[str]) -> None:
    known = {*methods, *(["HEAD"] if "GET" in methods else [])}
    if request.method not in known:
        raise _MethodError(request.method, known)


def _place(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "-"


def _closing(response: web.Response) -> web.Response:
    response.headers["Connection"] = "close"
    response.force_close()
    return response
