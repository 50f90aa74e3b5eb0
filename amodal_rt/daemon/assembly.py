"""Which class stands behind which port: the only file that names the concrete ones."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from amodal_rt.daemon.ground import Ground
from amodal_rt.daemon.holding import Holding
from amodal_rt.daemon.known_secrets import KnownSecrets
from amodal_rt.daemon.ledgers import is_shared
from amodal_rt.daemon.nodes import Membership
from amodal_rt.daemon.turned import TurnedBack
from amodal_rt.delivery.backoff import LONGEST_PAUSES
from amodal_rt.delivery.heartbeat import Heartbeat, Wellness
from amodal_rt.delivery.planner import KEPT_FOR, DeliveryPlanner
from amodal_rt.delivery.sender import Sender
from amodal_rt.delivery.watching import Watch
from amodal_rt.domain.cause import Cause
from amodal_rt.domain.delivery import OutboxMessage
from amodal_rt.engine.runner import Engine
from amodal_rt.executors.agent.connections import ConnectionProbe
from amodal_rt.executors.agent.executor import AgentExecutor
from amodal_rt.executors.agent.mcp_triggers import McpTriggers
from amodal_rt.guardrails.causes import Causes
from amodal_rt.guardrails.egress import Egress
from amodal_rt.guardrails.redaction import Redactor, secret_values
from amodal_rt.intake.callback import CallbackIntake
from amodal_rt.intake.endpoints import Endpoints
from amodal_rt.intake.examining import Examiner
from amodal_rt.intake.integrations import IntegrationIntake, IntegrationKeys
from amodal_rt.intake.webhooks import WebhookIntake
from amodal_rt.operations.address import Address
from amodal_rt.operations.automations import Automations
from amodal_rt.operations.bus import EventBus
from amodal_rt.operations.catalogue import EventTypes, Servers
from amodal_rt.operations.connections import Connections, Stores
from amodal_rt.operations.deliveries import Deliveries
from amodal_rt.operations.event_tests import EventTests
from amodal_rt.operations.events import Events
from amodal_rt.operations.facts import KnownFacts
from amodal_rt.operations.identities import Members
from amodal_rt.operations.integrations import Integrations
from amodal_rt.operations.nodes import Nodes
from amodal_rt.operations.runs import Runs
from amodal_rt.operations.runtime_view import LedgerRuntimeView
from amodal_rt.operations.starting import Starting
from amodal_rt.operations.tokens import Tokens
from amodal_rt.operations.why import Why
from amodal_rt.ports import EVENTS
from amodal_rt.servers.control import Verbs
from amodal_rt.servers.events import EventsDoor
from amodal_rt.servers.tokens import TokenCheck
from amodal_rt.triggers.bus import Bus
from amodal_rt.triggers.cron import Scheduler
from amodal_rt.triggers.matching import Matching
from amodal_rt.triggers.own_events import RuntimeEvents
from amodal_rt.triggers.remote import RemoteTriggers


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Every room, wired together, none of them running."""

    ground: Ground
    redactor: Redactor
    egress: Egress
    endpoints: Endpoints
    facts: KnownFacts
    address: Address
    executor: AgentExecutor
    engine: Engine
    holding: Holding
    membership: Membership
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
    causes: Causes
    why: Why
    bus: Bus
    own_events: RuntimeEvents
    event_bus: EventBus
    event_tests: EventTests
    tokens: Tokens
    event_types: EventTypes
    members: Members

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

    def events_door(self) -> EventsDoor:
        """What takes events of programs over TCP."""
        check = TokenCheck(self.tokens, self.address)
        return EventsDoor(self.event_bus, check, self.causes, clock=self.ground.clock)

    def verbs(self, status: Callable[[], Mapping[str, object]]) -> Verbs:
        """What the control socket offers."""
        return Verbs(
            automations=self.automations,
            runs=self.runs,
            events=self.events,
            deliveries=self.deliveries,
            connections=self.connections,
            stores=self.stores,
            integrations=self.integrations,
            nodes=self.nodes,
            causes=self.causes,
            why=self.why,
            bus=self.event_bus,
            event_tests=self.event_tests,
            tokens=self.tokens,
            event_types=self.event_types,
            members=self.members,
            status=status,
            clock=self.ground.clock,
        )


