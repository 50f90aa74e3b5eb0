"""The verbs by their paths, for every door that speaks HTTP."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from amodal_rt.clock import Clock
from amodal_rt.domain.cause import Cause
from amodal_rt.domain.delivery import DeliveryStatus
from amodal_rt.guardrails.causes import HEADER, Causes
from amodal_rt.operations import asked
from amodal_rt.operations.approvals import Approvals
from amodal_rt.operations.audit import Audit
from amodal_rt.operations.automations import Automations
from amodal_rt.operations.bus import EventBus
from amodal_rt.operations.catalogue import EventTypes
from amodal_rt.operations.connections import Connections, Stores
from amodal_rt.operations.deliveries import Deliveries
from amodal_rt.operations.event_tests import EventTests
from amodal_rt.operations.events import Events
from amodal_rt.operations.identities import Members
from amodal_rt.operations.integrations import Integrations
from amodal_rt.operations.managing import Managing
from amodal_rt.operations.nodes import Nodes
from amodal_rt.operations.runs import Runs
from amodal_rt.operations.sessions import Sessions
from amodal_rt.operations.spending import Spending
from amodal_rt.operations.tokens import Tokens
from amodal_rt.operations.why import Why
from amodal_rt.servers.control_approvals import ApprovalDoor
from amodal_rt.servers.control_authoring import AuthoringDoor
from amodal_rt.servers.control_bus import BusDoor
from amodal_rt.servers.control_catalogue import CatalogueDoor
from amodal_rt.servers.control_requests import (
    asks,
    body_of,
    caller_of,
    days_of,
    id_of,
    limit_of,
    name_of,
    number_of,
    shown_by,
    text_of,
    texts_of,
)

JOURNAL = "/v1/runs/{id}/journal"
Answering = Callable[[web.Request], Awaitable[object]]
"""One verb: arguments in, document out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verbs:
    """What the control socket offers. `status` describes the daemon itself."""

    automations: Automations
    managing: Managing
    runs: Runs
    events: Events
    deliveries: Deliveries
    connections: Connections
    stores: Stores
    integrations: Integrations
    nodes: Nodes
    spending: Spending
    causes: Causes
    why: Why
    bus: EventBus
    event_tests: EventTests
    tokens: Tokens
    approvals: Approvals
    audit: Audit
    event_types: EventTypes
    members: Members
    sessions: Sessions
    status: Callable[[], Mapping[str, object]]
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """The verbs by path: what looks, what changes, and the journal, which is no one document."""

    reads: Mapping[str, Answering]
    changes: Mapping[str, Answering]
    journal: Callable[[web.Request], Awaitable[web.StreamResponse]]


def control_routes(verbs: Verbs) -> Routes:
    """The same for every door. The first path that fits counts: `/v1/events/types` is no event."""
    door, bus = _Door(verbs), BusDoor(verbs.bus, verbs.events, verbs.tokens, verbs.causes)
    catalogue = CatalogueDoor(verbs.event_types, verbs.members)
    authoring = AuthoringDoor(verbs.managing, verbs.automations, verbs.causes)
    approvals = ApprovalDoor(verbs.approvals, verbs.causes)
    return Routes(
        reads={**catalogue.reads(), **door.reads(), **bus.reads(), **approvals.reads()},
        changes={
            **catalogue.changes(),
            **door.changes(),
            **bus.changes(),
            **authoring.changes(),
            **approvals.changes(),
        },
        journal=door.journal,
    )


