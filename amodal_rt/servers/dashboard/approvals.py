"""Approvals: runs that ask a person, and parked writes. Looking at one answers nothing."""

from aiohttp import web

from amodal_rt.domain.token import Scope
from amodal_rt.errors import InvalidError
from amodal_rt.operations.shapes import Document
from amodal_rt.servers.dashboard.frames import Frames
from amodal_rt.servers.dashboard.rooms import Rooms
from amodal_rt.servers.dashboard.visits import Route, Visit, quoted, see

ROWS = 50
_ANSWERS = {"approve": True, "deny": False}
_SAID = {True: "approved", False: "denied"}
_SAID_OF_WRITES = {
    "performed": "write_made",
    "approved": "write_approved",
    "performing": "write_approved",
    "denied": "write_denied",
}


class ApprovalPages:
    """Shows questions, and takes answers."""

    def __init__(self, rooms: Rooms, frames: Frames) -> None:
        self._rooms = rooms
        self._frames = frames

    def routes(self) -> list[Route]:
        """What answers where."""
        return [
            Route(method="GET", path="/dashboard/approvals", scope=Scope.READ, answer=self._list),
            Route(
                method="POST",
                path="/dashboard/approvals/{id}",
                scope=Scope.MANAGE,
                answer=self._answer,
            ),
        ]

    async def _list(self, visit: Visit) -> web.StreamResponse:
        values = {"rows": await self._rooms.approvals.list_all(visit.caller, limit=ROWS)}
        return await self._frames.page(
            visit, "approvals.html", values, title="Approvals", current="approvals"
        )

    async def _answer(self, visit: Visit) -> web.StreamResponse:
        id, said = visit.part("id"), visit.given("answer")
        if said not in _ANSWERS:
            raise InvalidError("the answer is approve or deny", code="bad_answer")
        approved = _ANSWERS[said]
        found = await self._rooms.approvals.answer(
            visit.caller,
            id,
            step=visit.given("step") or "",
            approved=approved,
            note=visit.given("note"),
        )
        see(f"/dashboard/runs/{quoted(str(found['run_id']))}", said=_said(found))


def _said(found: Document) -> str:
    if found["write"] is None:
        return _SAID[found["status"] == "approved"]
    return _SAID_OF_WRITES.get(str(found["status"]), "write_failed")
