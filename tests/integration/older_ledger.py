"""A ledger as an older version left it, with rows in every table."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from amodal_rt.clock import SystemClock
from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.delivery import MessageKind, OutboxMessage, Plan, Target, TargetType
from amodal_rt.domain.event import DedupKey, Event, Rejection
from amodal_rt.domain.outcome import failed
from amodal_rt.domain.remote_trigger import RemoteState, RemoteTrigger
from amodal_rt.domain.run import FailedReason, Start
from amodal_rt.domain.token import Scope, Token
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.ids import SystemIds
from amodal_rt.ports import ArchivedDefinition, Caller, ScheduleState, StoreItem
from amodal_rt.storage import upgrade
from amodal_rt.storage.revision import SCRIPTS
from amodal_rt.storage.sqlite import SqliteLedger

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
CALLER = Caller(actor="ada", door="cli")


def start(name: str, **changed: object) -> Start:
    plain: dict[str, object] = {
        "run_id": f"run_{name}",
        "automation": "digest",
        "title": "Digest",
        "trigger": TriggerKind.WEBHOOK,
        "definition": "d" * 64,
        "created_at": NOW,
        "concurrency": 100,
        "on_limit": OnLimit.QUEUE,
    }
    return Start(**(plain | changed))  # pyright: ignore[reportArgumentType]


def opened(path: Path) -> SqliteLedger:
    clock = SystemClock()
    return SqliteLedger(path, clock=clock, ids=SystemIds(clock))


def message(run_id: str) -> OutboxMessage:
    return OutboxMessage(
        delivery_id=f"msg_{run_id}",
        run_id=run_id,
        automation="digest",
        kind=MessageKind.RESULT,
        target=Target(type=TargetType.WEBHOOK, label="x", url="http://127.0.0.1:1/x"),
        body={"a": 1},
        created_at=NOW,
        expires_at=NOW + timedelta(days=1),
    )


async def fill(ledger: SqliteLedger, finished: int = 20) -> None:
    """Finished runs with what they owe, one that runs, one that waits, and all that is kept
    beside runs."""
    await ledger.set_fact("webhook_key", "k" * 43)
    version = ArchivedDefinition(
        kind="automation", name="digest", hash="d" * 64, document="{}", file="x", recorded_at=NOW
    )
    await ledger.record_live([version])
    state = ScheduleState(
        automation="digest", key="cron:0", fingerprint="f", counted_from=NOW, last_slot=NOW
    )
    await ledger.set_schedule_states([state])
    for number in range(finished):
        slot = NOW + timedelta(minutes=number)
        await ledger.admit(
            [start(f"slot_{number}", scheduled_for=slot, schedule_key="cron:0", created_at=slot)]
        )
    for run in await ledger.claim(limit=finished, overall=100, now=NOW + timedelta(days=1)):
        owed = Plan((message(run.run_id),))
        outcome = failed(FailedReason.ERROR, "no luck")
        await ledger.finish(run, outcome, at=NOW, plan=lambda _, owed=owed: owed)
    for name in ("runs", "waits"):
        event = Event(
            id=f"evt_{name}", type="t", source="s", data={"n": 1}, time=NOW, received_at=NOW
        )
        await ledger.accept(
            event,
            dedup=DedupKey(endpoint="e", keys=(name,)),
            starts=[start(name, event_id=event.id)],
            queue_limit=100,
        )
    await ledger.claim(limit=1, overall=100, now=NOW)
    await ledger.reject(Rejection(endpoint="e", automation="digest", reason="signature", at=NOW))
    await ledger.put("seen", StoreItem(key="a", value=1, updated_at=NOW), expires_at=None, step="s")
    await ledger.set_paused("other", paused=True, reason="why", caller=CALLER, at=NOW)
    token = Token(
        id="tok_1",
        name="ci",
        digest="a" * 64,
        scopes=frozenset({Scope.READ}),
        created_at=NOW,
        created_by="ada",
    )
    await ledger.add_token(token, caller=CALLER)
    watched = RemoteTrigger(
        automation="digest",
        key="event:0",
        connection="mail",
        type="received",
        digest="b" * 64,
        state=RemoteState.ACTIVE,
        configured_at=NOW,
    )
    await ledger.set_remote_trigger(watched)


def tables(path: Path) -> dict[str, list[str]]:
    """The columns of each table."""
    with closing(sqlite3.connect(path)) as raw:
        names = [row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        return {
            name: [row[1] for row in raw.execute(f"PRAGMA table_info({name})")] for name in names
        }


def content(path: Path, columns: dict[str, list[str]]) -> dict[str, list[tuple[object, ...]]]:
    """Every row, by `columns` alone; but for the one by which an upgrade says that the chain of
    the record began."""
    with closing(sqlite3.connect(path)) as raw:
        found = {
            table: sorted(raw.execute(f"SELECT {', '.join(names)} FROM {table}"), key=repr)
            for table, names in columns.items()
            if table != "alembic_version"
        }
    found["audit"] = [row for row in found.get("audit", []) if "chain.began" not in row]
    return found


def make_older(path: Path, revision: str = "0001", finished: int = 20) -> dict[str, list[str]]:
    """A filled ledger with the tables of `revision`; returns its columns.

    Made by today's code, then poured into the old tables: only old code could write them.
    """
    newest = path.with_name(f"{path.name}.newest")

    async def make() -> None:
        async with opened(newest) as ledger:
            await fill(ledger, finished)

    asyncio.run(make())
    engine = create_engine(
        "sqlite+pysqlite://",
        creator=lambda: sqlite3.connect(path, isolation_level=None),
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
    )
    with closing(engine.connect()) as connection:
        upgrade.upgrade(connection, SCRIPTS.folder, revision)
    old = tables(path)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("ATTACH ? AS newest", (str(newest),))
        for table, names in old.items():
            if table != "alembic_version":
                listed = ", ".join(names)
                raw.execute(f"INSERT INTO {table} ({listed}) SELECT {listed} FROM newest.{table}")
        raw.commit()
    newest.unlink()
    return old