class _Door:
    """One method a route: arguments in, document out."""

    def __init__(self, verbs: Verbs) -> None:
        self._verbs = verbs

    def reads(self) -> Mapping[str, Answering]:
        return {
            "/v1/status": self._status,
            "/v1/automations": lambda r: self._verbs.automations.list_all(caller_of(r)),
            "/v1/automations/{name}": lambda r: self._verbs.automations.show(
                caller_of(r), name_of(r)
            ),
            "/v1/automations/{name}/powers": lambda r: self._verbs.automations.powers(
                caller_of(r), name_of(r)
            ),
            "/v1/automations/{name}/why": self._why,
            "/v1/runs": self._runs,
            "/v1/runs/{id}": lambda r: self._verbs.runs.show(caller_of(r), id_of(r)),
            "/v1/deliveries": self._deliveries,
            "/v1/deliveries/{id}": lambda r: self._verbs.deliveries.show(caller_of(r), id_of(r)),
            "/v1/connections": lambda r: self._verbs.connections.list_all(caller_of(r)),
            "/v1/connections/{name}/tools": lambda r: self._verbs.connections.tools(
                caller_of(r), name_of(r)
            ),
            "/v1/integrations": lambda r: self._verbs.integrations.list_all(caller_of(r)),
            "/v1/nodes": self._nodes,
            "/v1/spend": self._spend,
            "/v1/audit": self._audit,
            "/v1/stores": lambda r: self._verbs.stores.list_all(caller_of(r)),
            "/v1/stores/{name}": lambda r: self._verbs.stores.show(
                caller_of(r), name_of(r), limit=limit_of(r, 100)
            ),
        }

    def changes(self) -> Mapping[str, Answering]:
        automations, runs = self._verbs.automations, self._verbs.runs
        return {
            "/v1/automations/pause": self._pause_all,
            "/v1/automations/{name}/pause": self._pause,
            "/v1/automations/{name}/resume": lambda r: automations.resume(caller_of(r), name_of(r)),
            "/v1/automations/{name}/activate": lambda r: automations.activate(
                caller_of(r), name_of(r)
            ),
            "/v1/automations/{name}/reset": lambda r: automations.reset(caller_of(r), name_of(r)),
            "/v1/automations/{name}/rotate-url": lambda r: automations.rotate_url(
                caller_of(r), name_of(r)
            ),
            "/v1/automations/{name}/trigger": self._trigger,
            "/v1/automations/{name}/test-event": self._test_event,
            "/v1/runs/{id}/cancel": lambda r: runs.cancel(caller_of(r), id_of(r)),
            "/v1/runs/{id}/replay": lambda r: runs.replay(
                caller_of(r), id_of(r), shown=shown_by(r), cause=self._cause(r)
            ),
            "/v1/deliveries/retry": self._retry_all,
            "/v1/deliveries/{id}/retry": lambda r: self._verbs.deliveries.retry(
                caller_of(r), id_of(r)
            ),
            "/v1/audit/verify": self._verify,
            "/v1/connections/{name}/approve": self._approve_tools,
            "/v1/connections/{name}/test": lambda r: self._verbs.connections.test(
                caller_of(r), name_of(r)
            ),
        }

    async def _approve_tools(self, request: web.Request) -> object:
        tools = texts_of(await body_of(request), "tools") or None
        return await self._verbs.connections.approve(caller_of(request), name_of(request), tools)

    async def journal(self, request: web.Request) -> web.StreamResponse:
        """JSON Lines as they are written; with `follow=1` until the run has ended."""
        query = request.query
        batches = self._verbs.runs.journal(
            caller_of(request),
            id_of(request),
            after=number_of(query.get("after")),
            follow=query.get("follow") in ("1", "true"),
        )
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        async for batch in batches:
            if not response.prepared:
                await response.prepare(request)
            await response.write(b"".join(json.dumps(line).encode() + b"\n" for line in batch))
        if not response.prepared:
            await response.prepare(request)
        await response.write_eof()
        return response

    async def _status(self, request: web.Request) -> object:
        return self._verbs.status()

    async def _nodes(self, request: web.Request) -> object:
        nodes, caller = self._verbs.nodes, caller_of(request)
        everything = asks(request, "all")
        return await (nodes.list_all(caller) if everything else nodes.list_recent(caller))

    async def _audit(self, request: web.Request) -> object:
        query = request.query
        return await self._verbs.audit.list_all(
            caller_of(request),
            since=query.get("since"),
            run_id=query.get("run"),
            automation=query.get("automation"),
            limit=limit_of(request),
        )

    async def _verify(self, request: web.Request) -> object:
        head = text_of(await body_of(request), "head")
        return await self._verbs.audit.verify(caller_of(request), head=head)

    async def _spend(self, request: web.Request) -> object:
        query = request.query
        return await self._verbs.spending.show(
            caller_of(request),
            days=days_of(request),
            by=query.get("by", "automation"),
            automation=query.get("automation"),
        )

    async def _runs(self, request: web.Request) -> object:
        return await self._verbs.runs.list_all(
            caller_of(request),
            automation=request.query.get("automation"),
            status=asked.run_status(request.query.get("status")),
            since=asked.instant(request.query.get("since"), now=self._verbs.clock.now()),
            limit=limit_of(request),
        )

    async def _deliveries(self, request: web.Request) -> object:
        status = asked.choice(DeliveryStatus, request.query.get("status"), what="status")
        return await self._verbs.deliveries.list_all(
            caller_of(request), status=status, limit=limit_of(request)
        )

    async def _retry_all(self, request: web.Request) -> object:
        body = await body_of(request)
        return await self._verbs.deliveries.retry_all(
            caller_of(request), since=text_of(body, "since"), target=text_of(body, "target")
        )

    async def _why(self, request: web.Request) -> object:
        await self._verbs.automations.require_known(name_of(request))
        return await self._verbs.why.explain(
            caller_of(request),
            name_of(request),
            at=request.query.get("at"),
            limit=limit_of(request, 20),
        )

    async def _pause(self, request: web.Request) -> object:
        reason = text_of(await body_of(request), "reason")
        return await self._verbs.automations.pause(
            caller_of(request), name_of(request), reason=reason
        )

    async def _pause_all(self, request: web.Request) -> object:
        reason = text_of(await body_of(request), "reason")
        return await self._verbs.automations.pause_all(caller_of(request), reason=reason)

    async def _trigger(self, request: web.Request) -> object:
        body = await body_of(request)
        return await self._verbs.automations.trigger(
            caller_of(request),
            name_of(request),
            payload=body.get("payload"),
            rehearse=body.get("rehearse") is True,
            shown=shown_by(request),
            cause=self._cause(request),
        )

    async def _test_event(self, request: web.Request) -> object:
        asked = await body_of(request)
        return await self._verbs.event_tests.test(caller_of(request), name_of(request), asked)

    def _cause(self, request: web.Request) -> Cause | None:
        """The run for which a child process of ours asks."""
        return self._verbs.causes.read(request.headers.getall(HEADER, []))
