"""Every room of a running daemon, and what is opened on them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from amodal_rt.daemon.ground import Ground
from amodal_rt.daemon.holding import Holding
from amodal_rt.daemon.nodes import Membership
from amodal_rt.daemon.readiness import Readiness
from amodal_rt.daemon.turned import TurnedBack
from amodal_rt.delivery.heartbeat import Heartbeat, Wellness
from amodal_rt.delivery.sender import Sender
from amodal_rt.delivery.watching import Watch
from amodal_rt.engine.runner import Engine
from amodal_rt.executors.acting.performing import ParkedWrites
from amodal_rt.executors.work import WorkExecutor
from amodal_rt.guardrails.causes import Causes
from amodal_rt.guardrails.egress import Egress
from amodal_rt.guardrails.redaction import Redactor
from amodal_rt.intake.endpoints import Endpoints
from amodal_rt.operations.address import Address
from amodal_rt.operations.approvals import Approvals
from amodal_rt.operations.audit import Audit
from amodal_rt.operations.automations import Automations
from amodal_rt.operations.bus import EventBus
from amodal_rt.operations.catalogue import EventTypes
from amodal_rt.operations.changes import Changes
from amodal_rt.operations.connections import Connections, Stores
from amodal_rt.operations.decision_links import DecisionLinks
from amodal_rt.operations.deliveries import Deliveries
from amodal_rt.operations.event_tests import EventTests
from amodal_rt.operations.events import Events
from amodal_rt.operations.facts import KnownFacts
from amodal_rt.operations.identities import Members
from amodal_rt.operations.integrations import Integrations
from amodal_rt.operations.invoking import Invoking
from amodal_rt.operations.managing import Managing
from amodal_rt.operations.metrics import Metrics
from amodal_rt.operations.nodes import Nodes
from amodal_rt.operations.outlook import Outlook
from amodal_rt.operations.overflow import Overflow
from amodal_rt.operations.references import Names
from amodal_rt.operations.run_pages import RunPages
from amodal_rt.operations.runs import Runs
from amodal_rt.operations.sessions import Sessions
from amodal_rt.operations.spending import Spending
from amodal_rt.operations.tokens import Tokens
from amodal_rt.operations.why import Why
from amodal_rt.servers.api.automations import ManagementApi
from amodal_rt.servers.api.openapi import openapi_route
from amodal_rt.servers.api.public import PublicApi
from amodal_rt.servers.api.runs import RunDoor
from amodal_rt.servers.control import Verbs
from amodal_rt.servers.control_tcp import control_guarded
from amodal_rt.servers.dashboard.door import Dashboard
from amodal_rt.servers.dashboard.opening import dashboard
from amodal_rt.servers.dashboard.rooms import Rooms
from amodal_rt.servers.events import EventsDoor
from amodal_rt.servers.guard import Guard, Guarded
from amodal_rt.servers.mcp.door import McpDoor
from amodal_rt.servers.metrics import metrics_route
from amodal_rt.servers.serve import Routes
from amodal_rt.servers.sse import Streams
from amodal_rt.servers.tokens import TokenCheck
from amodal_rt.servers.webhooks import health_routes, webhook_routes
from amodal_rt.triggers.bus import Bus
from amodal_rt.triggers.cron import Scheduler
from amodal_rt.triggers.own_events import RuntimeEvents
from amodal_rt.triggers.remote import RemoteTriggers


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Every room, wired together, none of them running."""

    ground: Ground
    mcp: McpDoor
    redactor: Redactor
    egress: Egress
    endpoints: Endpoints
    facts: KnownFacts
    address: Address
    executor: WorkExecutor
    engine: Engine
    writes: ParkedWrites
    holding: Holding
    membership: Membership
    readiness: Readiness
    turned_back: TurnedBack
    scheduler: Scheduler
    remote: RemoteTriggers
    sender: Sender
    watch: Watch
    automations: Automations
    runs: Runs
    events: Events
    deliveries: Deliveries
    connections: Connections
    stores: Stores
    integrations: Integrations
    nodes: Nodes
    spending: Spending
    audit: Audit
    overflow: Overflow
    causes: Causes
    changes: Changes
    why: Why
    bus: Bus
    own_events: RuntimeEvents
    event_bus: EventBus
    event_tests: EventTests
    tokens: Tokens
    event_types: EventTypes
    members: Members
    managing: Managing
    invoking: Invoking
    metrics: Metrics
    names: Names
    pages: RunPages
    outlook: Outlook
    approvals: Approvals
    links: DecisionLinks
    sessions: Sessions

    def heartbeat(self) -> Heartbeat:
        """What tells the outside that all of this is well."""
        ground = self.ground
        wellness = Wellness(
            ledger=ground.ledger,
            watch=self.watch,
            loops=(
                ("scheduler", self.scheduler, 30),
                ("engine", self.engine, 60),
                ("sender", self.sender, 120),
                ("bus", self.bus, 60),
            ),
            clock=ground.clock,
        )
        return Heartbeat(
            wellness=wellness,
            catalogue=ground.workspace,
            egress=self.egress,
            signals=ground.signals,
            clock=ground.clock,
        )

    def proven_routes(self, why_not_ready: Callable[[], str | None]) -> Routes:
        """What needs none of our tokens over TCP: senders prove themselves, health says nothing."""
        return webhook_routes(
            self.events.accept_webhook,
            why_not_ready,
            integrations=self.events.accept_integration,
            callbacks=self.events.accept_callback,
            clock=self.ground.clock,
        )

    def health_routes(self, why_not_ready: Callable[[], str | None]) -> Routes:
        """Health alone, for a door without webhooks."""
        return health_routes(why_not_ready)

    def guarded(self, streams: Streams, verbs: Verbs) -> list[Guarded]:
        """What the guard lets in over TCP: the API, the `verbs` of the control socket, MCP."""
        runs = RunDoor(self.pages, streams)
        routes = [
            *PublicApi(
                self.invoking, self.names, self.pages, runs, self.causes, self.spending
            ).routes(),
            *ManagementApi(self.managing, self.names, self.event_types, self.pages, runs).routes(),
            *control_guarded(verbs),
        ]
        # Of what MCP has to say its clients ask itself.
        return [*routes, openapi_route(routes), *self.mcp.guarded(), metrics_route(self.metrics)]

    def dashboard(self, streams: Streams) -> Dashboard:
        """The pages for people, who prove themselves with a session, or with a link."""
        rooms = Rooms(
            sessions=self.sessions,
            outlook=self.outlook,
            automations=self.automations,
            why=self.why,
            runs=self.runs,
            run_pages=self.pages,
            events=self.events,
            bus=self.event_bus,
            deliveries=self.deliveries,
            spending=self.spending,
            approvals=self.approvals,
            links=self.links,
            streams=streams,
            clock=self.ground.clock,
        )

        def name() -> str:
            settings = self.ground.workspace.snapshot().settings
            return settings.name or self.ground.root.name or "amodal-rt"

        return dashboard(rooms, self.address, name=name, ids=self.ground.ids)

    def guard(self) -> Guard:
        """Who lets in all else."""
        return Guard(TokenCheck(self.tokens, self.address), clock=self.ground.clock)

    def events_door(self) -> EventsDoor:
        """What takes events of programs over TCP."""
        check = TokenCheck(self.tokens, self.address)
        return EventsDoor(self.event_bus, check, self.causes, clock=self.ground.clock)

    def verbs(self, status: Callable[[], Mapping[str, object]]) -> Verbs:
        """What the control socket offers."""
        return Verbs(
            automations=self.automations,
            managing=self.managing,
            runs=self.runs,
            events=self.events,
            deliveries=self.deliveries,
            connections=self.connections,
            stores=self.stores,
            integrations=self.integrations,
            nodes=self.nodes,
            spending=self.spending,
            causes=self.causes,
            why=self.why,
            bus=self.event_bus,
            event_tests=self.event_tests,
            tokens=self.tokens,
            approvals=self.approvals,
            audit=self.audit,
            event_types=self.event_types,
            members=self.members,
            sessions=self.sessions,
            status=status,
            clock=self.ground.clock,
        )
