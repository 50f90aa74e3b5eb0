"""A process that uses a ledger on PostgreSQL, for tests that kill, pause and outlive it.

`python postgres_node.py URL accept PREFIX` accepts deliveries until it is ended and prints
`ack KEY` for each that was acknowledged, `refused KEY` for each that was not.
`python postgres_node.py URL hold` prints `holding` while it stands inside a transaction.
"""

import asyncio
import itertools
import sys
import threading
from datetime import UTC, datetime

from sqlalchemy import Connection

from amodal_rt.clock import SystemClock
from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.event import DedupKey, Event
from amodal_rt.domain.run import Start
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.errors import UnavailableError
from amodal_rt.ports import Ledger, Receipt
from amodal_rt.storage.postgres import PostgresLedger

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
SENDERS = 16


async def accept(ledger: Ledger, key: str, *, node: str = "", queue_limit: int = 10**6) -> Receipt:
    """Deliver `key` once, as `node` would."""
    event = Event(
        id=f"evt_{node}{key}", type="t", source="s", data={"k": key}, time=NOW, received_at=NOW
    )
    wish = Start(
        run_id=f"run_{node}{key}",
        automation="hook",
        title="Hook",
        trigger=TriggerKind.WEBHOOK,
        definition="d",
        created_at=NOW,
        concurrency=3,
        on_limit=OnLimit.QUEUE,
        event_id=event.id,
    )
    dedup = DedupKey(endpoint="e", keys=(key,))
    return await ledger.accept(event, dedup=dedup, starts=[wish], queue_limit=queue_limit)


async def keep_accepting(ledger: Ledger, prefix: str) -> None:
    numbers = itertools.count(1)

    async def send() -> None:
        for number in numbers:
            key = f"{prefix}{number}"
            try:
                await accept(ledger, key)
                print("ack", key, flush=True)
            except UnavailableError:
                print("refused", key, flush=True)
                await asyncio.sleep(0.05)

    await asyncio.gather(*(send() for _ in range(SENDERS)))


def hold(_: Connection) -> None:
    print("holding", flush=True)
    threading.Event().wait(60)


async def main() -> None:
    url, what, *rest = sys.argv[1:]
    async with PostgresLedger(url, clock=SystemClock()) as ledger:
        if what == "hold":
            await ledger._database.write(hold)
        else:
            await keep_accepting(ledger, rest[0])


if __name__ == "__main__":
    asyncio.run(main())
