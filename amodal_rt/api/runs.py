"""Runs over the API: one, lists of them, their journals."""

from collections.abc import AsyncGenerator
from typing import cast

from amodal_rt.api import routes
from amodal_rt.api.objects import AutomationRun, JournalEntry, JournalPage, RunPage, RunStatus
from amodal_rt.api.transport import Asks


class RunsApi:
    """Get, list, journal. Needs a token that may read."""

    def __init__(self, asks: Asks, *, app: str = routes.LOCAL_APP) -> None:
        self._asks = asks
        self._app = app

    async def get(self, run: str) -> AutomationRun:
        """One run."""
        return cast("AutomationRun", await self._asks.ask(routes.RUN.call({"run": run})))

    async def list(
        self,
        *,
        automation: str | None = None,
        status: RunStatus | None = None,
        limit: int | None = None,
        before_cursor: str | None = None,
        after_cursor: str | None = None,
    ) -> RunPage:
        """One page, newest first: of 50, or of `limit`, 100 at most. Skipped runs are there only
        when that status is asked for."""
        query = {
            "limit": limit,
            "before_cursor": before_cursor,
            "after_cursor": after_cursor,
            "status": status,
            "automation": automation,
        }
        call = routes.RUNS.call({"app": self._app}, query=query)
        return cast("RunPage", await self._asks.ask(call))

    async def all(
        self, *, automation: str | None = None, status: RunStatus | None = None
    ) -> AsyncGenerator[AutomationRun, None]:
        """Every one, newest first, page after page."""
        before: str | None = None
        while True:
            page = await self.list(
                automation=automation, status=status, limit=100, before_cursor=before
            )
            for each in page["data"]:
                yield each
            before = page["before_cursor"]
            if not page["has_more"] or before is None:
                return

    async def journal(
        self, run: str, *, limit: int | None = None, after_cursor: str | None = None
    ) -> JournalPage:
        """One page of a run's steps, in order."""
        query = {"limit": limit, "after_cursor": after_cursor}
        call = routes.JOURNAL.call({"run": run}, query=query)
        return cast("JournalPage", await self._asks.ask(call))

    async def steps(self, run: str) -> AsyncGenerator[JournalEntry, None]:
        """Every step that the run has made so far, in order."""
        after: str | None = None
        while True:
            page = await self.journal(run, limit=100, after_cursor=after)
            for each in page["data"]:
                yield each
            after = page["after_cursor"]
            if not page["has_more"] or after is None:
                return
