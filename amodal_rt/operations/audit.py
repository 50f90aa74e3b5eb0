"""The verbs of the record: read who did what, and check that nobody touched it."""

from amodal_rt.clock import Clock, iso
from amodal_rt.domain.chain import Head, Verdict
from amodal_rt.domain.trail import TrailFilter, TrailRow
from amodal_rt.operations import asked
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import AuditLedger, Caller


class Audit:
    """Answers from the ledger, whoever holds it open."""

    def __init__(self, ledger: AuditLedger, *, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def list_all(
        self,
        caller: Caller,
        *,
        since: str | None = None,
        run_id: str | None = None,
        automation: str | None = None,
        limit: int = 50,
    ) -> list[Document]:
        """Acts of people and programs, and writes of runs, those refused too, newest first.

        `since` is an instant or an age (`24h`). Raises InvalidError (`bad_instant`).
        """
        wanted = TrailFilter(
            since=asked.instant(since, now=self._clock.now()),
            run_id=run_id or None,
            automation=automation or None,
            limit=limit,
        )
        return [_row(each) for each in await self._ledger.trail(wanted)]

    async def verify(self, caller: Caller, *, head: str | None = None) -> Document:
        """Look at every row of the record, and whether what `head` names is there still. Raises
        InvalidError (`bad_head`)."""
        kept = Head.parse(head) if head else None
        return _verdict(await self._ledger.verify(kept), compared=kept is not None)


def _row(row: TrailRow) -> Document:
    return {
        "at": iso(row.at),
        "action": row.action,
        "subject": row.subject,
        "actor": row.actor,
        "door": row.door,
        "run_id": row.run_id,
        "automation": row.automation,
        "step": row.step,
        "data": dict(row.data),
    }


def _verdict(verdict: Verdict, *, compared: bool) -> Document:
    return {
        "valid": verdict.wrong == 0,
        "head": str(verdict.head),
        "head_compared": compared and not verdict.head_forgotten,
        "trail": {"rows": verdict.trail, "before_the_chain": verdict.trail_before},
        "runs": {
            "sealed": verdict.sealed,
            "open": verdict.open_runs,
            "forgotten": verdict.forgotten,
            "before_the_chain": verdict.runs_before,
        },
        "deliveries": {"sealed": verdict.deliveries},
        "journal": {"entries": verdict.entries},
        "wrong": verdict.wrong,
        "misfits": [
            {"table": each.table, "id": each.id, "run_id": each.run_id, "what": each.what}
            for each in verdict.misfits
        ],
    }
