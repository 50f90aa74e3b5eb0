"""What senders and people do to a node."""

from datetime import datetime
from typing import Any

from amodal_rt.domain.event import DedupKey, Event
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.ports import RUNS_PENDING, Caller
from amodal_rt.triggers.matching import Matching
from amodal_rt.triggers.starts import start_for

CALLER = Caller(actor="ada", door="cli")


async def webhook(simulation: Any, node: Any, name: str, key: str) -> None:
    """One POST. The sender knows that it was accepted only if this returns."""
    now: datetime = simulation.world.now()
    event = Event(
        id=node.ids.event(),
        type="webhook.received",
        source=f"/webhooks/{name}",
        data={"n": 1},
        time=now,
        received_at=now,
        address=name,
    )
    facts = await node.ledger.automation_facts()
    starts, missed = Matching(node.ids).starts_for(event, node.shelf.snapshot(), facts, now=now)
    receipt = await node.ledger.accept(
        event, dedup=DedupKey(endpoint=name, keys=(key,)), starts=starts, missed=missed,
        queue_limit=200,
    )  # fmt: skip
    node.signals.notify(RUNS_PENDING)
    runs = tuple(ref.run_id for ref in receipt.runs)
    simulation.oracle.acknowledged[receipt.event_id] = runs


async def by_hand(simulation: Any, node: Any, name: str) -> None:
    """A person starts it."""
    definition = node.shelf.snapshot().find(name)
    start = start_for(
        definition, TriggerKind.MANUAL, ids=node.ids, now=simulation.world.now(), caller=CALLER
    )
    await node.ledger.admit([start])
    node.signals.notify(RUNS_PENDING)
