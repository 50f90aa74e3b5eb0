"""Questions about runs: the reading half of `ports.RunLedger`."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice

from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.models import REHEARSAL
from amodal_rt.domain.run import OPEN, Run, RunStatus, SkippedReason, Start
from amodal_rt.ports import KeptValue, Previous, RunFilter
from amodal_rt.testing.ledger import keyed
from amodal_rt.testing.ledger.admission import foretell
from amodal_rt.testing.ledger.part import Part


class RunQueries(Part):
    """Runs as their rows stand."""

    async def find_run(self, run_id: str) -> Run | None:
        self._check_reach()
        row = self.store.runs.get(run_id)
        return None if row is None else row.run

    async def find_keyed(self, automation: str, key: str, *, now: datetime) -> Run | None:
        self._check_reach()
        rows = self.store.runs.of.get(automation, {}).values()
        return keyed.first_of([self.store.runs.row(each).run for each in rows], key, now)

    async def foretell(self, start: Start) -> tuple[SkippedReason, str | None] | None:
        self._check_reach()
        return foretell(self.store, start)

    async def list_runs(self, wanted: RunFilter) -> list[Run]:
        self._check_reach()
        newest = (row.run for row in self.store.runs.newest())
        if wanted.older_than is not None or wanted.newer_than is not None:
            return _beside(list(newest), wanted)
        return list(islice((run for run in newest if _is_wanted(run, wanted)), wanted.limit))

    async def last_runs(self) -> Mapping[str, Run]:
        self._check_reach()
        runs = (row.run for row in self.store.runs.values())
        return {run.automation: run for run in runs if run.status is not RunStatus.SKIPPED}

    async def recent_ends(
        self, automations: Sequence[str], *, limit: int
    ) -> Mapping[str, Sequence[RunStatus]]:
        self._check_reach()
        found: dict[str, list[RunStatus]] = {}
        for row in self.store.runs.newest():
            run = row.run
            ends = run.status in (RunStatus.COMPLETED, RunStatus.FAILED)
            if ends and run.automation in automations:
                found.setdefault(run.automation, []).append(run.status)
        return {name: ends[:limit] for name, ends in found.items()}

    async def previous(self, automation: str, conversation_key: str | None) -> Previous | None:
        self._check_reach()
        last: Run | None = None
        for run_id in self.store.runs.of.get(automation, {}).values():
            run = self.store.runs.row(run_id).run
            tellable = run.status is RunStatus.COMPLETED and run.model != REHEARSAL
            if not tellable or run.finished_at is None:
                continue
            if conversation_key is not None and run.conversation_key != conversation_key:
                continue
            if last is None or last.finished_at is None or run.finished_at >= last.finished_at:
                last = run
        if last is None or last.finished_at is None:
            return None
        return Previous(
            run_id=last.run_id, summary=last.result_text or "", finished_at=last.finished_at
        )

    async def gate_value(self, automation: str) -> KeptValue:
        self._check_reach()
        at, row = self._moment(), self.store.gates.get(automation)
        return (
            KeptValue(at=at)
            if row is None
            else KeptValue(at=at, value=row.gate.value, run_id=row.run_id)
        )

    async def writes_since(
        self, automation: str, since: datetime, *, until: datetime | None = None
    ) -> int:
        self._check_reach()
        return sum(
            entry.type is EntryType.WRITE_STARTED
            and entry.at >= since
            and (until is None or entry.at <= until)
            and self.store.runs.row(entry.run_id).run.automation == automation
            for entry in self.store.journals.values()
        )


def _beside(newest: list[Run], wanted: RunFilter) -> list[Run]:
    places = {run.run_id: place for place, run in enumerate(newest)}
    if any(id and id not in places for id in (wanted.older_than, wanted.newer_than)):
        return []
    first = 0 if wanted.older_than is None else places[wanted.older_than] + 1
    last = None if wanted.newer_than is None else places[wanted.newer_than]
    between = [run for run in newest[first:last] if _is_wanted(run, wanted)]
    return between[: wanted.limit] if last is None else between[-wanted.limit :]


def _is_wanted(run: Run, wanted: RunFilter) -> bool:
    return (
        wanted.automation in (None, run.automation)
        and wanted.status in (None, run.status)
        and (wanted.without is None or run.status is not wanted.without)
        and wanted.reason in (None, run.reason)
        and wanted.event_id in (None, run.event_id)
        and (wanted.since is None or run.created_at >= wanted.since)
        and (wanted.at is None or _covers(run, wanted.at))
    )


def _covers(run: Run, at: datetime) -> bool:
    """Whether a run's slots, or its life from creation to finish, touch `at`.

    An instant without seconds stands for its minute, any other for its second.
    """
    begin = at.replace(microsecond=0)
    end = begin + (timedelta(seconds=1) if begin.second else timedelta(minutes=1))
    first, last = run.scheduled_for, run.scheduled_until or run.scheduled_for
    if first is not None and last is not None and first < end and last >= begin:
        return True
    # A row that was skipped on arrival has no finish: its life is the instant it was made.
    over = run.finished_at or run.created_at
    return run.created_at < end and (run.status in OPEN or over >= begin)
