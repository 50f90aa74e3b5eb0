"""Which class stands behind which port: the only file that names the concrete ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypedDict

from amodal_rt.clock import Clock
from amodal_rt.daemon.ground import Ground
from amodal_rt.daemon.holding import Holding
from amodal_rt.daemon.house import House
from amodal_rt.daemon.known_secrets import KnownSecrets
from amodal_rt.daemon.ledgers import is_shared
from amodal_rt.daemon.neighbours import SharedSignals
from amodal_rt.daemon.nodes import Membership
from amodal_rt.daemon.telling import Telling
from amodal_rt.daemon.turned import TurnedBack
from amodal_rt.delivery.backoff import LONGEST_PAUSES
from amodal_rt.delivery.planner import KEPT_FOR, DeliveryPlanner
from amodal_rt.delivery.sender import Sender
from amodal_rt.delivery.watching import Watch
from amodal_rt.domain.cause import Cause
from amodal_rt.domain.delivery import OutboxMessage
from amodal_rt.engine.runner import Engine
from amodal_rt.executors.acting.connections import ConnectionProbe
from amodal_rt.executors.acting.mcp_triggers import McpTriggers
from amodal_rt.executors.agent.executor import AgentExecutor
from amodal_rt.executors.work import WorkExecutor
from amodal_rt.executors.workflow.executor import WorkflowExecutor
from amodal_rt.executors.workflow.scripts import Scripts
from amodal_rt.guardrails.causes import Causes
from amodal_rt.guardrails.egress import Egress
from amodal_rt.guardrails.redaction import Redactor, secret_values
from amodal_rt.intake.callback import CallbackIntake
from amodal_rt.intake.endpoints import Endpoints
from amodal_rt.intake.examining import Examiner
from amodal_rt.intake.integrations import IntegrationIntake, IntegrationKeys
from amodal_rt.intake.webhooks import WebhookIntake
from amodal_rt.operations.address import Address
from amodal_rt.operations.approvals import Approvals
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
from amodal_rt.operations.invoking import Invoking
from amodal_rt.operations.managing import Managing
from amodal_rt.operations.nodes import Nodes
from amodal_rt.operations.outlook import Outlook
from amodal_rt.operations.references import Names
from amodal_rt.operations.run_pages import RunPages
from amodal_rt.operations.runs import Runs
from amodal_rt.operations.runtime_view import LedgerRuntimeView
from amodal_rt.operations.sessions import Sessions
from amodal_rt.operations.starting import Starting
from amodal_rt.operations.tokens import Tokens
from amodal_rt.operations.triggers import Triggers
from amodal_rt.operations.why import Why
from amodal_rt.ports import EVENTS, OUTBOX
from amodal_rt.servers.mcp.automations import AutomationTools
from amodal_rt.servers.mcp.door import McpDoor
from amodal_rt.servers.mcp.runs import RunTools
from amodal_rt.servers.mcp.tools import Tools, all_tools
from amodal_rt.triggers.bus import Bus
from amodal_rt.triggers.cron import Scheduler
from amodal_rt.triggers.matching import Matching
from amodal_rt.triggers.own_events import RuntimeEvents
from amodal_rt.triggers.remote import RemoteTriggers
from amodal_rt.workspace.service import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What several rooms are built with."""

    redactor: Redactor
    egress: Egress
    endpoints: Endpoints
    keys: IntegrationKeys
    facts: KnownFacts
    address: Address
    causes: Causes
    starting: Starting
    matching: Matching


class _Desks(TypedDict):
    """Operations that no other room asks."""

    approvals: Approvals
    event_bus: EventBus
    invoking: Invoking
    managing: Managing
    mcp: McpDoor
    members: Members
    names: Names
    outlook: Outlook
    pages: RunPages
    sessions: Sessions
    tokens: Tokens


class _Usual(TypedDict):
    """What most rooms ask for, by the names that they ask by."""

    ledger: Telling
    catalogue: Workspace
    signals: SharedSignals
    clock: Clock


