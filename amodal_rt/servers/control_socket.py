"""The control socket: every verb of `operations` over HTTP/1.1 on a unix socket.

Errors are `{"error": {code, kind, message, hint}}` with a status by kind. Only this user
and root are let in, by the socket's mode, its folder's mode and the peer's credentials.
"""

import logging
import os
import socket
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from amodal_rt.errors import AmodalError, DeniedError, InternalError, InvalidError, NotFoundError
from amodal_rt.logs import Log
from amodal_rt.servers.control import JOURNAL, Answering, Verbs, control_routes
from amodal_rt.servers.control_requests import (
    UID,
    caller_of,
)
from amodal_rt.servers.peers import may_control, peer_uid
from amodal_rt.servers.problems import STATUS, refused, respond

_log = Log("control")
_silence = logging.getLogger("amodal_rt.control.wire")
# The library would log a traceback for every malformed request; defects are logged by `_guard`.
_silence.disabled = True

LONGEST_PATH = 107
"""Bytes of a unix socket's path on Linux; 103 elsewhere, where this module binds shorter ones."""
LARGEST_BODY = 4 * 1024 * 1024

LINK = "/v1/dashboard/link"
"""Opens the dashboard to whoever may use this socket, and is no verb of a token: a link may do
everything, and stands for the person on this machine."""


class ControlSocket:
    """Listens at `path` for as long as it is open. The caller holds the daemon's lock."""

    def __init__(self, path: Path, verbs: Verbs, *, mcp: Handler | None = None) -> None:
        """`mcp` answers `POST /mcp`."""
        self.path = path
        self._runner = web.AppRunner(
            control_app(verbs, mcp=mcp),
            handle_signals=False,
            access_log=None,
            shutdown_timeout=2,
            logger=_silence,
        )

    async def open(self) -> None:
        """Bind privately and listen. Raises OSError."""
        await self._runner.setup()
        listener = bind_private(self.path)
        await web.SockSite(self._runner, listener, backlog=128).start()

    async def close(self) -> None:
        """Hang up and take the socket's file away."""
        self.path.unlink(missing_ok=True)
        await self._runner.cleanup()


def bind_private(path: Path) -> socket.socket:
    """A bound unix socket with mode 0600 from its first moment.

    Whoever holds the daemon's lock may replace what lies at `path`: nobody else listens.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o077)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener


def control_app(verbs: Verbs, *, mcp: Handler | None = None) -> web.Application:
    """The routes; peers are judged before anything is read."""
    app = web.Application(middlewares=[_guard], client_max_size=LARGEST_BODY)
    routes = control_routes(verbs)

    async def link(request: web.Request) -> object:
        return await verbs.sessions.make_link(caller_of(request))

    app.add_routes(
        [web.get(path, _json(answer)) for path, answer in routes.reads.items()]
        + [web.post(path, _json(answer)) for path, answer in routes.changes.items()]
        + [web.get(JOURNAL, routes.journal), web.post(LINK, _json(link))]
        + ([web.post("/mcp", mcp)] if mcp else [])
    )
    return app


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Judge the peer, and turn errors into documents."""
    try:
        transport = request.transport
        peer = transport.get_extra_info("socket") if transport else None
        uid = peer_uid(peer) if peer else None
        if uid is None or not may_control(uid):
            raise DeniedError(
                "the control socket answers its own user and root alone", code="not_your_daemon"
            )
        request[UID] = uid
        return await handler(request)
    except AmodalError as error:
        return _told(error)
    except web.HTTPNotFound:
        return _told(NotFoundError(f"no such path: {request.path}", code="no_such_path"))
    except web.HTTPRequestEntityTooLarge:
        return _told(InvalidError("the body is too large", code="too_large"))
    except web.HTTPException as error:
        return _told(InvalidError(error.reason, code="bad_request"))
    except ConnectionError:
        raise  # a follower who went away is no defect
    except Exception as error:  # noqa: BLE001 - the caller gets an answer, the log gets the defect
        _log.exception("control.defect", error, path=request.path)
        return _told(InternalError("a defect of this program; the daemon's log has it"))


def _told(error: AmodalError) -> web.Response:
    return refused(error, STATUS[error.kind])


def _json(answer: Answering) -> Handler:
    async def answered(request: web.Request) -> web.StreamResponse:
        return respond(await answer(request))

    return answered
