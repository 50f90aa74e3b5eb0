"""Runs: the list, one of them, its journal, and what ends it or starts it again."""

from collections.abc import Mapping

from aiohttp import web

from amodal_rt.domain.run import OPEN, Run, RunStatus
from amodal_rt.domain.token import Scope
from amodal_rt.errors import NotFoundError
from amodal_rt.operations import asked
from amodal_rt.operations.run_pages import Tally
from amodal_rt.servers.control_requests import number_of
from amodal_rt.servers.dashboard import words
from amodal_rt.servers.dashboard.frames import Frames
from amodal_rt.servers.dashboard.live import LiveRun
from amodal_rt.servers.dashboard.rooms import Rooms
from amodal_rt.servers.dashboard.shown import facts_of, result_of
from amodal_rt.servers.dashboard.steps import step_of
from amodal_rt.servers.dashboard.visits import Route, Visit, quoted, see

ROWS = 30
STEPS = 30
"""Entries of a page: with their details, the page stays small."""


class RunPagesDoor:
    """Looks at runs, cancels and replays them."""

    def __init__(self, rooms: Rooms, frames: Frames) -> None:
        self._rooms = rooms
        self._frames = frames
        self._live = LiveRun(rooms, frames)

    def routes(self) -> list[Route]:
        """What answers where."""
        one = "/dashboard/runs/{id}"
        rows = [
            ("GET", "/dashboard/runs", Scope.READ, self._list),
            ("GET", one, Scope.READ, self._show),
            ("GET", f"{one}/stream", Scope.READ, self._live.stream),
            ("GET", f"{one}/entries/{{sequence}}", Scope.READ, self._entry),
            ("POST", f"{one}/cancel", Scope.MANAGE, self._cancel),
            ("POST", f"{one}/replay", Scope.TRIGGER, self._replay),
        ]
        return [Route(method=row[0], path=row[1], scope=row[2], answer=row[3]) for row in rows]

    async def _list(self, visit: Visit) -> web.StreamResponse:
        automation, status = visit.asked("automation"), visit.asked("status")
        page = await self._rooms.run_pages.page(
            visit.caller,
            visit.wish(ROWS),
            automation=automation,
            status=asked.run_status(status),
        )
        values = {
            "runs": page.runs,
            "before": page.before,
            "after": visit.back(page.after, more=page.more),
            "automation": automation or "",
            "status": status or "",
            "statuses": [each.value for each in RunStatus],
        }
        return await self._frames.page(visit, "runs.html", values, title="Runs", current="runs")

    async def _show(self, visit: Visit) -> web.StreamResponse:
        run_id, rooms, caller = visit.part("id"), self._rooms, visit.caller
        run = await rooms.run_pages.get(caller, run_id)
        document = await rooms.runs.show(caller, run_id)
        tally = await rooms.run_pages.tally(run_id)
        newest = max(tally.last - STEPS, 0)
        after = number_of(visit.asked("from")) if visit.asked("from") else newest
        entries = await rooms.run_pages.steps(caller, run_id, after=after, limit=STEPS)
        last = entries[-1].sequence if entries else after
        values = {
            **_whole(run, document, tally),
            "steps": [step_of(each) for each in entries],
            "approval": await rooms.approvals.find(caller, run_id),
            "earlier": max(after - STEPS, 0) if after else None,
            "later": last if last < tally.last else None,
            "total": tally.last,
            "stream": f"/dashboard/runs/{quoted(run_id)}/stream?after={last}"
            if run.status in OPEN and last >= tally.last
            else None,
            "payload": words.cut(words.pretty(run.payload), 4000),
        }
        return await self._frames.page(
            visit, "run.html", values, title=f"{run.title}: {run.status}", current="runs"
        )

    async def _entry(self, visit: Visit) -> web.StreamResponse:
        run_id, sequence = visit.part("id"), number_of(visit.part("sequence"))
        run = await self._rooms.run_pages.get(visit.caller, run_id)
        found = await self._rooms.run_pages.steps(
            visit.caller, run_id, after=max(sequence - 1, 0), limit=1
        )
        if not found or found[0].sequence != sequence:
            raise NotFoundError(f"{run_id} has no entry {sequence}", code="entry_not_found")
        values = {"run": run, "entry": found[0], "step": step_of(found[0], inline=None)}
        return await self._frames.page(
            visit, "entry.html", values, title=f"Entry {sequence}", current="runs"
        )

    async def _cancel(self, visit: Visit) -> web.StreamResponse:
        run_id = visit.part("id")
        await self._rooms.runs.cancel(visit.caller, run_id)
        see(f"/dashboard/runs/{quoted(run_id)}", said="cancelled")

    async def _replay(self, visit: Visit) -> web.StreamResponse:
        started = await self._rooms.runs.replay(visit.caller, visit.part("id"))
        see(f"/dashboard/runs/{started['run_id']}", said="started")


def _whole(run: Run, document: Mapping[str, object], tally: Tally) -> dict[str, object]:
    return {
        "run": run,
        "is_open": run.status in OPEN,
        "facts": facts_of(run, tally),
        "result": result_of(run),
        "deliveries": document["deliveries"],
    }
