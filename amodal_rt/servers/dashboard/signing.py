"""Signing in, by a token or by a link, and out."""

import urllib.parse
from collections.abc import Mapping

from aiohttp import web

from amodal_rt.clock import Clock
from amodal_rt.errors import DeniedError
from amodal_rt.ids import Ids
from amodal_rt.operations.address import Address
from amodal_rt.operations.sessions import LIFE_SECONDS, Session, Sessions
from amodal_rt.servers.dashboard.frames import Frames
from amodal_rt.servers.dashboard.tries import Tries
from amodal_rt.servers.dashboard.visits import Form, quoted
from amodal_rt.servers.problems import status_of

HOME = "/"
SIGN_IN = "/dashboard/sign-in"
SIGN_OUT = "/dashboard/sign-out"
LINK = "/dashboard/link/{code}"

_HOST_ONLY = "__Host-"
"""Browsers keep a cookie of such a name only as this very host set it, over TLS."""


class Signing:
    """The pages in front of the session, and the cookies that carry it."""

    def __init__(
        self, sessions: Sessions, address: Address, frames: Frames, *, clock: Clock, ids: Ids
    ) -> None:
        self._sessions = sessions
        self._address = address
        self._frames = frames
        self._ids = ids
        self._tries = Tries(clock)

    def session(self, request: web.Request) -> Session | None:
        """Whose request it is."""
        secret = request.cookies.get(self._cookie(request, "session"))
        return self._sessions.find(secret) if secret else None

    def form_token(self, request: web.Request) -> str | None:
        """What a form must hold that is sent without a session."""
        return request.cookies.get(self._cookie(request, "form")) or None

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """The form for a token."""
        if self.session(request) is not None:
            return _moved(_inside(request.query.get("next")))
        return await self._ask(request, request.query.get("next"))

    async def take(self, request: web.Request, form: Form) -> web.StreamResponse:
        """Begin a session with the token of the form; ask again where it opens nothing."""
        self._tries.require_room(request.remote or "")
        try:
            secret = await self._tried(request, token="".join(form.get("token", "").split()))
        except DeniedError as error:
            response = await self._ask(request, form.get("next"), error)
            response.set_status(status_of(error))
            return response
        return self._signed_in(request, secret, _inside(form.get("next")))

    async def show_link(self, request: web.Request) -> web.StreamResponse:
        """The button that uses a link. Looking does not: whoever previews links uses none up."""
        values = {"code": request.match_info["code"]}
        return await self.page(request, "link.html", values, title="Open the dashboard")

    async def follow_link(self, request: web.Request, form: Form) -> web.StreamResponse:
        """Begin a session with a link."""
        self._tries.require_room(request.remote or "")
        secret = await self._tried(request, code=request.match_info["code"])
        return self._signed_in(request, secret, HOME)

    async def sign_out(self, request: web.Request, form: Form) -> web.StreamResponse:
        """End the session."""
        name = self._cookie(request, "session")
        await self._sessions.end(request.cookies.get(name, ""))
        response = _moved(SIGN_IN)
        response.del_cookie(name, path="/", secure=self._is_secure(request), httponly=True)
        return response

    async def _tried(
        self, request: web.Request, *, token: str | None = None, code: str | None = None
    ) -> str:
        try:
            if code is not None:
                return await self._sessions.follow_link(code)
            return await self._sessions.sign_in(token or "")
        except DeniedError:
            self._tries.failed(request.remote or "")
            raise

    async def _ask(
        self, request: web.Request, path: str | None, error: DeniedError | None = None
    ) -> web.Response:
        values = {"next": _inside(path), "error": error}
        return await self.page(request, "sign_in.html", values, title="Sign in")

    async def page(
        self, request: web.Request, template: str, values: Mapping[str, object], *, title: str
    ) -> web.Response:
        """A page without a session, whose forms hold the token of a cookie of their own."""
        token = self.form_token(request) or self._ids.token(20)
        response = await self._frames.open(template, values, title=title, form_token=token)
        self._set(request, response, "form", token, seconds=3600)
        return response

    def _signed_in(self, request: web.Request, secret: str, path: str) -> web.Response:
        response = _moved(path)
        self._set(request, response, "session", secret, seconds=LIFE_SECONDS)
        return response

    def _set(
        self, request: web.Request, response: web.Response, what: str, value: str, *, seconds: int
    ) -> None:
        response.set_cookie(
            self._cookie(request, what),
            value,
            max_age=seconds,
            path="/",
            secure=self._is_secure(request),
            httponly=True,
            samesite="Strict",
        )

    def _cookie(self, request: web.Request, what: str) -> str:
        """Cookies know no ports: another daemon of this machine has names of its own."""
        name = f"amodal_rt_{what}_{_port(request)}"
        return _HOST_ONLY + name if self._is_secure(request) else name

    def _is_secure(self, request: web.Request) -> bool:
        """Whether the browser came by `publicUrl`, and that is https: a secure cookie would not
        come back over the plain connection of this machine."""
        public = urllib.parse.urlsplit(self._address.public or "")
        said = urllib.parse.urlsplit(f"//{request.host}").hostname
        return public.scheme == "https" and said == public.hostname


def _port(request: web.Request) -> int:
    name = request.transport.get_extra_info("sockname") if request.transport else None
    return name[1] if name else 0


def _inside(path: str | None) -> str:
    """A page of ours to go on to: nothing that a stranger wrote leads elsewhere."""
    wanted = path or HOME
    return wanted if wanted.startswith("/dashboard/") and wanted.isprintable() else HOME


def _moved(path: str) -> web.Response:
    where = "/".join(quoted(each) for each in path.split("/"))
    return web.Response(status=303, headers={"Location": where})
