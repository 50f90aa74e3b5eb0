"""OpenAPI 3.1 of everything that the guard lets in: `/openapi.json`."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from amodal_rt import __version__
from amodal_rt.domain.token import Scope
from amodal_rt.operations.spending import GROUPS, MOST_DAYS
from amodal_rt.servers.api.automations import PREFIXES
from amodal_rt.servers.api.public import PREFIX
from amodal_rt.servers.api.schemas import COMPONENTS, Schema, ref
from amodal_rt.servers.guard import Guarded
from amodal_rt.servers.problems import respond

PATH = "/openapi.json"
_JSON = "application/json"
_EVENTS = "text/event-stream"
_LINES = "application/x-ndjson"
_PARAMETER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a route is for, beside where it is and what it needs. `answer` None is 204."""

    summary: str
    answer: Schema | None = None
    body: Schema | None = None
    query: Mapping[str, Schema] | None = None
    status: int = 200
    media: str = _JSON
    also: Sequence[int] = ()


_LIMIT: Schema = {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}
_CURSOR: Schema = {"type": "string"}
_PAGE: Mapping[str, Schema] = {
    "limit": _LIMIT,
    "before_cursor": _CURSOR,
    "after_cursor": _CURSOR,
}
_RUN_STATUS: Schema = {
    "enum": ["pending", "running", "completed", "failed", "cancelled", "skipped"]
}
_AUTOMATION, _RUN, _RUNS = ref("Automation"), ref("AutomationRun"), ref("RunPage")
_INPUT, _JOURNAL = ref("AutomationInput"), ref("JournalPage")
_REASON: Schema = {
    "type": ["object", "null"],
    "properties": {"reason": {"type": ["string", "null"]}},
}
_FORWARD: Mapping[str, Schema] = {"limit": _LIMIT, "after_cursor": _CURSOR}
_STREAM = About(
    summary="Follow a run: `run_update` now and at each change, until it has ended; 204 when "
    "`Last-Event-ID` is its end",
    answer={"type": "string"},
    media=_EVENTS,
    also=(204,),
)
_SHOWN = About(summary="A run", answer=_RUN)
_STEPS = About(summary="A run's journal", answer=_JOURNAL, query=_FORWARD)

_PUBLIC: Mapping[str, About] = {
    f"POST {PREFIX}/automations/{{automation}}/invoke": About(
        summary="Start a run of an invoked automation", answer=_RUN, body=ref("Invocation")
    ),
    f"GET {PREFIX}/automation_runs/{{run}}": _SHOWN,
    f"GET {PREFIX}/automation_runs/{{run}}/journal": _STEPS,
    f"GET {PREFIX}/automation_runs/{{run}}/stream": _STREAM,
    f"GET {PREFIX}/spend": About(
        summary="What models cost, and how the budgets of today stand",
        answer=ref("Spend"),
        query={
            "days": {"type": "integer", "minimum": 1, "maximum": MOST_DAYS, "default": 1},
            "by": {"enum": list(GROUPS), "default": "automation"},
            "automation": {"type": "string"},
        },
    ),
    f"GET {PATH}": About(summary="This document", answer={"type": "object"}),
}
_MANAGEMENT: Mapping[str, About] = {
    "GET ": About(
        summary="Automations by name",
        answer=ref("AutomationPage"),
        query={
            **_PAGE,
            "type": {"enum": ["trigger", "scheduled", "invoked"]},
            "status": {"enum": ["draft", "running", "active", "paused"]},
        },
    ),
    "POST ": About(
        summary="Write the file of a new automation", answer=_AUTOMATION, body=_INPUT, status=201
    ),
    "GET /events": About(
        summary="Types of event", answer={"type": "array", "items": ref("EventName")}
    ),
    "GET /runs": About(
        summary="Runs, newest first",
        answer=_RUNS,
        query={**_PAGE, "status": _RUN_STATUS, "automation": {"type": "string"}},
    ),
    "GET /runs/{run}": _SHOWN,
    "GET /runs/{run}/journal": _STEPS,
    "GET /runs/{run}/stream": _STREAM,
    "GET /{automation}": About(summary="An automation", answer=_AUTOMATION),
    "PATCH /{automation}": About(summary="Change its file", answer=_AUTOMATION, body=_INPUT),
    "PUT /{automation}": About(summary="As PATCH", answer=_AUTOMATION, body=_INPUT),
    "DELETE /{automation}": About(summary="Take its file away", status=204),
    "POST /{automation}/activate": About(summary="Let it run", answer=_AUTOMATION),
    "POST /{automation}/pause": About(
        summary="Let nothing of it start", answer=_AUTOMATION, body=_REASON
    ),
    "GET /{automation}/runs": About(
        summary="Its runs, newest first", answer=_RUNS, query={**_PAGE, "status": _RUN_STATUS}
    ),
}
ABOUT: Mapping[str, About] = {
    **_PUBLIC,
    **{
        f"{method} {prefix}{path}": about
        for prefix in PREFIXES
        for key, about in _MANAGEMENT.items()
        for method, path in [key.split(" ", 1)]
    },
}
"""By `METHOD path`. The verbs of the control socket are told of on the HTTP page."""


