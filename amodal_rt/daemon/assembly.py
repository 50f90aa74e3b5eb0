"""Which class stands behind which port: only here and in `desks` and `shared` are they named."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TypedDict

from amodal_rt.clock import Clock
from amodal_rt.daemon import desks
from amodal_rt.daemon.ground import Ground
from amodal_rt.daemon.holding import Holding
from amodal_rt.daemon.house import House
from amodal_rt.daemon.ledgers import is_shared
from amodal_rt.daemon.neighbours import SharedSignals
from amodal_rt.daemon.nodes import Membership
from amodal_rt.daemon.readiness import Readiness
from amodal_rt.daemon.shared import Shared, share
from amodal_rt.daemon.telling import Telling
from amodal_rt.daemon.turned import TurnedBack
from amodal_rt.delivery.backoff import LONGEST_PAUSES
from amodal_rt.delivery.planner import KEPT_FOR, DeliveryPlanner
from amodal_rt.delivery.sender import Sender
from amodal_rt.delivery.watching import Watch
from amodal_rt.delivery.write_alerts import WriteAlerts
from amodal_rt.domain.cause import Cause
from amodal_rt.domain.delivery import OutboxMessage
from amodal_rt.engine.runner import Engine
from amodal_rt.executors.acting.connections import ConnectionProbe
from amodal_rt.executors.acting.mcp_triggers import McpTriggers
from amodal_rt.executors.acting.performing import ParkedWrites
from amodal_rt.executors.agent.executor import AgentExecutor
from amodal_rt.executors.command.executor import CommandExecutor
from amodal_rt.executors.sandbox.sandbox import Sandboxes
from amodal_rt.executors.work import WorkExecutor
from amodal_rt.executors.workflow.executor import WorkflowExecutor
from amodal_rt.executors.workflow.scripts import Scripts
from amodal_rt.guardrails.redaction import Redactor
from amodal_rt.operations.address import Address
from amodal_rt.operations.automations import Automations
from amodal_rt.operations.catalogue import EventTypes, Servers
from amodal_rt.operations.connections import Connections, Stores
from amodal_rt.operations.deliveries import Deliveries
from amodal_rt.operations.integrations import Integrations
from amodal_rt.operations.nodes import Nodes
from amodal_rt.operations.overflow import Overflow
from amodal_rt.operations.runs import Runs
from amodal_rt.operations.runtime_view import LedgerRuntimeView
from amodal_rt.operations.why import Why
from amodal_rt.ports import EVENTS, OUTBOX
from amodal_rt.settings import runtime_folder
from amodal_rt.triggers.bus import Bus
from amodal_rt.triggers.cron import Scheduler
from amodal_rt.triggers.own_events import RuntimeEvents
from amodal_rt.triggers.remote import RemoteTriggers
from amodal_rt.workspace.service import Workspace


class _Usual(TypedDict):
    """What most rooms ask for, by the names that they ask by."""

    ledger: Telling
    catalogue: Workspace
    signals: SharedSignals
    clock: Clock


def build_house(ground: Ground, *, webhook_key: str) -> House:
    """Wire the rooms over an open ledger and a loaded workspace."""
    clock, ledger, workspace = ground.clock, ground.ledger, ground.workspace
    usual, shared = _usual(ground), share(ground, webhook_key)
    control = _Control()
    automations = desks.automations(ground, shared)
    runs = Runs(ledger, control, shared.starting, signals=ground.signals, clock=clock)
    deliveries = Deliveries(ledger, signals=ground.signals, clock=clock)
    executor = _executor(ground, shared, automations, runs, deliveries)
    control.engine = _engine(ground, executor, shared.redactor)
    watchers, writes = _watchers(ground, executor), _writes(ground, executor)
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
        writes=writes,
        holding=Holding(**usual),
        membership=_membership(ground, control.engine),
        readiness=Readiness(ledger=ledger, lease=ground.lease, clock=clock),
        turned_back=_turned_back(ground),
        scheduler=_scheduler(ground),
        remote=remote,
        sender=_sender(ground, shared),
        watch=Watch(**usual, ids=ground.ids),
        automations=automations,
        runs=runs,
        events=desks.events(ground, shared, remote),
        deliveries=deliveries,
        connections=Connections(workspace, ConnectionProbe(executor.services, workspace)),
        stores=Stores(workspace, ledger, clock=clock),
        integrations=Integrations(workspace, shared.keys, shared.address),
        nodes=Nodes(ledger, clock=clock),
        overflow=Overflow(ledger, clock=clock),
        causes=shared.causes,
        changes=shared.changes,
        why=Why(workspace, ledger, shared.facts, clock=clock, versions=workspace),
        bus=Bus(**usual, matching=shared.matching),
        own_events=RuntimeEvents(**usual, matching=shared.matching, ids=ground.ids),
        event_tests=desks.event_tests(ground, shared),
        event_types=EventTypes(workspace, Servers(workspace, watchers).types),
        **desks.desks(ground, shared, automations, writes),
    )
    _introduce(house)
    return house


def _usual(ground: Ground) -> _Usual:
    return _Usual(
        ledger=ground.ledger,
        catalogue=ground.workspace,
        signals=ground.signals,
        clock=ground.clock,
    )


def _introduce(house: House) -> None:
    """Let the rooms say on the bus what happens in them, and ask and count what others know."""
    house.automations.watch_with(house.remote.standings)
    house.event_tests.sample_from(house.event_types)
    own = house.own_events
    notify = house.ground.signals.notify
    house.ground.ledger.note_with(own.note, partial(notify, EVENTS), partial(notify, OUTBOX))
    house.ground.ledger.count_with(house.metrics.counted)
    house.metrics.ready_with(house.readiness.why_not)
    for door in (house.events, house.event_bus):
        door.count_with(house.overflow)
    for room in (house.engine, house.sender, house.automations, house.connections):
        room.speak_with(own)

    def heard(name: str, failure: str | None) -> None:
        own.connection(name, ok=failure is None, detail=failure)

    house.sender.fill_with(house.links.fill)
    pacing = house.executor.services.pacing
    house.engine.pace_with(pacing)
    house.why.pace_with(pacing)
    pool = house.executor.services.pool
    pool.heard = heard
    house.watch.watch_tools_with(lambda: pool.pins.held)


def _executor(
    ground: Ground, shared: Shared, automations: Automations, runs: Runs, deliveries: Deliveries
) -> WorkExecutor:
    agents = AgentExecutor(
        ledger=ground.ledger,
        egress=shared.egress,
        runtime_view=LedgerRuntimeView(automations, runs, deliveries, clock=ground.clock),
        clock=ground.clock,
        ids=ground.ids,
        redactor=shared.redactor,
        causes=shared.causes,
        sandboxes=Sandboxes(
            egress=shared.egress,
            causes=shared.causes,
            clock=ground.clock,
            ids=ground.ids,
            workspace=ground.root,
            private=_private(ground),
        ),
    )
    workflows = WorkflowExecutor(
        agents.services,
        ledger=ground.ledger,
        agents=agents,
        messages=DeliveryPlanner(ground.ids),
        scripts=Scripts(ground.clock),
    )
    return WorkExecutor(agents, workflows, CommandExecutor(agents.services))


def _writes(ground: Ground, executor: WorkExecutor) -> ParkedWrites:
    return ParkedWrites(
        executor.services,
        ledger=ground.ledger,
        catalogue=ground.workspace,
        messages=WriteAlerts(ground.ids),
        signals=ground.signals,
        lease=ground.lease,
    )


def _private(ground: Ground) -> tuple[Path, ...]:
    """What no sandbox may show: secrets, the ledger, and sockets that take their user's word."""
    beside = runtime_folder()
    return (ground.root / ".env", ground.state, *([beside] if beside is not None else []))


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


def _sender(ground: Ground, shared: Shared) -> Sender:
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
