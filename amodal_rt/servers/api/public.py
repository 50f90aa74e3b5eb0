"""`/api/v1`: what the published client calls, and what models cost."""

from collections.abc import Mapping
from typing import cast

from aiohttp import web

from amodal_rt.domain.invocation import InvokeAuth
from amodal_rt.domain.token import Scope
from amodal_rt.errors import InvalidError
from amodal_rt.guardrails.causes import HEADER, Causes
from amodal_rt.operations.invoking import Invoking
from amodal_rt.operations.references import Names, run_id_of
from amodal_rt.operations.run_pages import RunPages
from amodal_rt.operations.spending import Spending
from amodal_rt.servers.api.runs import RunDoor
from amodal_rt.servers.control_requests import body_of, days_of, text_of
from amodal_rt.servers.guard import Guarded, caller_of
from amodal_rt.servers.problems import respond

PREFIX = "/api/v1"
_INVOKE_KEYS = frozenset({"payload", "participants", "idempotency_key"})


class PublicApi:
    """Invoke, and look at runs and at what they cost."""

    def __init__(
        self,
        invoking: Invoking,
        names: Names,
        pages: RunPages,
        runs: RunDoor,
        causes: Causes,
        spending: Spending,
    ) -> None:
        self._invoking = invoking
        self._causes = causes
        self._names = names
        self._pages = pages
        self._runs = runs
        self._spending = spending

    def routes(self) -> list[Guarded]:
        """What answers where, and what for."""
        run = f"{PREFIX}/automation_runs/{{run}}"
        invoke = f"{PREFIX}/automations/{{automation}}/invoke"
        read = Scope.READ
        return [
            Guarded(method="POST", path=invoke, scope=Scope.TRIGGER, answer=self._invoke),
            Guarded(method="GET", path=run, scope=read, answer=self._runs.show),
            Guarded(method="GET", path=f"{run}/journal", scope=read, answer=self._runs.journal),
            Guarded(
                method="GET",
                path=f"{run}/stream",
                scope=read,
                answer=self._runs.stream,
                streams=True,
            ),
            Guarded(method="GET", path=f"{PREFIX}/spend", scope=read, answer=self._spend),
        ]

    async def _spend(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        return respond(
            await self._spending.show(
                caller_of(request),
                days=days_of(request),
                by=query.get("by", "automation"),
                automation=query.get("automation") or None,
            )
        )

    async def _invoke(self, request: web.Request) -> web.StreamResponse:
        body = await body_of(request)
        if unknown := sorted(body.keys() - _INVOKE_KEYS):
            raise InvalidError(f"invoke knows no {unknown[0][:80]!r}", code="unknown_key")
        caller = caller_of(request)
        started = await self._invoking.invoke(
            caller,
            self._names.find(request.match_info["automation"]),
            payload=_object(body, "payload"),
            participants=_object(body, "participants"),
            idempotency_key=text_of(body, "idempotency_key"),
            # A token is a program's; a person signs in at the dashboard.
            shown=InvokeAuth.SECRET_KEY,
            cause=self._causes.read(request.headers.getall(HEADER, [])),
        )
        run = await self._pages.get(caller, run_id_of(str(started["run_id"])))
        return respond(await self._runs.object_of(run))


def _object(body: Mapping[str, object], key: str) -> Mapping[str, object] | None:
    value = body.get(key)
    if value is not None and not isinstance(value, dict):
        raise InvalidError(f"{key} is not a JSON object", code="bad_body")
    return cast("Mapping[str, object] | None", value)
