"""The verbs of the control socket over TCP, for bearers of a token."""

from collections.abc import Callable, Mapping
from typing import cast

from aiohttp import web

from amodal_rt.domain.token import Scope
from amodal_rt.errors import UnavailableError
from amodal_rt.servers.control import JOURNAL, Answering, Verbs, control_routes
from amodal_rt.servers.deadlines import begin_stream
from amodal_rt.servers.guard import TOKEN, Answer, Guarded
from amodal_rt.servers.problems import respond

_STARTS = frozenset(
    {
        "/v1/automations/{name}/test-event",
        "/v1/automations/{name}/trigger",
        "/v1/events",
        "/v1/events/{id}/replay",
        "/v1/runs/{id}/replay",
    }
)
"""What starts runs or says that something happened; all other changes are management."""
_MANAGED = frozenset({"/v1/tokens"})
"""What only who manages may look at."""


def control_guarded(verbs: Verbs) -> list[Guarded]:
    """Every route of the control socket, with the scope that it needs over TCP."""
    routes = control_routes(verbs)
    follow = _following(routes.journal)
    return [
        *(_guarded("GET", path, answer) for path, answer in routes.reads.items()),
        *(_guarded("POST", path, answer) for path, answer in routes.changes.items()),
        Guarded(method="GET", path=JOURNAL, scope=Scope.READ, answer=follow, streams=True),
    ]


def _guarded(method: str, path: str, answer: Answering) -> Guarded:
    if method == "POST":
        scope = Scope.TRIGGER if path in _STARTS else Scope.MANAGE
    else:
        scope = Scope.MANAGE if path in _MANAGED else Scope.READ

    async def answered(request: web.Request) -> web.StreamResponse:
        document = await answer(request)
        # Whoever holds the URL of an unsigned webhook may start it.
        return respond(
            document if request[TOKEN].allows(Scope.TRIGGER) else _without_urls(document)
        )

    return Guarded(method=method, path=path, scope=scope, answer=answered)


def _following(journal: Callable[[web.Request], object]) -> Answer:
    async def answered(request: web.Request) -> web.StreamResponse:
        if request.query.get("follow") in ("1", "true") and not begin_stream(request):
            raise UnavailableError("too many listen already", code="too_many_streams")
        answer = await cast("Answer", journal)(request)
        # What only listened is not let in again among those who ask.
        answer.force_close()
        return answer

    return answered


def _without_urls(document: object) -> object:
    if isinstance(document, list):
        return [_without_urls(each) for each in cast("list[object]", document)]
    if isinstance(document, dict) and "webhook_url" in document:
        return {**cast("Mapping[str, object]", document), "webhook_url": None}
    return cast("object", document)
