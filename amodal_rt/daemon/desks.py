"""The operations behind the doors, wired."""

from typing import TypedDict

from amodal_rt.daemon.ground import Ground
from amodal_rt.daemon.shared import Shared
from amodal_rt.executors.acting.performing import ParkedWrites
from amodal_rt.guardrails.fetching import fetch
from amodal_rt.intake.callback import CallbackIntake
from amodal_rt.intake.examining import Examiner
from amodal_rt.intake.integrations import IntegrationIntake
from amodal_rt.intake.signatures import key_sets
from amodal_rt.intake.webhooks import WebhookIntake
from amodal_rt.operations.approvals import Approvals
from amodal_rt.operations.audit import Audit
from amodal_rt.operations.automations import Automations
from amodal_rt.operations.bus import EventBus
from amodal_rt.operations.decision_links import DecisionLinks
from amodal_rt.operations.event_tests import EventTests
from amodal_rt.operations.events import Events
from amodal_rt.operations.identities import Members
from amodal_rt.operations.invoking import Invoking
from amodal_rt.operations.managing import Managing
from amodal_rt.operations.metrics import Metrics
from amodal_rt.operations.outlook import Outlook
from amodal_rt.operations.parked import Pauses, Writes
from amodal_rt.operations.references import Names
from amodal_rt.operations.run_pages import RunPages
from amodal_rt.operations.sessions import Sessions
from amodal_rt.operations.spending import Spending
from amodal_rt.operations.tokens import Tokens
from amodal_rt.operations.triggers import Triggers
from amodal_rt.servers.mcp.automations import AutomationTools
from amodal_rt.servers.mcp.door import McpDoor
from amodal_rt.servers.mcp.runs import RunTools
from amodal_rt.servers.mcp.tools import Tools, all_tools
from amodal_rt.triggers.remote import RemoteTriggers


class Desks(TypedDict):
    """Operations that no other room asks."""

    approvals: Approvals
    audit: Audit
    event_bus: EventBus
    invoking: Invoking
    links: DecisionLinks
    managing: Managing
    mcp: McpDoor
    members: Members
    metrics: Metrics
    names: Names
    outlook: Outlook
    pages: RunPages
    sessions: Sessions
    spending: Spending
    tokens: Tokens


def desks(ground: Ground, shared: Shared, automations: Automations, writes: ParkedWrites) -> Desks:
    clock, signals, ids = ground.clock, ground.signals, ground.ids
    ledger, workspace = ground.ledger, ground.workspace
    tokens = Tokens(ledger, signals=signals, clock=clock, ids=ids)
    changes = shared.changes
    managing = Managing(
        workspace, workspace, ledger, automations, shared.facts, changes=changes, clock=clock
    )
    invoking, names = _invoking(ground, shared), Names(workspace)
    pages = RunPages(ledger, signals=signals, clock=clock)
    event_bus = _event_bus(ground, shared)
    triggers = Triggers(managing, names)
    spending = Spending(workspace, ledger, clock=clock)
    pauses = Pauses(workspace, shared.facts)
    writes_verbs = Writes(
        ledger,
        pauses,
        check=writes.checked,
        pinned=writes.pinned,
        signals=signals,
        clock=clock,
    )
    tools = all_tools(
        AutomationTools(automations, managing, triggers, names, workspace, clock=clock),
        RunTools(automations, invoking, names, pages, event_bus, spending),
    )
    return Desks(
        approvals=Approvals(ledger, writes_verbs, signals=signals, clock=clock),
        audit=Audit(ledger, clock=clock),
        event_bus=event_bus,
        invoking=invoking,
        links=DecisionLinks(ledger, writes_verbs, shared.address, clock=clock, ids=ids),
        managing=managing,
        mcp=McpDoor(Tools(tools, clock=clock), shared.causes),
        members=Members(workspace, write=ground.write_identities, changes=changes),
        metrics=Metrics(workspace, ledger, spending, clock=clock),
        names=names,
        outlook=Outlook(managing, automations, ledger, clock=clock),
        pages=pages,
        spending=spending,
        sessions=Sessions(tokens, ledger, shared.address, clock=clock, ids=ids),
        tokens=tokens,
    )


def automations(ground: Ground, shared: Shared) -> Automations:
    return Automations(
        ground.workspace,
        ground.ledger,
        shared.facts,
        shared.starting,
        address=shared.address,
        write_status=ground.write_status,
        changes=shared.changes,
        clock=ground.clock,
    )


def events(ground: Ground, shared: Shared, remote: RemoteTriggers) -> Events:
    clock, ids, workspace = ground.clock, ground.ids, ground.workspace

    async def key_set(url: str) -> bytes:
        return await fetch(shared.egress, clock, url, limit=key_sets.BYTES)

    known = key_sets.KeySets(key_set, clock)
    examiner = Examiner(shared.causes, known, clock=clock, ids=ids)
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


def event_tests(ground: Ground, shared: Shared) -> EventTests:
    return EventTests(
        ground.workspace,
        shared.facts,
        shared.starting,
        shared.redactor,
        ledger=ground.ledger,
        endpoint_of=shared.endpoints.id_for,
        clock=ground.clock,
        ids=ground.ids,
    )


def _event_bus(ground: Ground, shared: Shared) -> EventBus:
    return EventBus(
        ground.workspace,
        ground.ledger,
        shared.facts,
        shared.matching,
        signals=ground.signals,
        clock=ground.clock,
        ids=ground.ids,
    )


def _invoking(ground: Ground, shared: Shared) -> Invoking:
    return Invoking(
        ground.workspace,
        ground.ledger,
        shared.facts,
        shared.starting,
        signals=ground.signals,
        clock=ground.clock,
        ids=ground.ids,
    )
