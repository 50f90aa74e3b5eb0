"""Approvals: runs that ask a person, and parked writes. Looking at one answers nothing."""

import json
from collections.abc import Mapping
from typing import NoReturn, cast

from aiohttp import web

from amodal_rt.domain.token import Scope
from amodal_rt.errors import AmodalError, InvalidError
from amodal_rt.guardrails.untrusted import exact_json
from amodal_rt.operations.shapes import Document
from amodal_rt.servers.dashboard.frames import Frames
from amodal_rt.servers.dashboard.rooms import Rooms
from amodal_rt.servers.dashboard.visits import Route, Visit, quoted, see
from amodal_rt.servers.problems import status_of

ROWS = 50
EDIT = "/dashboard/approvals/{id}/edit"
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
            Route(method="GET", path=EDIT, scope=Scope.MANAGE, answer=self._edit),
            Route(method="POST", path=EDIT, scope=Scope.MANAGE, answer=self._answer_edited),
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

    async def _edit(self, visit: Visit) -> web.StreamResponse:
        """The parked call, but for what stays as it is, to be edited."""
        found = await self._rooms.approvals.editing(visit.caller, visit.part("id"))
        values = {"found": found, "given": exact_json(found["free"]), "note": None, "error": None}
        return await self._editing(visit, values)

    async def _answer_edited(self, visit: Visit) -> web.StreamResponse:
        id, text, note = visit.part("id"), visit.form.get("call", ""), visit.given("note")
        try:
            done = await self._rooms.approvals.answer_edited(
                visit.caller, id, given=_parsed(text), note=note
            )
        except AmodalError as error:
            # What somebody typed must not be lost; one that is not open any more has no form.
            found = await self._rooms.approvals.editing(visit.caller, id)
            values = {"found": found, "given": text, "note": note, "error": error}
            return await self._editing(visit, values, status=status_of(error))
        return see(f"/dashboard/runs/{quoted(str(done['run_id']))}", said=_said(done))

    async def _editing(
        self, visit: Visit, values: Mapping[str, object], *, status: int = 200
    ) -> web.Response:
        page = await self._frames.page(
            visit, "edit.html", values, title="Edit and approve", current="approvals"
        )
        page.set_status(status)
        return page


def _parsed(text: str) -> Mapping[str, object]:
    """Raises InvalidError (`bad_call`)."""
    try:
        found: object = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise InvalidError(f"the edited call is no JSON: {error}", code="bad_call") from None
    if not isinstance(found, dict):
        raise InvalidError("the edited call is no JSON object", code="bad_call")
    return cast("dict[str, object]", found)


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is none of its numbers")


def _said(found: Document) -> str:
    if found["write"] is None:
        return _SAID[found["status"] == "approved"]
    return _SAID_OF_WRITES.get(str(found["status"]), "write_failed")
