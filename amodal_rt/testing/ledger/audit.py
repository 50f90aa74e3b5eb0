"""The audit trail, and the chains that it and the runs make."""

from collections.abc import Iterator
from itertools import chain
from typing import Any, cast

from amodal_rt.clock import to_millis
from amodal_rt.domain.chain import Head, Link, Misfit, Verdict, digest_of, linked
from amodal_rt.domain.delivery import DeliveryRecord
from amodal_rt.domain.journal import UNSHOWN, Entry, EntryType
from amodal_rt.domain.run import OPEN
from amodal_rt.domain.trail import TrailFilter, TrailRow
from amodal_rt.testing.ledger.part import Part
from amodal_rt.testing.ledger.store import UNSETTLED
from amodal_rt.testing.ledger.tables import AuditRow

_ON_TRAIL = frozenset(
    {
        EntryType.WRITE_STARTED,
        EntryType.WRITE_FINISHED,
        EntryType.WRITE_FAILED,
        EntryType.TOOL_DENIED,
        EntryType.WRITE_PARKED,
        EntryType.APPROVAL_ANSWERED,
        EntryType.EVENT_EMITTED,
        EntryType.STORE_WRITTEN,
        EntryType.DELIVERY_OWED,
    }
)


class AuditRows(Part):
    """`ports.AuditLedger` in memory. Its rows cannot be changed from outside, so that all that
    `verify` can find is a head of another ledger."""

    async def trail(self, wanted: TrailFilter) -> list[TrailRow]:
        self._check_reach()
        rows = [
            each
            for each in chain(self._notes(), self._writes(), self._deliveries())
            if (wanted.since is None or each.at >= wanted.since)
            and wanted.run_id in (None, each.run_id)
            and wanted.automation in (None, each.automation, self._automation_of(each.run_id))
        ]
        rows.sort(key=lambda each: each.at, reverse=True)
        return rows[: wanted.limit]

    async def head(self) -> Head:
        self._check_reach()
        return Head(self._links()[-1], self._seals()[-1])

    async def verify(self, kept: Head | None = None) -> Verdict:
        self._check_reach()
        trail, seals = self._links(), self._seals()
        misfits: list[Misfit] = []
        for table, links, link in (
            ("audit", trail, kept.trail if kept else Link()),
            ("seals", seals, kept.seals if kept else Link()),
        ):
            if link not in links:
                place, what = str(min(link.place, len(links) - 1)), "the head names another row"
                misfits.append(Misfit(table=table, id=place, run_id=None, what=what))
        runs = [row.run for row in self.store.runs.values()]
        ended = [run.run_id for run in runs if run.status not in OPEN]
        return Verdict(
            head=Head(trail[-1], seals[-1]),
            trail=len(trail) - 1,
            trail_before=0,
            sealed=sum((self.store.lengths.get(run_id) or 0) > 0 for run_id in ended),
            deliveries=len(self._settled()),
            entries=len(self.store.journals),
            open_runs=len(runs) - len(ended),
            runs_before=0,
            forgotten=0,
            wrong=len(misfits),
            misfits=misfits,
        )

    def _notes(self) -> Iterator[TrailRow]:
        for row in self.store.audit.newest():
            told = cast("dict[str, Any]", row.data)
            run_id = row.subject if row.subject.startswith("run_") else told.get("run_id")
            of_automation = row.action.startswith("automation.")
            yield TrailRow(
                at=row.at,
                action=row.action,
                subject=row.subject,
                actor=row.actor,
                door=row.door,
                run_id=run_id,
                automation=row.subject if of_automation else told.get("automation"),
                data=told,
            )

    def _writes(self) -> Iterator[TrailRow]:
        entries = [each for each in self.store.journals.values() if each.type in _ON_TRAIL]
        entries.sort(key=lambda each: (each.at, each.run_id, each.sequence), reverse=True)
        for each in entries:
            automation = self.store.runs.row(each.run_id).run.automation
            yield TrailRow(
                at=each.at,
                action=each.type.value,
                subject=each.run_id,
                actor=automation,
                door="run",
                run_id=each.run_id,
                automation=automation,
                step=each.step,
                data={name: value for name, value in each.data.items() if name not in UNSHOWN},
            )

    def _deliveries(self) -> Iterator[TrailRow]:
        for record in self._settled():
            message, error = record.message, record.last_error
            told = {
                "target": message.target.label,
                "kind": message.kind.value,
                "attempts": record.attempts,
            }
            assert record.finished_at is not None
            yield TrailRow(
                at=record.finished_at,
                action=f"delivery.{record.status.value}",
                subject=message.delivery_id,
                actor=message.automation or "amodal-rt",
                door="run" if message.run_id else "alert",
                run_id=message.run_id,
                automation=message.automation,
                data=told | ({"error": error} if error else {}),
            )

    def _settled(self) -> list[DeliveryRecord]:
        """Messages that arrived or were given up, the latest first, and were not sent again."""
        ids = dict.fromkeys(each for each, _ in reversed(list(self.store.seals.values())))
        found = [self.store.outbox.get(each) for each in ids]
        records = [row.record for row in found if row is not None]
        return [each for each in records if each.status not in UNSETTLED]

    def _automation_of(self, run_id: str | None) -> str | None:
        row = self.store.runs.get(run_id) if run_id else None
        return row.run.automation if row else None

    def _links(self) -> list[Link]:
        return _chained(_note_content(row) for row in self.store.audit.values())

    def _seals(self) -> list[Link]:
        return _chained(
            _seal_content(run_id, self.store.entries_of(run_id)[:length])
            for run_id, length in self.store.seals.values()
        )


def _seal_content(run_id: str, entries: list[Entry]) -> str:
    told = [
        digest_of(each.type, each.step, each.parent, to_millis(each.at), repr(each.data))
        for each in entries
    ]
    return digest_of(run_id, *told)


def _note_content(row: AuditRow) -> str:
    return digest_of(
        to_millis(row.at), row.action, row.subject, row.actor, row.door, repr(row.data)
    )


def _chained(contents: Iterator[str]) -> list[Link]:
    """The links of a chain, an empty one first."""
    links = [Link()]
    for place, content in enumerate(contents, start=1):
        links.append(Link(place, linked(links[-1].digest, content)))
    return links
