"""Automations over HTTP: `/apps/{app}/automations` and the developer plane of the platform."""

from collections.abc import Mapping, Sequence

from aiohttp import web

from amodal_rt import ids
from amodal_rt.clock import iso
from amodal_rt.definitions.words import camel
from amodal_rt.domain.automation import Lifecycle, WorkflowRun
from amodal_rt.domain.run import RunStatus
from amodal_rt.domain.token import Scope
from amodal_rt.errors import InvalidError
from amodal_rt.operations import asked, automation_shapes
from amodal_rt.operations.automation_shapes import Standing
from amodal_rt.operations.catalogue import EventTypes
from amodal_rt.operations.managing import Managing, Wanted, lifecycle_of, type_asked, type_of
from amodal_rt.operations.references import Names
from amodal_rt.operations.run_pages import RunPages, Wish, page_size
from amodal_rt.servers.api.objects import Object, run_object
from amodal_rt.servers.api.runs import RunDoor, app_of
from amodal_rt.servers.control_requests import body_of, text_of
from amodal_rt.servers.guard import TOKEN, Guarded, caller_of
from amodal_rt.servers.problems import respond

PREFIXES = (
    "/apps/{app}/automations",
    "/protected/api/v1/developer/apps/{app}/automations",
)
_RUNNING = "running"
"""The API's word for `active`."""
_RENAMED: Mapping[str, str] = {
    "name": "title",
    "config": "workflow",
    "configId": "workflow",
    "runAsUser": "runAs",
    "runAsAgent": "agent",
    "createdByUser": "createdBy",
}
"""Fields of an Automation, in camelCase, whose key in the file is another word."""
_SCHEMA_CONFIG = "inputSchemaConfig"


