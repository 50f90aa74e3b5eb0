"""Automations over the API: their files, and whether they run."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Literal, cast

from amodal_rt.api import routes
from amodal_rt.api.objects import (
    Automation,
    AutomationInput,
    AutomationPage,
    AutomationType,
    EventName,
    RunPage,
    RunStatus,
)
from amodal_rt.api.transport import Asks

Fields = AutomationInput | Mapping[str, object]


class AutomationsApi:
    """List, get, create, update, delete, activate, pause. Looking needs a token that may read,
    all else one that may manage."""

    def __init__(self, asks: Asks, *, app: str = routes.LOCAL_APP) -> None:
        self._asks = asks
        self._app = app

    async def list(
        self,
        *,
        type: AutomationType | None = None,
        status: Literal["draft", "running", "active", "paused"] | None = None,
        limit: int | None = None,
        before_cursor: str | None = None,
        after_cursor: str | None = None,
    ) -> AutomationPage:
        """One page, by name: of 50, or of `limit`, 100 at most."""
        query = {
            "limit": limit,
            "before_cursor": before_cursor,
            "after_cursor": after_cursor,
            "type": type,
            "status": status,
        }
        call = routes.AUTOMATIONS.call(self._parts(), query=query)
        return cast("AutomationPage", await self._asks.ask(call))

    async def all(
        self,
        *,
        type: AutomationType | None = None,
        status: Literal["draft", "running", "active", "paused"] | None = None,
    ) -> AsyncGenerator[Automation, None]:
        """Every one, by name, page after page."""
        before: str | None = None
        while True:
            page = await self.list(type=type, status=status, limit=100, before_cursor=before)
            for each in page["data"]:
                yield each
            before = page["before_cursor"]
            if not page["has_more"] or before is None:
                return

    async def get(self, automation: str) -> Automation:
        """One of them."""
        call = routes.AUTOMATION.call(self._parts(automation))
        return cast("Automation", await self._asks.ask(call))

    async def create(self, fields: Fields) -> Automation:
        """Write the file of a new one, a `draft` unless it says otherwise."""
        call = routes.CREATE.call(self._parts(), body=fields)
        return cast("Automation", await self._asks.ask(call))

    async def update(self, automation: str, fields: Fields) -> Automation:
        """Change the keys of its file that `fields` name, and no other; None takes one away."""
        call = routes.UPDATE.call(self._parts(automation), body=fields)
        return cast("Automation", await self._asks.ask(call))

    async def delete(self, automation: str) -> None:
        """Take its file away; what is pending of it is cancelled."""
        await self._asks.ask(routes.DELETE.call(self._parts(automation)))

    async def activate(self, automation: str) -> Automation:
        """Write `active` into its file."""
        call = routes.ACTIVATE.call(self._parts(automation))
        return cast("Automation", await self._asks.ask(call))

    async def pause(self, automation: str, *, reason: str | None = None) -> Automation:
        """Let nothing of it start."""
        body = None if reason is None else {"reason": reason}
        call = routes.PAUSE.call(self._parts(automation), body=body)
        return cast("Automation", await self._asks.ask(call))

    async def runs(
        self,
        automation: str,
        *,
        status: RunStatus | None = None,
        limit: int | None = None,
        before_cursor: str | None = None,
        after_cursor: str | None = None,
    ) -> RunPage:
        """One page of its runs, newest first; skipped ones only when that status is asked for."""
        query = {
            "limit": limit,
            "before_cursor": before_cursor,
            "after_cursor": after_cursor,
            "status": status,
        }
        call = routes.RUNS_OF.call(self._parts(automation), query=query)
        return cast("RunPage", await self._asks.ask(call))

    async def event_names(self) -> tuple[EventName, ...]:
        """The types of event that are known."""
        found = await self._asks.ask(routes.EVENT_NAMES.call(self._parts()))
        return tuple(cast("Sequence[EventName]", found))

    def _parts(self, automation: str | None = None) -> Mapping[str, str]:
        app = {"app": self._app}
        return app if automation is None else {**app, "automation": automation}
