"""Waits for an instant that only a clock which was ahead could have set: `ports.WaitLedger`."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

from amodal_rt.clock import AHEAD
from amodal_rt.domain.delivery import DeliveryStatus
from amodal_rt.testing.ledger import values
from amodal_rt.testing.ledger.part import Part

_NEWEST = 200


class WaitRows(Part):
    """`ports.WaitLedger` in memory."""

    async def shorten_waits(
        self, *, now: datetime, pauses: Sequence[timedelta], kept: timedelta, seen: bool
    ) -> int:
        at = values.instant(now)

        def work() -> int:
            changed = self._shorten_retries(at)
            self._date_conditions(at)
            if seen or self._is_dated_ahead(at):
                changed += self._shorten_pauses(at, pauses, at + kept)
            return changed

        return await self._write("shorten_waits", work)

    def _shorten_retries(self, now: datetime) -> int:
        """A run waits as long as it was to wait when it was put back, or made to wait for others
        to become one with, from now on."""
        changed = 0
        for row in self.store.runs.rows(self.store.runs.pending):
            run = row.run
            last = self.store.journals.get((run.run_id, self.store.lengths.get(run.run_id) or 0))
            since = last.at if last else run.created_at if run.coalesce_key else None
            if run.not_before is None or run.not_before <= now + AHEAD or since is None:
                continue
            if since > now + AHEAD:
                wait = max(run.not_before - since, timedelta(0))
                grown = replace(row, run=replace(run, not_before=now + wait))
                self.store.runs.put(run.run_id, grown)
                changed += 1
        return changed

    def _date_conditions(self, now: datetime) -> None:
        """What ends a condition must be later than its beginning."""
        for key, each in list(self.store.conditions.items()):
            since = now if each.since > now + AHEAD else each.since
            ahead = each.cleared_at is not None and each.cleared_at > now + AHEAD
            told = replace(each, since=since, cleared_at=now if ahead else each.cleared_at)
            if told != each:
                self.store.conditions.put(key, told)

    def _is_dated_ahead(self, now: datetime) -> bool:
        messages = (row.record.message for row in islice(self.store.outbox.newest(), _NEWEST))
        runs = (row.run for row in islice(self.store.runs.newest(), _NEWEST))
        return any(each.created_at > now + AHEAD for rows in (messages, runs) for each in rows)

    def _shorten_pauses(self, now: datetime, pauses: Sequence[timedelta], latest: datetime) -> int:
        """No message waits longer than the longest pause after as many attempts as it had."""
        changed = 0
        for row in self.store.outbox.open_rows():
            record = row.record
            if record.status is not DeliveryStatus.PENDING:
                continue
            until = now + pauses[min(record.tries, len(pauses) - 1)]
            late = record.next_attempt_at is not None and record.next_attempt_at > until
            message = replace(record.message, expires_at=min(record.message.expires_at, latest))
            due = until if late else record.next_attempt_at
            told = replace(record, message=message, next_attempt_at=due)
            if told != record:
                key = record.message.delivery_id
                self.store.outbox.put(key, replace(row, record=told))
                changed += late
        return changed
