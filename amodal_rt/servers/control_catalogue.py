"""The verbs of event types and of identities over the control socket."""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from amodal_rt.errors import InvalidError
from amodal_rt.operations.catalogue import EventTypes
from amodal_rt.operations.identities import Members
from amodal_rt.servers.control_requests import body_of, caller_of, name_of, text_of

Answering = Callable[[web.Request], Awaitable[object]]


class CatalogueDoor:
    """One method a route: arguments in, document out."""

    def __init__(self, event_types: EventTypes, members: Members) -> None:
        self._event_types = event_types
        self._members = members

    def reads(self) -> Mapping[str, Answering]:
        """By path."""
        return {
            "/v1/events/types": self._list,
            "/v1/events/types/{name}": lambda r: self._event_types.show(caller_of(r), name_of(r)),
            "/v1/identities": lambda r: self._members.list_all(caller_of(r)),
        }

    def changes(self) -> Mapping[str, Answering]:
        """By path."""
        return {"/v1/identities/link": self._link, "/v1/identities/unlink": self._unlink}

    async def _list(self, request: web.Request) -> object:
        query = request.query
        return await self._event_types.list_all(
            caller_of(request), fitting=query.get("fitting"), source=query.get("source")
        )

    async def _link(self, request: web.Request) -> object:
        body = await body_of(request)
        return await self._members.link_account(
            caller_of(request),
            _required(body, "member"),
            _required(body, "provider"),
            _required(body, "account"),
            create=body.get("create") is True,
        )

    async def _unlink(self, request: web.Request) -> object:
        body = await body_of(request)
        return await self._members.unlink_account(
            caller_of(request), _required(body, "provider"), _required(body, "account")
        )


def _required(body: Mapping[str, object], key: str) -> str:
    text = text_of(body, key)
    if text is None:
        raise InvalidError(f"{key} is missing", code="bad_body")
    return text