def build_house(ground: Ground, *, webhook_key: str) -> House:
    """Wire the rooms over an open ledger and a loaded workspace."""
    clock, ids, signals = ground.clock, ground.ids, ground.signals
    ledger, workspace = ground.ledger, ground.workspace
    redactor = Redactor(KnownSecrets(workspace, secret_values, (webhook_key,), clock))
    egress = Egress(workspace.snapshot().settings.allow_private)
    endpoints = Endpoints(webhook_key.encode(), workspace, ledger)
    integration_keys = IntegrationKeys(webhook_key.encode(), workspace)
    facts = KnownFacts(ledger, signals)
    address = Address(workspace, endpoints)
    causes = Causes(webhook_key.encode(), address.is_own)
    control = _Control()
    starting = Starting(workspace, ledger, signals=signals, clock=clock, ids=ids)
    automations = Automations(
        workspace,
        ledger,
        facts,
        starting,
        address=address,
        write_status=ground.write_status,
        clock=clock,
    )
    runs = Runs(ledger, control, starting, signals=signals, clock=clock)
    deliveries = Deliveries(ledger, signals=signals, clock=clock)
    view = LedgerRuntimeView(automations, runs, deliveries, clock=clock)
    executor = _executor(ground, egress, view, redactor, causes)
    control.engine = _engine(ground, executor, redactor)
    examiner = Examiner(causes, clock=clock, ids=ids)
    webhooks = WebhookIntake(workspace, endpoints, examiner)
    integrations = IntegrationIntake(workspace, integration_keys, examiner)
    services = executor.services
    watchers = McpTriggers(services.pool, workspace, clock=clock, redactor=services.redactor)
    remote = _remote(ground, watchers, address)
    callbacks = CallbackIntake(workspace, remote.tokens, causes, clock=clock, ids=ids)
    matching = Matching(ids)
    house = House(
        ground=ground,
        redactor=redactor,
        egress=egress,
        endpoints=endpoints,
        facts=facts,
        address=address,
        executor=executor,
        engine=control.engine,
        holding=_holding(ground),
        membership=_membership(ground, control.engine),
        turned_back=_turned_back(ground),
        scheduler=_scheduler(ground),
        remote=remote,
        sender=_sender(ground, egress, redactor, causes),
        watch=_watch(ground),
        automations=automations,
        runs=runs,
        events=Events(
            webhooks, integrations, callbacks, ledger, facts, signals=signals, clock=clock, ids=ids
        ),
        deliveries=deliveries,
        connections=Connections(workspace, ConnectionProbe(executor, workspace)),
        stores=Stores(workspace, ledger, clock=clock),
        integrations=Integrations(workspace, integration_keys, address),
        nodes=Nodes(ledger),
        causes=causes,
        why=Why(workspace, ledger, facts, clock=clock, versions=workspace),
        bus=Bus(
            ledger=ledger, catalogue=workspace, matching=matching, signals=signals, clock=clock
        ),
        own_events=RuntimeEvents(
            ledger=ledger,
            catalogue=workspace,
            matching=matching,
            signals=signals,
            clock=clock,
            ids=ids,
        ),
        event_bus=EventBus(
            workspace, ledger, facts, matching, signals=signals, clock=clock, ids=ids
        ),
        event_tests=EventTests(workspace, facts, starting, redactor, clock=clock, ids=ids),
        tokens=Tokens(ledger, signals=signals, clock=clock, ids=ids),
        event_types=EventTypes(workspace, Servers(workspace, watchers).types),
        members=Members(workspace, ledger, write=ground.write_identities, clock=clock),
    )
    _give_a_voice(house)
    return house


