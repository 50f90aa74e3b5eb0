"""The verbs of approvals over the control socket."""

from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from aiohttp import web

from amodal_rt.errors import InvalidError
from amodal_rt.guardrails.causes import HEADER, Causes
from amodal_rt.operations.approvals import Approvals
from amodal_rt.servers.control_requests import (
    body_of,
    caller_of,
    id_of,
    limit_of,
    text_of,
)

Answering = Callable[[web.Request], Awaitable[object]]


def _call_of(body: Mapping[str, object]) -> Mapping[str, object] | None:
    call = body.get("call")
    if call is None or isinstance(call, dict):
        return cast("dict[str, object] | None", call)
    raise InvalidError("call is a JSON object, as `show` prints it", code="bad_call")


class ApprovalDoor:
    """One method a route: arguments in, document out."""

    def __init__(self, approvals: Approvals, causes: Causes) -> None:
        self._approvals = approvals
        self._causes = causes

    def reads(self) -> Mapping[str, Answering]:
        """By path."""
        return {
            "/v1/approvals": self._list,
            "/v1/approvals/{id}": lambda r: self._approvals.show(caller_of(r), id_of(r)),
        }

    def changes(self) -> Mapping[str, Answering]:
        """By path."""
        return {
            "/v1/approvals/{id}/approve": lambda r: self._answer(r, approved=True),
            "/v1/approvals/{id}/deny": lambda r: self._answer(r, approved=False),
        }

    async def _list(self, request: web.Request) -> object:
        automation = request.query.get("automation")
        return await self._approvals.list_all(
            caller_of(request), automation=automation, limit=limit_of(request)
        )

    async def _answer(self, request: web.Request, *, approved: bool) -> object:
        body = await body_of(request)
        return await self._approvals.answer(
            caller_of(request),
            id_of(request),
            step=text_of(body, "step"),
            approved=approved,
            note=text_of(body, "note"),
            call=_call_of(body),
            cause=self._causes.read(request.headers.getall(HEADER, [])),
        )
