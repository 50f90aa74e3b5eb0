"""Runs over HTTP: one, its journal and its stream, under whichever prefix."""

from contextlib import aclosing

from aiohttp import web

from amodal_rt.domain.run import OPEN, Run
from amodal_rt.operations.references import run_id_of
from amodal_rt.operations.run_pages import RunPages, page_size, standing_of
from amodal_rt.servers.api.objects import LOCAL_APP, Object, journal_object, run_object
from amodal_rt.servers.guard import caller_of
from amodal_rt.servers.problems import respond
from amodal_rt.servers.sse import Message, Messages, Streams, last_heard


class RunDoor:
    """One method a route; the run is the route's `{run}`, the app its `{app}`."""

    def __init__(self, pages: RunPages, streams: Streams) -> None:
        self._pages = pages
        self._streams = streams

    async def show(self, request: web.Request) -> web.StreamResponse:
        """An AutomationRun."""
        run = await self._pages.get(caller_of(request), _run_id(request))
        return respond(await self.object_of(run, app_of(request)))

    async def journal(self, request: web.Request) -> web.StreamResponse:
        """A RunJournalPage, forward only."""
        query = request.query
        page = await self._pages.journal(
            caller_of(request),
            _run_id(request),
            limit=page_size(query.get("limit")),
            after=query.get("after_cursor"),
        )
        return respond(journal_object(page))

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """`run_update` now and at each change, until the run has ended.

        A client that comes again is not told once more what it heard last; when that was the
        end, 204 says that there is nothing to come back for.
        """
        run = await self._pages.get(caller_of(request), _run_id(request))
        heard = last_heard(request)
        if run.status not in OPEN and heard == standing_of(run):
            return web.Response(status=204)
        return await self._streams.send(request, self._updates(run, heard, app_of(request)))

    async def object_of(self, run: Run, app: str = LOCAL_APP) -> Object:
        """The run with what started it."""
        return run_object(run, app=app, payload=await self._pages.payload(run))

    async def _updates(self, run: Run, heard: str | None, app: str) -> Messages:
        payload = await self._pages.payload(run)
        async with aclosing(self._pages.follow(run.run_id)) as standings:
            async for found in standings:
                if found is None:
                    yield None
                elif standing_of(found) != heard:
                    heard = None
                    data = run_object(found, app=app, payload=payload)
                    yield Message(event="run_update", data=data, id=standing_of(found))


def app_of(request: web.Request) -> str:
    """The `{app}` of the route: any is taken, and said again."""
    return request.match_info.get("app", LOCAL_APP)


def _run_id(request: web.Request) -> str:
    return run_id_of(request.match_info["run"])