class ManagementApi:
    """List, create, show, update, delete, activate, pause; events and runs."""

    def __init__(
        self,
        managing: Managing,
        names: Names,
        event_types: EventTypes,
        pages: RunPages,
        runs: RunDoor,
    ) -> None:
        self._managing = managing
        self._names = names
        self._event_types = event_types
        self._pages = pages
        self._runs = runs

    def routes(self) -> list[Guarded]:
        """What answers where, and what for. `events` and `runs` are no names of automations."""
        return [each for prefix in PREFIXES for each in self._under(prefix)]

    def _under(self, prefix: str) -> Sequence[Guarded]:
        read, manage, runs = Scope.READ, Scope.MANAGE, self._runs
        one, run = f"{prefix}/{{automation}}", f"{prefix}/runs/{{run}}"
        rows = [
            ("GET", prefix, read, self._list),
            ("POST", prefix, manage, self._create),
            ("GET", f"{prefix}/events", read, self._events),
            ("GET", f"{prefix}/runs", read, self._list_runs),
            ("GET", run, read, runs.show),
            ("GET", f"{run}/journal", read, runs.journal),
            ("GET", one, read, self._show),
            ("PATCH", one, manage, self._update),
            ("PUT", one, manage, self._update),
            ("DELETE", one, manage, self._delete),
            ("POST", f"{one}/activate", manage, self._activate),
            ("POST", f"{one}/pause", manage, self._pause),
            ("GET", f"{one}/runs", read, self._list_runs),
        ]
        return [
            *(
                Guarded(method=each[0], path=each[1], scope=each[2], answer=each[3])
                for each in rows
            ),
            Guarded(
                method="GET", path=f"{run}/stream", scope=read, answer=runs.stream, streams=True
            ),
        ]

    async def _list(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        page = await self._managing.page(
            caller_of(request),
            wish_of(request),
            type=type_asked(query.get("type")),
            status=_status(query.get("status")),
        )
        data = [_object(each, request) for each in page.standings]
        return respond(_page(data, page.before, page.after, more=page.more))

    async def _show(self, request: web.Request) -> web.StreamResponse:
        return respond(await self._standing(request, self._name(request)))

    async def _create(self, request: web.Request) -> web.StreamResponse:
        made = await self._managing.create(caller_of(request), wanted_of(await body_of(request)))
        return respond(_object(made, request), 201)

    async def _update(self, request: web.Request) -> web.StreamResponse:
        name, body = self._name(request), await body_of(request)
        changed = await self._managing.update(caller_of(request), name, wanted_of(body))
        return respond(_object(changed, request))

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        await self._managing.delete(caller_of(request), self._name(request))
        return web.Response(status=204)

    async def _activate(self, request: web.Request) -> web.StreamResponse:
        found = await self._managing.activate(caller_of(request), self._name(request))
        return respond(_object(found, request))

    async def _pause(self, request: web.Request) -> web.StreamResponse:
        reason = text_of(await body_of(request), "reason")
        found = await self._managing.pause(caller_of(request), self._name(request), reason=reason)
        return respond(_object(found, request))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        rows = await self._event_types.list_all(caller_of(request))
        return respond(
            [{"name": each["type"], "description": each["description"]} for each in rows]
        )

    async def _list_runs(self, request: web.Request) -> web.StreamResponse:
        named = request.match_info.get("automation") or request.query.get("automation")
        page = await self._pages.page(
            caller_of(request),
            wish_of(request),
            automation=self._names.find(named) if named else None,
            status=run_status_of(request),
        )
        app = app_of(request)
        data = [run_object(each, app=app, payload=each.payload) for each in page.runs]
        return respond(_page(data, page.before, page.after, more=page.more))

    def _name(self, request: web.Request) -> str:
        return self._names.find(request.match_info["automation"])

    async def _standing(self, request: web.Request, name: str) -> Object:
        return _object(await self._managing.show(caller_of(request), name), request)


def wish_of(request: web.Request) -> Wish:
    """Which page a request asks for. Raises InvalidError (`bad_limit`)."""
    query = request.query
    return Wish(
        limit=page_size(query.get("limit")),
        before=query.get("before_cursor") or None,
        after=query.get("after_cursor") or None,
    )


def run_status_of(request: web.Request) -> RunStatus | None:
    """Which runs a request asks for. Raises InvalidError (`bad_status`)."""
    text = request.query.get("status")
    return None if text is None else asked.run_status(text or " ")


def wanted_of(body: Mapping[str, object]) -> Wanted:
    """An Automation's fields, or keys of the file in either spelling, as keys of the file.

    Raises InvalidError (`bad_body`) for a field that two spellings give, and for a schema that is
    named and not given.
    """
    keys: dict[str, object] = {}
    for field, value in body.items():
        key = _RENAMED.get(camel(field), camel(field))
        if key == _SCHEMA_CONFIG:
            if value is None:
                # As it is shown: `input_schema` says which schema there is.
                continue
            key = _schema_key(value)
        if key in keys:
            raise InvalidError(f"{key} is given twice", code="bad_body")
        keys[key] = value
    if keys.get("status") == _RUNNING:
        keys["status"] = Lifecycle.ACTIVE.value
    kind = keys.pop("type", None)
    if kind is not None and not isinstance(kind, str):
        raise InvalidError("type is not a text", code="bad_body")
    slug = keys.get("lookupKey")
    return Wanted(keys=keys, type=type_asked(kind), slug=slug if isinstance(slug, str) else None)


def _schema_key(value: object) -> str:
    """The key of the schema that a field gives which, on the platform, names one."""
    if isinstance(value, Mapping):
        return "inputSchema"
    raise InvalidError(
        "input_schema_config names a schema, and this runtime keeps none by name",
        code="bad_body",
        hint="give the JSON Schema itself, as input_schema",
    )


def automation_object(standing: Standing, *, app: str, url: str | None = None) -> Object:
    """An Automation. `issue` says why its file cannot run as it is; `lookup_key` is the file's
    stem where it has none of its own."""
    state = standing.state
    parsed = state.definition.automation if state.definition else None
    status = lifecycle_of(standing)
    wrong = [each for each in (*state.problems, *state.blocked) if each.severity == "error"]
    dates = standing.dates
    work = parsed.work if parsed else None
    rules = parsed.invocation if parsed else None
    return {
        "id": ids.automation(state.name),
        "app": app,
        "name": parsed.title if parsed else state.name,
        "type": type_of(parsed),
        "status": _RUNNING if status is Lifecycle.ACTIVE else status.value,
        "description": parsed.description if parsed else None,
        "trigger": next(iter(automation_shapes.event_names(parsed)), None),
        "schedule": automation_shapes.schedule_text(parsed),
        "timezone": automation_shapes.zone(parsed),
        "config": work.workflow.name if isinstance(work, WorkflowRun) else None,
        "lookup_key": (parsed.lookup_key if parsed else None) or state.name,
        "metadata": dict(parsed.metadata) if parsed else {},
        "run_as_user": parsed.run_as if parsed else None,
        "run_as_agent": parsed.agent if parsed else None,
        "invoke_auth": rules.auth.value if rules and rules.auth else None,
        "input_schema_config": None,
        "input_schema": rules.schema if rules else None,
        "prefills": {"payload": rules.prefills} if rules and rules.prefills else None,
        "created_by_user": parsed.created_by if parsed else None,
        "creator": None,
        "created_at": iso(dates.created_at if dates else None),
        "updated_at": iso(dates.updated_at if dates else None),
        "file": state.file,
        "next_run_at": iso(standing.next_run_at),
        "webhook_url": url,
        "issue": {"code": wrong[0].code, "message": wrong[0].sentence()} if wrong else None,
    }


def _object(standing: Standing, request: web.Request) -> Object:
    # Whoever holds the URL of an unsigned webhook may start it.
    may_start = request[TOKEN].allows(Scope.TRIGGER)
    url = standing.webhook_url if may_start else None
    return automation_object(standing, app=app_of(request), url=url)


def _page(data: list[Object], before: str | None, after: str | None, *, more: bool) -> Object:
    return {"data": data, "before_cursor": before, "after_cursor": after, "has_more": more}


def _status(text: str | None) -> Lifecycle | None:
    said = Lifecycle.ACTIVE.value if text == _RUNNING else text
    return None if said is None else asked.choice(Lifecycle, said or " ", what="status")
