"""Deliveries: what was sent, what could not be, and sending it again."""

from aiohttp import web

from amodal_rt.domain.delivery import DeliveryStatus
from amodal_rt.domain.token import Scope
from amodal_rt.operations import asked
from amodal_rt.servers.dashboard import words
from amodal_rt.servers.dashboard.frames import Frames
from amodal_rt.servers.dashboard.rooms import Rooms
from amodal_rt.servers.dashboard.visits import Route, Visit, quoted, see

ROWS = 50
BODY = 12_000
GIVEN_UP = tuple(
    each.value for each in (DeliveryStatus.DEAD, DeliveryStatus.EXPIRED, DeliveryStatus.SUPPRESSED)
)


class DeliveryPages:
    """Looks at messages, and makes those due that were given up."""

    def __init__(self, rooms: Rooms, frames: Frames) -> None:
        self._rooms = rooms
        self._frames = frames

    def routes(self) -> list[Route]:
        """What answers where."""
        one = "/dashboard/deliveries/{id}"
        rows = [
            ("GET", "/dashboard/deliveries", Scope.READ, self._list),
            ("GET", one, Scope.READ, self._show),
            ("POST", f"{one}/retry", Scope.MANAGE, self._retry),
        ]
        return [Route(method=row[0], path=row[1], scope=row[2], answer=row[3]) for row in rows]

    async def _list(self, visit: Visit) -> web.StreamResponse:
        status = asked.choice(DeliveryStatus, visit.asked("status"), what="status")
        values = {
            "rows": await self._rooms.deliveries.list_all(visit.caller, status=status, limit=ROWS),
            "status": status or "",
            "statuses": [each.value for each in DeliveryStatus],
            "given_up": GIVEN_UP,
            "most": ROWS,
        }
        return await self._frames.page(
            visit, "deliveries.html", values, title="Deliveries", current="deliveries"
        )

    async def _show(self, visit: Visit) -> web.StreamResponse:
        found = await self._rooms.deliveries.show(visit.caller, visit.part("id"))
        body, missing = words.cut(words.pretty(found["body"]), BODY)
        values = {"found": found, "body": body, "missing": missing, "given_up": GIVEN_UP}
        return await self._frames.page(
            visit, "delivery.html", values, title=f"To {found['target']}", current="deliveries"
        )

    async def _retry(self, visit: Visit) -> web.StreamResponse:
        id = visit.part("id")
        await self._rooms.deliveries.retry(visit.caller, id)
        see(f"/dashboard/deliveries/{quoted(id)}", said="retried")