def build_house(ground: Ground, *, webhook_key: str) -> House:
    """Wire the rooms over an open ledger and a loaded workspace."""
    clock, signals = ground.clock, ground.signals
    ledger, workspace = ground.ledger, ground.workspace
    usual, shared = _usual(ground), _shared(ground, webhook_key)
    control = _Control()
    automations = _automations(ground, shared)
    runs = Runs(ledger, control, shared.starting, signals=signals, clock=clock)
    deliveries = Deliveries(ledger, signals=signals, clock=clock)
    view = LedgerRuntimeView(automations, runs, deliveries, clock=clock)
    executor = _executor(ground, shared, view)
    control.engine = _engine(ground, executor, shared.redactor)
    watchers = _watchers(ground, executor)
    remote = _remote(ground, watchers, shared.address)
    house = House(
        ground=ground,
        redactor=shared.redactor,
        egress=shared.egress,
        endpoints=shared.endpoints,
        facts=shared.facts,
        address=shared.address,
        executor=executor,
        engine=control.engine,
        holding=Holding(**usual),
        membership=_membership(ground, control.engine),
        turned_back=_turned_back(ground),
        scheduler=_scheduler(ground),
        remote=remote,
        sender=_sender(ground, shared),
        watch=Watch(**usual, ids=ground.ids),
        automations=automations,
        runs=runs,
        events=_events(ground, shared, remote),
        deliveries=deliveries,
        connections=Connections(workspace, ConnectionProbe(executor.services, workspace)),
        stores=Stores(workspace, ledger, clock=clock),
        integrations=Integrations(workspace, shared.keys, shared.address),
        nodes=Nodes(ledger),
        causes=shared.causes,
        why=Why(workspace, ledger, shared.facts, clock=clock, versions=workspace),
        bus=Bus(**usual, matching=shared.matching),
        own_events=RuntimeEvents(**usual, matching=shared.matching, ids=ground.ids),
        event_tests=_event_tests(ground, shared),
        event_types=EventTypes(workspace, Servers(workspace, watchers).types),
        **_desks(ground, shared, automations),
    )
    _give_a_voice(house)
    automations.watch_with(remote.standings)
    return house


def _desks(ground: Ground, shared: _Shared, automations: Automations) -> _Desks:
    clock, signals, ids = ground.clock, ground.signals, ground.ids
    ledger, workspace = ground.ledger, ground.workspace
    tokens = Tokens(ledger, signals=signals, clock=clock, ids=ids)
    managing = Managing(workspace, workspace, ledger, automations, shared.facts, clock=clock)
    invoking, names = _invoking(ground, shared), Names(workspace)
    pages = RunPages(ledger, signals=signals, clock=clock)
    event_bus = _event_bus(ground, shared)
    triggers = Triggers(managing, names)
    tools = all_tools(
        AutomationTools(automations, managing, triggers, names, workspace, clock=clock),
        RunTools(automations, invoking, names, pages, event_bus),
    )
    return _Desks(
        approvals=Approvals(ledger, signals=signals, clock=clock),
        event_bus=event_bus,
        invoking=invoking,
        managing=managing,
        mcp=McpDoor(Tools(tools, clock=clock), shared.causes),
        members=Members(workspace, ledger, write=ground.write_identities, clock=clock),
        names=names,
        outlook=Outlook(managing, automations, ledger, clock=clock),
        pages=pages,
        sessions=Sessions(tokens, ledger, shared.address, clock=clock, ids=ids),
        tokens=tokens,
    )


def _usual(ground: Ground) -> _Usual:
    return _Usual(
        ledger=ground.ledger,
        catalogue=ground.workspace,
        signals=ground.signals,
        clock=ground.clock,
    )


def _shared(ground: Ground, webhook_key: str) -> _Shared:
    clock, ledger, workspace = ground.clock, ground.ledger, ground.workspace
    key = webhook_key.encode()
    endpoints = Endpoints(key, workspace, ledger)
    address = Address(workspace, endpoints)
    return _Shared(
        redactor=Redactor(KnownSecrets(workspace, secret_values, (webhook_key,), clock)),
        egress=Egress(workspace.snapshot().settings.allow_private),
        endpoints=endpoints,
        keys=IntegrationKeys(key, workspace),
        facts=KnownFacts(ledger, ground.signals),
        address=address,
        causes=Causes(key, address.is_own),
        starting=Starting(workspace, ledger, signals=ground.signals, clock=clock, ids=ground.ids),
        matching=Matching(ground.ids),
    )


def _automations(ground: Ground, shared: _Shared) -> Automations:
    return Automations(
        ground.workspace,
        ground.ledger,
        shared.facts,
        shared.starting,
        address=shared.address,
        write_status=ground.write_status,
        clock=ground.clock,
    )


