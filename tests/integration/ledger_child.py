"""A process that works on a ledger and says on stdout what was acknowledged.

`python ledger_child.py PATH COMMAND NUMBER`: `accept` NUMBER events one after another;
`crowd`, 16 at once and for ever, named from NUMBER on; `finish` one run that owes one
message; `bus`, emit NUMBER events and match all that wait; `full` or `unwritable` until the
ledger refuses; `open` and close it.
"""

import asyncio
import itertools
import resource
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from amodal_rt.clock import SystemClock
from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.delivery import MessageKind, OutboxMessage, Plan, Target, TargetType
from amodal_rt.domain.event import DedupKey, Event
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import RunStatus, Start
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.errors import AmodalError
from amodal_rt.storage.sqlite import SqliteLedger

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def say(line: str) -> None:
    print(line, flush=True)


def start(name: str) -> Start:
    return Start(
        run_id=f"run_{name}",
        automation="a",
        title="A",
        trigger=TriggerKind.WEBHOOK,
        definition="d",
        created_at=NOW,
        concurrency=3,
        on_limit=OnLimit.QUEUE,
        event_id=f"evt_{name}",
    )


async def accept(ledger: SqliteLedger, name: str, size: int = 10) -> None:
    event = Event(
        id=f"evt_{name}", type="t", source="s", data="x" * size, time=NOW, received_at=NOW
    )
    await ledger.accept(
        event,
        dedup=DedupKey(endpoint="e", keys=(name,)),
        starts=[start(name)],
        queue_limit=1_000_000,
    )
    say(f"ack evt_{name}")


async def crowd(ledger: SqliteLedger, first: int) -> None:
    numbers = itertools.count(first)

    async def client() -> None:
        for number in numbers:
            await accept(ledger, str(number))

    await asyncio.gather(*(client() for _ in range(16)))


async def finish(ledger: SqliteLedger) -> None:
    await ledger.admit([start("0")])
    (run,) = await ledger.claim(limit=1, overall=1000, now=NOW)
    say("claimed")
    message = OutboxMessage(
        delivery_id="msg_0",
        run_id=run.run_id,
        automation="a",
        kind=MessageKind.RESULT,
        target=Target(type=TargetType.WEBHOOK, label="x"),
        body={},
        created_at=NOW,
        expires_at=NOW + timedelta(days=1),
    )
    outcome = Outcome(status=RunStatus.COMPLETED, text="done")
    await ledger.finish(run, outcome, at=NOW, plan=lambda _: Plan((message,)))
    say("ack finished")


async def emit_and_match(ledger: SqliteLedger, count: int) -> None:
    """As a daemon does after each start: what was done before is not done again."""
    for number in range(count):
        event = Event(id=f"evt_{number}", type="t", source="s", data=1, time=NOW, received_at=NOW)
        await ledger.emit(event)
        say(f"ack emitted_{number}")
    for event in await ledger.unmatched(limit=count):
        name = f"{event.id.removeprefix('evt_')}"
        await ledger.match(event.id, starts=[start(name)], missed=2)
        say(f"ack {event.id}")


async def until_refused(ledger: SqliteLedger) -> None:
    """Accept until the ledger refuses, then say how, and what it says next."""
    for number in range(100_000):
        try:
            await accept(ledger, str(number), size=2000)
        except AmodalError as error:
            say(f"refused {error.kind} {error.code} broken={ledger.broken}")
            break
    try:
        await ledger.record_live([])
        await ledger.set_fact("k", "v")
    except AmodalError as error:
        say(f"then {error.kind} {error.code}")
    listed = await ledger.list_events(limit=1)
    say(f"reads {len(listed)}")


def make_unwritable(path: Path) -> None:
    """Writes past the file's present size fail as a dying disk's do: not as a full one's."""
    wal = path.with_name(path.name + "-wal")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit = max(path.stat().st_size, wal.stat().st_size) + 60_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


async def main(path: Path, command: str, count: int) -> None:
    async with SqliteLedger(path, clock=SystemClock()) as ledger:
        say("open")
        if command == "accept":
            for number in range(count):
                await accept(ledger, str(number))
        elif command == "crowd":
            await crowd(ledger, count)
        elif command == "finish":
            await finish(ledger)
        elif command == "bus":
            await emit_and_match(ledger, count)
        elif command == "unwritable":
            await accept(ledger, "first")
            make_unwritable(path)
            await until_refused(ledger)
        elif command == "full":
            await until_refused(ledger)
    say("closed")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
