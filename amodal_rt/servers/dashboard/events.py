"""Events: what happened, and what each one started."""

from aiohttp import web

from amodal_rt.domain.token import Scope
from amodal_rt.servers.dashboard import words
from amodal_rt.servers.dashboard.frames import Frames
from amodal_rt.servers.dashboard.rooms import Rooms
from amodal_rt.servers.dashboard.visits import Route, Visit, see

ROWS = 50
DATA = 12_000
"""Characters of an event's data that stand on its page."""


class EventPages:
    """Looks at events, and starts old ones again."""

    def __init__(self, rooms: Rooms, frames: Frames) -> None:
        self._rooms = rooms
        self._frames = frames

    def routes(self) -> list[Route]:
        """What answers where."""
        one = "/dashboard/events/{id}"
        rows = [
            ("GET", "/dashboard/events", Scope.READ, self._list),
            ("GET", one, Scope.READ, self._show),
            ("POST", f"{one}/replay", Scope.TRIGGER, self._replay),
        ]
        return [Route(method=row[0], path=row[1], scope=row[2], answer=row[3]) for row in rows]

    async def _list(self, visit: Visit) -> web.StreamResponse:
        automation, type = visit.asked("automation"), visit.asked("type")
        rejected = visit.asked("rejected") is not None
        rooms, caller = self._rooms, visit.caller
        values = {
            "automation": automation or "",
            "type": type or "",
            "rejected": await rooms.events.rejections(caller, limit=ROWS) if rejected else None,
            "events": []
            if rejected
            else await rooms.bus.list_all(caller, automation=automation, type=type, limit=ROWS),
            "most": ROWS,
        }
        return await self._frames.page(
            visit, "events.html", values, title="Events", current="events"
        )

    async def _show(self, visit: Visit) -> web.StreamResponse:
        found = await self._rooms.events.show(visit.caller, visit.part("id"))
        data, missing = words.cut(words.pretty(found["data"]), DATA)
        values = {"found": found, "data": data, "missing": missing}
        return await self._frames.page(
            visit, "event.html", values, title=str(found["type"]), current="events"
        )

    async def _replay(self, visit: Visit) -> web.StreamResponse:
        replayed = await self._rooms.bus.replay(visit.caller, visit.part("id"), again=True)
        see(f"/dashboard/events/{replayed['event_id']}", said="replayed")