def openapi(routes: Iterable[Guarded], *, url: str | None = None) -> dict[str, object]:
    """The document of `routes`."""
    paths: dict[str, dict[str, object]] = {}
    for each in routes:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each)
    header = {"type": "apiKey", "in": "header"}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "amodal-rt",
            "version": __version__,
            "description": "Automations of a workspace: what may run, what ran, and how it went.",
        },
        "servers": [{"url": url or "/"}],
        "security": [{"bearer": []}, {"key": []}, {"platform": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {**header, "name": "x-api-key"},
                "platform": {**header, "name": "x-archastro-api-key"},
            },
            "schemas": dict(COMPONENTS),
        },
    }


def openapi_route(routes: Sequence[Guarded]) -> Guarded:
    """The route that tells of `routes` and of itself."""
    document: dict[str, object] = {}

    async def answer(request: web.Request) -> web.StreamResponse:
        return respond(document)

    route = Guarded(method="GET", path=PATH, scope=Scope.READ, answer=answer)
    document.update(openapi([*routes, route]))
    return route


def _operation(route: Guarded) -> dict[str, object]:
    about = ABOUT.get(f"{route.method} {route.path}") or _verb(route)
    operation: dict[str, object] = {
        "operationId": _name(route),
        "summary": about.summary,
        "description": f"Needs a token with the scope `{route.scope.value}`."
        if route.scope
        else "Needs a token.",
        "parameters": [*_in_path(route.path), *_in_query(about.query or {})],
        "responses": _responses(about),
    }
    if about.body is not None:
        operation["requestBody"] = {"content": {_JSON: {"schema": about.body}}}
    return operation


def _responses(about: About) -> dict[str, object]:
    content = {about.media: {"schema": about.answer}}
    done: dict[str, object] = {"description": "Done"}
    if about.answer is not None:
        done["content"] = content
    problem = {"description": "Refused", "content": {_JSON: {"schema": ref("Problem")}}}
    also = {str(each): {"description": "Nothing more"} for each in about.also}
    return {str(about.status): done, **also, "4XX": problem, "5XX": problem}


def _in_path(path: str) -> list[object]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PARAMETER.findall(path)
    ]


def _in_query(query: Mapping[str, Schema]) -> list[object]:
    return [{"name": name, "in": "query", "schema": schema} for name, schema in query.items()]


def _verb(route: Guarded) -> About:
    """A verb of the control socket, which answers the documents of the command line."""
    words = route.path.removeprefix("/v1/")
    if route.streams:
        return About(
            summary="A run's journal, as JSON Lines", answer={"type": "string"}, media=_LINES
        )
    body: Schema | None = {"type": ["object", "null"]} if route.method == "POST" else None
    return About(summary=f"The verb {words}", answer={}, body=body)


def _name(route: Guarded) -> str:
    words = re.sub(r"[^a-zA-Z0-9]+", "_", route.path).strip("_")
    return f"{route.method.lower()}_{words}"