def _events(ground: Ground, shared: _Shared, remote: RemoteTriggers) -> Events:
    clock, ids, workspace = ground.clock, ground.ids, ground.workspace
    examiner = Examiner(shared.causes, clock=clock, ids=ids)
    return Events(
        WebhookIntake(workspace, shared.endpoints, examiner),
        IntegrationIntake(workspace, shared.keys, examiner),
        CallbackIntake(
            workspace, remote.tokens, shared.matching, shared.causes, clock=clock, ids=ids
        ),
        ground.ledger,
        shared.facts,
        shared.matching,
        signals=ground.signals,
        clock=clock,
    )


def _event_bus(ground: Ground, shared: _Shared) -> EventBus:
    return EventBus(
        ground.workspace,
        ground.ledger,
        shared.facts,
        shared.matching,
        signals=ground.signals,
        clock=ground.clock,
        ids=ground.ids,
    )


def _event_tests(ground: Ground, shared: _Shared) -> EventTests:
    return EventTests(
        ground.workspace,
        shared.facts,
        shared.starting,
        shared.redactor,
        clock=ground.clock,
        ids=ground.ids,
    )


def _invoking(ground: Ground, shared: _Shared) -> Invoking:
    return Invoking(
        ground.workspace,
        ground.ledger,
        shared.facts,
        shared.starting,
        signals=ground.signals,
        clock=ground.clock,
        ids=ground.ids,
    )


def _give_a_voice(house: House) -> None:
    """Let the rooms say on the bus what happens in them."""
    own = house.own_events
    notify = house.ground.signals.notify
    house.ground.ledger.note_with(own.note, partial(notify, EVENTS), partial(notify, OUTBOX))
    for room in (house.engine, house.sender, house.automations, house.connections):
        room.speak_with(own)

    def heard(name: str, failure: str | None) -> None:
        own.connection(name, ok=failure is None, detail=failure)

    house.executor.services.pool.heard = heard


def _executor(ground: Ground, shared: _Shared, view: LedgerRuntimeView) -> WorkExecutor:
    agents = AgentExecutor(
        ledger=ground.ledger,
        egress=shared.egress,
        runtime_view=view,
        clock=ground.clock,
        ids=ground.ids,
        redactor=shared.redactor,
        causes=shared.causes,
    )
    workflows = WorkflowExecutor(
        agents.services,
        ledger=ground.ledger,
        agents=agents,
        messages=DeliveryPlanner(ground.ids),
        scripts=Scripts(ground.clock),
    )
    return WorkExecutor(agents, workflows)


def _engine(ground: Ground, executor: WorkExecutor, redactor: Redactor) -> Engine:
    return Engine(
        **_usual(ground),
        executor=executor,
        planner=DeliveryPlanner(ground.ids),
        mask=redactor.mask,
        lease=ground.lease,
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
    scheduler = Scheduler(**_usual(ground), facts=ground.ledger, ids=ground.ids)
    scheduler.look_back_with(ground.workspace)
    return scheduler


def _watchers(ground: Ground, executor: WorkExecutor) -> McpTriggers:
    services = executor.services
    return McpTriggers(
        services.pool, ground.workspace, clock=ground.clock, redactor=services.redactor
    )


def _remote(ground: Ground, watchers: McpTriggers, address: Address) -> RemoteTriggers:
    return RemoteTriggers(
        **_usual(ground),
        connections=watchers,
        callback_url=address.callback,
        lease=ground.lease,
        ids=ground.ids,
    )


def _sender(ground: Ground, shared: _Shared) -> Sender:
    causes = shared.causes
    sender = Sender(
        outbox=ground.ledger,
        catalogue=ground.workspace,
        egress=shared.egress,
        callbacks=ground.callbacks,
        signals=ground.signals,
        clock=ground.clock,
        ids=ground.ids,
        mask=shared.redactor.mask,
    )

    async def marks(url: str, message: OutboxMessage) -> Mapping[str, str]:
        # A result that is delivered to a webhook of ours starts the next run of a chain.
        if message.run_id is None or not causes.is_own(url):
            return {}
        run = await ground.ledger.find_run(message.run_id)
        return causes.headers(url, Cause(depth=run.depth, run_id=run.run_id)) if run else {}

    sender.mark_with(marks)
    return sender


class _Control:
    """The engine runs agents that may look at the runtime, whose verbs end runs of the engine."""

    engine: Engine | None = None

    def cancel_running(self, run_id: str) -> bool:
        return self.engine is not None and self.engine.cancel_running(run_id)
