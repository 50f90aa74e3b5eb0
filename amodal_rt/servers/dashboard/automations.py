"""The overview, and the page of one automation."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from amodal_rt.domain.automation import Definition
from amodal_rt.domain.token import Scope
from amodal_rt.errors import InvalidError
from amodal_rt.operations import automation_shapes
from amodal_rt.operations.given import asks_for_payload
from amodal_rt.operations.outlook import Prospect
from amodal_rt.operations.run_pages import Wish
from amodal_rt.servers.dashboard import words
from amodal_rt.servers.dashboard.frames import Frames
from amodal_rt.servers.dashboard.rooms import Rooms
from amodal_rt.servers.dashboard.timeline import strip
from amodal_rt.servers.dashboard.visits import Route, Visit, quoted, see

ROWS = 15
"""Automations of a page: with its style, the page stays under 50 KB."""
_RUNS = 8
_RULINGS = 8
_TIMES = 5


class AutomationPages:
    """Looks at automations, and starts, pauses and resumes them."""

    def __init__(self, rooms: Rooms, frames: Frames) -> None:
        self._rooms = rooms
        self._frames = frames

    def routes(self) -> list[Route]:
        """What answers where."""
        one = "/dashboard/automations/{name}"
        rows = [
            ("GET", "/", Scope.READ, self._overview),
            ("GET", one, Scope.READ, self._show),
            ("POST", f"{one}/trigger", Scope.TRIGGER, self._trigger),
            ("POST", f"{one}/pause", Scope.MANAGE, self._pause),
            ("POST", f"{one}/resume", Scope.MANAGE, self._resume),
        ]
        return [Route(method=row[0], path=row[1], scope=row[2], answer=row[3]) for row in rows]

    async def _overview(self, visit: Visit) -> web.StreamResponse:
        page = await self._rooms.outlook.page(visit.caller, visit.wish(ROWS))
        values = {
            "rows": [_row(each) for each in page.rows],
            "before": page.before,
            "after": visit.back(page.after, more=page.more),
            "attention": await self._rooms.outlook.attention(visit.caller),
            "budgets": (await self._rooms.spending.show(visit.caller))["budgets"],
        }
        return await self._frames.page(
            visit, "overview.html", values, title="Automations", current="automations"
        )

    async def _show(self, visit: Visit) -> web.StreamResponse:
        name, rooms, caller = visit.part("name"), self._rooms, visit.caller
        document = await rooms.automations.show(caller, name)
        prospect = await rooms.outlook.show(caller, name)
        runs = await rooms.run_pages.page(caller, Wish(limit=_RUNS), automation=name)
        at = visit.asked("at")
        values = {
            "found": _shown(document, visit),
            "row": _row(prospect),
            "times": rooms.outlook.next_times(prospect.standing, _TIMES),
            "zone": document["timezone"] or "UTC",
            "powers": words.powers(document),
            "runs": runs.runs,
            "wanted": await _wanted(prospect.standing.state.definition),
            "at": at,
            "rulings": await rooms.why.explain(caller, name, at=at, limit=_RULINGS),
        }
        return await self._frames.page(
            visit, "automation.html", values, title=str(document["title"]), current="automations"
        )

    async def _trigger(self, visit: Visit) -> web.StreamResponse:
        started = await self._rooms.automations.trigger(
            visit.caller,
            visit.part("name"),
            payload=_payload(visit.given("payload")),
            rehearse=visit.given("rehearse") is not None,
        )
        see(f"/dashboard/runs/{started['run_id']}", said="started")

    async def _pause(self, visit: Visit) -> web.StreamResponse:
        name = visit.part("name")
        await self._rooms.automations.pause(visit.caller, name, reason=visit.given("reason"))
        see(f"/dashboard/automations/{quoted(name)}", said="paused")

    async def _resume(self, visit: Visit) -> web.StreamResponse:
        name = visit.part("name")
        await self._rooms.automations.resume(visit.caller, name)
        see(f"/dashboard/automations/{quoted(name)}", said="resumed")


def _row(found: Prospect) -> Mapping[str, object]:
    standing = found.standing
    parsed = standing.state.definition.automation if standing.state.definition else None
    zone = automation_shapes.zone(parsed) or "UTC"
    rate, ended = words.success(found.ends)
    return {
        **automation_shapes.automation(standing),
        "when": words.schedules_in_words(parsed),
        "zone": zone,
        "strip": strip(found.fires, since=found.since, zone=zone),
        "rate": rate,
        "ended": ended,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What a payload must be like, as JSON for people; None where the file does not say.
    `required`: without one nothing starts."""

    required: bool = False
    schema: str | None = None
    locked: str | None = None


async def _wanted(definition: Definition | None) -> _Wanted:
    rules = definition.automation.invocation if definition else None
    if definition is None or rules is None:
        return _Wanted()
    return _Wanted(
        required=await asks_for_payload(definition),
        schema=None if rules.schema is None else words.pretty(rules.schema),
        locked=words.pretty(rules.prefills) if rules.prefills else None,
    )


def _shown(document: Mapping[str, object], visit: Visit) -> Mapping[str, object]:
    # Whoever holds the URL of an unsigned webhook may start it.
    may_start = visit.session.allows(Scope.TRIGGER)
    return document if may_start else {**document, "webhook_url": None}


def _payload(text: str | None) -> object:
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidError(
            "the payload is not JSON",
            code="bad_payload",
            hint='go back and write it like {"key": "value"}, or leave it empty',
        ) from None