def _give_a_voice(house: House) -> None:
    """Let the rooms say on the bus what happens in them."""
    own = house.own_events
    house.ground.ledger.note_with(own.note, partial(house.ground.signals.notify, EVENTS))
    for room in (house.engine, house.sender, house.automations, house.connections):
        room.speak_with(own)

    def heard(name: str, failure: str | None) -> None:
        own.connection(name, ok=failure is None, detail=failure)

    house.executor.services.pool.heard = heard


def _executor(
    ground: Ground, egress: Egress, view: LedgerRuntimeView, redactor: Redactor, causes: Causes
) -> AgentExecutor:
    return AgentExecutor(
        ledger=ground.ledger,
        egress=egress,
        runtime_view=view,
        clock=ground.clock,
        ids=ground.ids,
        redactor=redactor,
        causes=causes,
    )


def _engine(ground: Ground, executor: AgentExecutor, redactor: Redactor) -> Engine:
    return Engine(
        ledger=ground.ledger,
        catalogue=ground.workspace,
        executor=executor,
        planner=DeliveryPlanner(ground.ids),
        signals=ground.signals,
        clock=ground.clock,
        mask=redactor.mask,
        lease=ground.lease,
    )


def _holding(ground: Ground) -> Holding:
    return Holding(
        ledger=ground.ledger,
        catalogue=ground.workspace,
        signals=ground.signals,
        clock=ground.clock,
    )


def _membership(ground: Ground, engine: Engine) -> Membership:
    return Membership(
        ledger=ground.ledger,
        lease=ground.lease,
        carries=engine,
        signals=ground.signals,
        clock=ground.clock,
        shared=is_shared(ground.ledger),
    )


def _turned_back(ground: Ground) -> TurnedBack:
    return TurnedBack(
        ledger=ground.ledger,
        signals=ground.signals,
        clock=ground.clock,
        pauses=LONGEST_PAUSES,
        kept=KEPT_FOR,
    )


def _scheduler(ground: Ground) -> Scheduler:
    scheduler = Scheduler(
        catalogue=ground.workspace,
        ledger=ground.ledger,
        facts=ground.ledger,
        signals=ground.signals,
        clock=ground.clock,
        ids=ground.ids,
    )
    scheduler.look_back_with(ground.workspace)
    return scheduler


def _remote(ground: Ground, watchers: McpTriggers, address: Address) -> RemoteTriggers:
    return RemoteTriggers(
        catalogue=ground.workspace,
        ledger=ground.ledger,
        connections=watchers,
        callback_url=address.callback,
        lease=ground.lease,
        signals=ground.signals,
        clock=ground.clock,
        ids=ground.ids,
    )


def _sender(ground: Ground, egress: Egress, redactor: Redactor, causes: Causes) -> Sender:
    sender = Sender(
        outbox=ground.ledger,
        catalogue=ground.workspace,
        egress=egress,
        callbacks=ground.callbacks,
        signals=ground.signals,
        clock=ground.clock,
        ids=ground.ids,
        mask=redactor.mask,
    )

    async def marks(url: str, message: OutboxMessage) -> Mapping[str, str]:
        # A result that is delivered to a webhook of ours starts the next run of a chain.
        if message.run_id is None or not causes.is_own(url):
            return {}
        run = await ground.ledger.find_run(message.run_id)
        return causes.headers(url, Cause(depth=run.depth, run_id=run.run_id)) if run else {}

    sender.mark_with(marks)
    return sender


def _watch(ground: Ground) -> Watch:
    return Watch(
        ledger=ground.ledger,
        catalogue=ground.workspace,
        signals=ground.signals,
        clock=ground.clock,
        ids=ground.ids,
    )


class _Control:
    """The engine runs agents that may look at the runtime, whose verbs end runs of the engine."""

    engine: Engine | None = None

    def cancel_running(self, run_id: str) -> bool:
        return self.engine is not None and self.engine.cancel_running(run_id)
