"""Sealed runs against their rows and their journals, and runs that no seal speaks of."""

from collections.abc import Sequence
from typing import NamedTuple

from amodal_rt.domain.chain import NOTHING, linked
from amodal_rt.domain.delivery import DeliveryStatus
from amodal_rt.domain.run import OPEN, RunStatus
from amodal_rt.storage import entries, sealing
from amodal_rt.storage.dialect import Listed, Raw, Scalar
from amodal_rt.storage.following import BEFORE_ALL, Tally

_PAGE = 500
_NEWEST = (
    "SELECT subject, MAX(number) FROM seals"
    " WHERE subject IN (SELECT value FROM json_each(?)) GROUP BY subject"
)
_RUNS = (
    f"SELECT number, {', '.join(sealing.FACTS)} FROM runs"  # noqa: S608  constants
    " WHERE id IN (SELECT value FROM json_each(?))"
)
_MESSAGES = (
    f"SELECT {', '.join(sealing.MESSAGE)} FROM outbox"  # noqa: S608  constants
    " WHERE id IN (SELECT value FROM json_each(?))"
)
_ENTRIES = (
    "SELECT sequence, digest, type, step, parent, attempt, at, data FROM journal"
    " WHERE run_id = ? AND sequence > ? ORDER BY sequence LIMIT ?"
)
_UNSEALED = (
    "SELECT number, id, status,"
    " CASE WHEN EXISTS (SELECT 1 FROM seals WHERE subject = runs.id) THEN 1 ELSE 0 END,"
    " CASE WHEN EXISTS (SELECT 1 FROM journal WHERE run_id = runs.id) THEN 1 ELSE 0 END"
    " FROM runs WHERE number > ? ORDER BY number LIMIT ?"
)
_STATUS = sealing.MESSAGE.index("status")
_UNSETTLED = (DeliveryStatus.PENDING.value, DeliveryStatus.SENDING.value)
_OPEN = frozenset(each.value for each in OPEN)
_SKIPPED = RunStatus.SKIPPED.value


class SealRow(NamedTuple):
    """A row of `seals`."""

    number: int
    kind: str
    subject: str
    entries: int | None
    head: str | None
    facts: str | None
    at: int
    digest: str


class RunLook:
    """Counts what fits and what does not."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._last_run = BEFORE_ALL

    def look_at(self, raw: Raw, seals: Sequence[SealRow], cut: int) -> None:
        """The runs of some seals, each against the newest of its seals. Runs of which that has no
        higher number than `cut` may be gone."""
        names = {each.subject for each in seals}
        subjects = Listed(sorted(names))
        newest = dict[str, int](raw.execute(_NEWEST, (subjects,)).fetchall())
        # The head of a message's seal names its run.
        named = Listed(sorted(names | {each.head or "" for each in seals}))
        runs = {row[1]: row for row in raw.execute(_RUNS, (named,)).fetchall()}
        messages = {row[0]: row for row in raw.execute(_MESSAGES, (subjects,)).fetchall()}
        for seal in seals:
            if newest.get(seal.subject) != seal.number:
                continue
            if seal.kind == sealing.DELIVERY:
                may_be_gone = seal.number <= cut or seal.head not in runs
                self._look_at_message(seal, messages.get(seal.subject), may_be_gone)
                continue
            run = runs.get(seal.subject)
            if seal.kind == sealing.FORGOTTEN or (run is None and seal.number <= cut):
                self._tally.forgotten += 1
            elif run is None:
                what = f"it is missing: seal {seal.number} names it"
                self._tally.miss("runs", seal.subject, what, seal.subject)
            else:
                self._look_at_run(raw, seal, run[0], run[1:])

    def unsealed_page(self, raw: Raw) -> bool:
        """Runs that have no seal, one page of all runs at a time; whether there are more."""
        rows = raw.execute(_UNSEALED, (self._last_run, _PAGE)).fetchall()
        for number, run_id, status, is_sealed, has_journal in rows:
            self._last_run = number
            if status in _OPEN:
                self._tally.open_runs += 1
                self._journal(raw, run_id, number)
            elif is_sealed or (status == _SKIPPED and not has_journal):
                continue
            elif number <= self._tally.old_runs:
                self._tally.runs_before += 1
            else:
                self._tally.miss("runs", run_id, "it has ended, and no seal names it", run_id)
        return len(rows) == _PAGE

    def _look_at_message(
        self, seal: SealRow, message: Sequence[Scalar] | None, may_be_gone: bool
    ) -> None:
        """A message goes with its run; one that is sent again is sealed again afterwards."""
        if message is None:
            if not may_be_gone:
                what = f"it is missing: seal {seal.number} names it"
                self._tally.miss("outbox", seal.subject, what, seal.head)
            return
        self._tally.deliveries += 1
        if message[_STATUS] in _UNSETTLED:
            return
        if sealing.facts_digest(message) != seal.facts:
            what = "it was changed after it had arrived or was given up"
            self._tally.miss("outbox", seal.subject, what, seal.head)

    def _look_at_run(self, raw: Raw, seal: SealRow, number: int, facts: Sequence[Scalar]) -> None:
        run_id = seal.subject
        self._tally.sealed += 1
        if sealing.facts_digest(facts) != seal.facts:
            what = "its row was changed after it had ended"
            self._tally.miss("runs", run_id, what, run_id)
        count, head = self._journal(raw, run_id, number, sealed=seal.entries)
        if count < (seal.entries or 0):
            what = f"entries {count + 1} to {seal.entries} are missing"
            self._tally.miss("journal", f"{run_id}#{count + 1}", what, run_id)
        elif head != seal.head:
            what = "its digest is not the one that was sealed: the journal was written anew"
            self._tally.miss("journal", f"{run_id}#{seal.entries}", what, run_id)

    def _journal(
        self, raw: Raw, run_id: str, number: int, sealed: int | None = None
    ) -> tuple[int, str | None]:
        """Follow a journal; its length up to what is `sealed` (None: nothing is) and the digest
        of the last of these."""
        last, digest, length, seen = 0, None, 0, BEFORE_ALL
        head: str | None = None
        while rows := raw.execute(_ENTRIES, (run_id, seen, _PAGE)).fetchall():
            for sequence, found, *told in rows:
                self._entry(run_id, (last, digest), (sequence, found), told, number)
                last, digest, seen = sequence, found, sequence
                if sealed is None or sequence <= sealed:
                    length, head = sequence, found
                else:
                    what = "it was added after the run had been sealed"
                    self._tally.miss("journal", f"{run_id}#{sequence}", what, run_id)
            if len(rows) < _PAGE:
                break
        return length, head

    def _entry(
        self,
        run_id: str,
        before: tuple[int, str | None],
        here: tuple[int, str | None],
        told: Sequence[Scalar],
        number: int,
    ) -> None:
        (last, previous), (sequence, digest) = before, here
        name = f"{run_id}#{sequence}"
        self._tally.entries += 1
        if sequence != last + 1:
            what = f"entry {last + 1} should be in its place"
            self._tally.miss("journal", name, what, run_id)
        elif digest is None:
            # A run that was under way when the chain began has a beginning without digests.
            if previous is not None or number > self._tally.old_runs:
                self._tally.miss("journal", name, "it has no digest: it was put in", run_id)
        else:
            type, step, parent, attempt, at, data = told
            row = (run_id, type, step, parent, attempt, at, data)
            if linked(previous or NOTHING, entries.content(row)) != digest:  # pyright: ignore[reportArgumentType]
                what = "its digest does not fit: it was changed, or the entry before it"
                self._tally.miss("journal", name, what, run_id)
