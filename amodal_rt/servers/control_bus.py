"""The verbs of the bus and of tokens over the control socket: whoever may use it needs no token."""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from amodal_rt.domain.cause import Cause
from amodal_rt.domain.token import Scope
from amodal_rt.guardrails.causes import HEADER, Causes
from amodal_rt.intake.cloudevents import BATCHED, STRUCTURED, parse_request
from amodal_rt.intake.headers import Headers
from amodal_rt.operations.bus import EventBus, Sender
from amodal_rt.operations.events import Events
from amodal_rt.operations.tokens import Tokens
from amodal_rt.servers.control_requests import (
    asks,
    body_of,
    caller_of,
    content_of,
    id_of,
    limit_of,
    text_of,
    texts_of,
)
from amodal_rt.servers.guard import TOKEN

Answering = Callable[[web.Request], Awaitable[object]]


def _sender(request: web.Request, headers: Headers, cause: Cause | None) -> Sender:
    """Whose word it is. That of the daemon's own user counts for providers and the runtime too,
    and over TCP that of a token that may manage; what a run asks for never does."""
    actor, owner = caller_of(request).actor, True
    if TOKEN in request:
        owner = request[TOKEN].allows(Scope.MANAGE)
    else:
        actor = f"member:{actor}"
    return Sender(
        actor=actor,
        may_impersonate=owner and cause is None,
        cause=cause,
        headers=headers.kept(also_secret=()),
    )


class BusDoor:
    """One method a route: arguments in, document out."""

    def __init__(self, bus: EventBus, events: Events, tokens: Tokens, causes: Causes) -> None:
        self._bus = bus
        self._events = events
        self._tokens = tokens
        self._causes = causes

    def reads(self) -> Mapping[str, Answering]:
        """By path."""
        return {
            "/v1/events": self._list,
            "/v1/events/{id}": self._show,
            "/v1/tokens": lambda r: self._tokens.list_all(caller_of(r)),
        }

    def changes(self) -> Mapping[str, Answering]:
        """By path."""
        return {
            "/v1/events": self._take,
            "/v1/events/{id}/replay": self._replay,
            "/v1/tokens": self._create_token,
            "/v1/tokens/{id}/revoke": lambda r: self._tokens.revoke(caller_of(r), id_of(r)),
        }

    async def _list(self, request: web.Request) -> object:
        caller, limit, query = caller_of(request), limit_of(request), request.query
        if asks(request, "rejected"):
            return await self._events.rejections(caller, limit=limit)
        return await self._bus.list_all(
            caller, automation=query.get("automation"), type=query.get("type"), limit=limit
        )

    async def _show(self, request: web.Request) -> object:
        if asks(request, "cloudevents"):
            return await self._bus.show_cloud_event(caller_of(request), id_of(request))
        return await self._events.show(caller_of(request), id_of(request))

    async def _take(self, request: web.Request) -> object:
        """What `POST /events` takes over TCP, or the short form that `ops events emit` sends."""
        headers = Headers(tuple(request.headers.items()))
        cause = self._causes.read(headers.all(HEADER))
        cloud = request.content_type in (STRUCTURED, BATCHED) or headers.first("ce-specversion")
        sender = _sender(request, headers, cause)
        if not cloud:
            return await self._bus.emit(caller_of(request), await body_of(request), sender=sender)
        sent = parse_request(headers, await content_of(request))
        receipts = await self._bus.take(sender, sent.events)
        return {"receipts": receipts} if sent.batched else receipts[0]

    async def _replay(self, request: web.Request) -> object:
        body = await body_of(request)
        cause = self._causes.read(request.headers.getall(HEADER, []))
        return await self._bus.replay(
            caller_of(request), id_of(request), again=body.get("again") is True, cause=cause
        )

    async def _create_token(self, request: web.Request) -> object:
        body = await body_of(request)
        name = text_of(body, "name") or ""
        return await self._tokens.create(caller_of(request), name, texts_of(body, "scopes"))
