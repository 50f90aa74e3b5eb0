"""What models cost, and how the budgets of today stand."""

from aiohttp import web

from amodal_rt.domain.token import Scope
from amodal_rt.operations.spending import GROUPS
from amodal_rt.servers.control_requests import days_of
from amodal_rt.servers.dashboard.frames import Frames
from amodal_rt.servers.dashboard.rooms import Rooms
from amodal_rt.servers.dashboard.visits import Route, Visit

_SPANS = ((1, "today"), (7, "7 days"), (30, "30 days"), (365, "a year"))
ROWS = 100
"""Of a workspace with more automations, the dearest are shown."""


class SpendPages:
    """Looks at money."""

    def __init__(self, rooms: Rooms, frames: Frames) -> None:
        self._rooms = rooms
        self._frames = frames

    def routes(self) -> list[Route]:
        """What answers where."""
        return [Route(method="GET", path="/dashboard/spend", scope=Scope.READ, answer=self._show)]

    async def _show(self, visit: Visit) -> web.StreamResponse:
        days = days_of(visit.request)
        found = await self._rooms.spending.show(
            visit.caller,
            days=days,
            by=visit.asked("by") or GROUPS[0],
            automation=visit.asked("automation"),
        )
        values = {
            "found": found,
            "days": days,
            "spans": _SPANS,
            "groups": GROUPS,
            "automation": visit.asked("automation") or "",
            "most": ROWS,
        }
        return await self._frames.page(visit, "spend.html", values, title="Spend", current="spend")
