"""Every verb that changes the ledger, on a ledger where it has something to change.

`python acts_scene.py FOLDER` does each verb on a ledger of its own, `FOLDER/<verb>.sqlite`, in a
process of its own: whatever is armed there meets the first commit of that verb.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import older_ledger as older
from older_ledger import CALLER, NOW

from amodal_rt.domain.delivery import Attempt, AttemptResult, DeliveryStatus, Plan
from amodal_rt.domain.event import Event
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome, Waiting
from amodal_rt.domain.run import RunStatus
from amodal_rt.domain.token import Scope, Token
from amodal_rt.ports import Act
from amodal_rt.storage.sqlite import SqliteLedger

LATER = NOW + timedelta(hours=1)
Verb = Callable[[SqliteLedger], Awaitable[object]]


def _token(name: str) -> Token:
    return Token(
        id=f"tok_{name}",
        name=name,
        digest="0" * 64,
        scopes=frozenset({Scope.READ}),
        created_at=NOW,
        created_by="ada",
    )


def _event(name: str) -> Event:
    return Event(id=name, type="t", source="s", data=1, time=NOW, received_at=NOW)


def _act(action: str, subject: str) -> Act:
    return Act(action=action, subject=subject, caller=CALLER, at=NOW)


async def prepare(ledger: SqliteLedger) -> None:
    """A run that waits, one that runs, one that asks, a message that is dead, an event, a token."""
    await ledger.admit([older.start("asks"), older.start("owes"), older.start("runs")])
    asks, owes, _ = await ledger.claim(limit=3, overall=9, now=NOW)
    question = {"reason": "awaiting_approval", "node": "ask"}
    await ledger.record(asks.run_id, EntryType.NODE_WAITING, at=NOW, step="ask", data=question)
    await ledger.park(asks, Waiting(reason="awaiting_approval"), at=NOW)
    done = Outcome(status=RunStatus.COMPLETED, text="x", model="m:m")
    owed = Plan((older.message(owes.run_id),))
    await ledger.finish(owes, done, at=NOW, plan=lambda _: owed)
    (claimed,) = await ledger.claim_messages(limit=1, now=NOW)
    dead = Attempt(
        delivery_id=claimed.message.delivery_id, result=AttemptResult.DEAD, at=NOW, error="no"
    )
    await ledger.record_attempt(dead)
    assert (await ledger.list_messages(limit=1))[0].status is DeliveryStatus.DEAD
    await ledger.admit([older.start("waits")])
    await ledger.accept(_event("evt_old"), dedup=None, starts=[], queue_limit=9)
    await ledger.add_token(_token("old"), caller=CALLER)


VERBS: dict[str, tuple[str, str, Verb]] = {
    "pause": (
        "automation.paused",
        "digest",
        lambda ledger: ledger.set_paused(
            "digest", paused=True, reason=None, caller=CALLER, at=LATER
        ),
    ),
    "resume": (
        "automation.resumed",
        "digest",
        lambda ledger: ledger.set_paused(
            "digest", paused=False, reason=None, caller=CALLER, at=LATER
        ),
    ),
    "rotate-url": (
        "automation.url_rotated",
        "digest",
        lambda ledger: ledger.rotate("digest", caller=CALLER, at=LATER),
    ),
    "trigger": (
        "run.triggered",
        "run_new",
        lambda ledger: ledger.admit([older.start("new")], act=_act("run.triggered", "run_new")),
    ),
    "cancel-waiting": (
        "run.cancelled",
        "run_waits",
        lambda ledger: ledger.cancel("run_waits", caller=CALLER, at=LATER),
    ),
    "cancel-running": (
        "run.cancelled",
        "run_runs",
        lambda ledger: ledger.cancel("run_runs", caller=CALLER, at=LATER),
    ),
    "answer": (
        "approval.answered",
        "run_asks",
        lambda ledger: ledger.answer(
            "run_asks", step="ask", data={"approved": True}, at=LATER, caller=CALLER
        ),
    ),
    "emit": (
        "event.emitted",
        "evt_new",
        lambda ledger: ledger.accept(
            _event("evt_new"),
            dedup=None,
            starts=[older.start("of_event", event_id="evt_new")],
            queue_limit=9,
            act=_act("event.emitted", "evt_new"),
        ),
    ),
    "replay-event": (
        "event.replayed",
        "evt_old",
        lambda ledger: ledger.replay(
            "evt_old",
            starts=[older.start("again", event_id="evt_old")],
            act=_act("event.replayed", "evt_old"),
        ),
    ),
    "retry": (
        "delivery.retried",
        "msg_run_owes",
        lambda ledger: ledger.retry_message(
            "msg_run_owes", at=LATER, expires_at=LATER, caller=CALLER
        ),
    ),
    "retry-all": (
        "delivery.retried",
        "msg_run_owes",
        lambda ledger: ledger.retry_messages(since=NOW, at=LATER, expires_at=LATER, caller=CALLER),
    ),
    "create-token": (
        "token.created",
        "tok_new",
        lambda ledger: ledger.add_token(_token("new"), caller=CALLER),
    ),
    "revoke-token": (
        "token.revoked",
        "tok_old",
        lambda ledger: ledger.revoke_token("old", caller=CALLER, at=LATER),
    ),
    "approve-tools": (
        "connection.tools_approved",
        "mail",
        lambda ledger: ledger.set_facts(
            {"pin mail a": "1", "pin mail b": "2"}, act=_act("connection.tools_approved", "mail")
        ),
    ),
}
"""By name: what the trail is to say of it, of what, and how it is done."""


async def _do(path: Path, verb: Verb) -> None:
    async with older.opened(path) as ledger:
        await verb(ledger)


def main(folder: Path) -> None:
    for name, (_, _, verb) in VERBS.items():
        child = os.fork()
        if child == 0:
            asyncio.run(_do(folder / f"{name}.sqlite", verb))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(name, os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
