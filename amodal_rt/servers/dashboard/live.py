"""A run's journal as it happens, as pieces of the page that is open."""

from contextlib import aclosing

from aiohttp import web

from amodal_rt.domain.run import OPEN
from amodal_rt.errors import DeniedError
from amodal_rt.operations.run_pages import News, Tally, counted
from amodal_rt.operations.sessions import Session
from amodal_rt.servers.control_requests import number_of
from amodal_rt.servers.dashboard.frames import Frames
from amodal_rt.servers.dashboard.rooms import Rooms
from amodal_rt.servers.dashboard.shown import facts_of, result_of
from amodal_rt.servers.dashboard.steps import step_of
from amodal_rt.servers.dashboard.visits import Visit
from amodal_rt.servers.sse import Message, Messages, last_heard


class LiveRun:
    """`step` for each entry, `run` whenever the run stands otherwise; the ids are sequences."""

    def __init__(self, rooms: Rooms, frames: Frames) -> None:
        self._rooms = rooms
        self._frames = frames

    async def stream(self, visit: Visit) -> web.StreamResponse:
        """What follows `after`, or what was heard last, until the run has ended."""
        if visit.request.method == "HEAD":
            return web.Response(content_type="text/event-stream")
        run_id = visit.part("id")
        # Before anything is sent: a run that is not there is a page, no stream.
        await self._rooms.run_pages.get(visit.caller, run_id)
        after = number_of(last_heard(visit.request) or visit.asked("after"))
        return await self._rooms.streams.send(visit.request, self._messages(visit, run_id, after))

    async def _messages(self, visit: Visit, run_id: str, after: int) -> Messages:
        tally = await self._rooms.run_pages.tally(run_id, until=after)
        async with aclosing(self._rooms.run_pages.follow_journal(run_id, after=after)) as news:
            async for each in news:
                self._require_session(visit)
                if each is None:
                    yield None
                    continue
                for entry in each.entries:
                    tally, after = counted(tally, entry), entry.sequence
                    html = await self._frames.part(
                        "_step.html", visit.session, {"step": step_of(entry), "run": each.run}
                    )
                    yield Message(event="step", data={"html": html}, id=str(after))
                yield await self._run(visit.session, each, tally, after)

    async def _run(self, session: Session, news: News, tally: Tally, after: int) -> Message:
        run = news.run
        document = await self._rooms.runs.show(session.caller, run.run_id)
        values = {
            "run": run,
            "is_open": run.status in OPEN,
            "facts": facts_of(run, tally),
            "result": result_of(run),
            "deliveries": document["deliveries"],
            "approval": await self._rooms.approvals.find(session.caller, run.run_id),
        }
        parts = {
            name: await self._frames.part(f"_{name}.html", session, values)
            for name in ("facts", "actions", "result")
        }
        ended = run.status not in OPEN
        data = {"parts": parts, "ended": ended, "status": f"The run is {run.status}."}
        return Message(event="run", data=data, id=str(after))

    def _require_session(self, visit: Visit) -> None:
        """A page that stays open hears no more once its session is over."""
        if not self._rooms.sessions.lasts(visit.session):
            raise DeniedError("the session is over", code="unauthorized")
