"""A backup becomes the ledger again, and what it left open is settled."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from amodal_rt import __version__
from amodal_rt.clock import Clock
from amodal_rt.domain import parked
from amodal_rt.domain.delivery import Plan
from amodal_rt.domain.outcome import failed
from amodal_rt.domain.parked import Around, Change, ParkedStatus, ParkedWrite
from amodal_rt.domain.run import FailedReason, RunStatus
from amodal_rt.ids import Ids
from amodal_rt.ports import Caller, ParkedFilter, RunFilter
from amodal_rt.storage import backup, revision
from amodal_rt.storage.sqlite import SqliteLedger

_RULE = "restored from a backup: whether it ran since is unknown"
_MADE = "restored from a backup: whether it was made since is unknown"
_PAGE = 1000
_LEASE = timedelta(seconds=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did. `aside` is the ledger that was there before, None for none.

    `interrupted` were running when the backup was taken, `cancelled` waited and were ended
    on request; `pending` wait still.
    """

    aside: Path | None
    runs: int
    events: int
    has_key: bool
    interrupted: Sequence[str]
    cancelled: Sequence[str]
    pending: int


async def restore(
    source: Path,
    ledger: Path,
    *,
    clock: Clock,
    ids: Ids,
    caller: Caller,
    cancel_pending: bool = False,
    scripts: revision.Scripts = revision.SCRIPTS,
) -> Restored:
    """Put the backup `source` in the place of `ledger`, which is kept beside it.

    The caller holds the state folder. A run that was running may have done more since than
    the backup knows, so it is not resumed: it fails as `interrupted`. Until the copy is
    complete, checked and settled, nothing of the old ledger is touched; from then on a crash
    is finished by the next opening. Raises what `backup.prepare` raises.
    """
    # One that was begun before is the older wish.
    backup.keep_promise(ledger)
    try:
        draft, copied = backup.prepare(source, ledger, scripts)
        async with SqliteLedger(draft, clock=clock, ids=ids) as copy:
            # Retires the daemon that ran when the backup was taken: its runs are orphans now.
            await copy.join(host="restore", pid=0, version=__version__, lease=_LEASE)
            interrupted = await _interrupt(copy, clock)
            await _doubt(copy, caller, clock)
            cancelled = await _cancel(copy, caller, clock) if cancel_pending else []
            told = {"file": source.name, "interrupted": interrupted, "cancelled": cancelled}
            now = clock.now()
            await copy.audit("ledger.restored", subject="ledger", caller=caller, at=now, data=told)
            await copy.leave()
        backup.promise(draft, ledger, f"{clock.now():%Y%m%dT%H%M%S.%fZ}")
    finally:
        backup.discard(backup.draft_of(ledger))
    return Restored(
        aside=backup.keep_promise(ledger),
        runs=copied.runs,
        events=copied.events,
        has_key=copied.has_key,
        interrupted=interrupted,
        cancelled=cancelled,
        pending=copied.pending - len(cancelled),
    )


async def _interrupt(copy: SqliteLedger, clock: Clock) -> list[str]:
    outcome = failed(FailedReason.INTERRUPTED, "restored from a backup taken while it ran")
    found = await copy.take_orphans()
    for run in found:
        # The person who restores is told; no alert may go out of a file that is no ledger yet.
        await copy.finish(run, outcome, at=clock.now(), plan=lambda _: Plan())
    return [run.run_id for run in found]


async def _doubt(copy: SqliteLedger, caller: Caller, clock: Clock) -> None:
    """Approved writes may have been made since: nobody makes them again."""
    under_way = {ParkedStatus.APPROVED, ParkedStatus.PERFORMING}
    while page := await copy.list_parked(ParkedFilter(statuses=under_way, limit=_PAGE)):
        for each in page:
            now = clock.now()

            def rule(found: ParkedWrite, _: Around, now: datetime = now) -> Change | None:
                return parked.doubted(found, _MADE, now)

            await copy.rule_on_parked(each.write_id, rule, caller=caller, at=now)


async def _cancel(copy: SqliteLedger, caller: Caller, clock: Clock) -> list[str]:
    cancelled: list[str] = []
    while page := await copy.list_runs(RunFilter(status=RunStatus.PENDING, limit=_PAGE)):
        for name in sorted({run.automation for run in page}):
            cancelled += await copy.cancel_pending(name, rule=_RULE, caller=caller, at=clock.now())
    return cancelled
