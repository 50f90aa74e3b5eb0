"""Rows in dictionaries, and transactions that can be taken back."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.run import OPEN, Run, RunStatus

Key = TypeVar("Key")
Value = TypeVar("Value")
T = TypeVar("T")


class Undo:
    """What must be done, newest first, to take the running transaction back."""

    def __init__(self) -> None:
        self._steps: list[Callable[[], None]] = []

    def remember(self, step: Callable[[], None]) -> None:
        """`step` undoes what is about to be done."""
        self._steps.append(step)

    def transact(self, work: Callable[[], T]) -> T:
        """All of `work`, or nothing of it when it raises."""
        self._steps.clear()
        try:
            return work()
        except BaseException:
            for step in reversed(self._steps):
                step()
            raise
        finally:
            self._steps.clear()


class Table(Generic[Key, Value]):
    """Immutable rows by key, in the order of their insertion."""

    def __init__(self, undo: Undo) -> None:
        self._undo = undo
        self._rows: dict[Key, Value] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: Key) -> Value | None:
        """The row, or None."""
        return self._rows.get(key)

    def values(self) -> Iterable[Value]:
        """All rows, oldest first."""
        return self._rows.values()

    def items(self) -> Iterable[tuple[Key, Value]]:
        """All keys with their rows, oldest first."""
        return self._rows.items()

    def newest(self) -> Iterator[Value]:
        """All rows, newest first."""
        return reversed(self._rows.values())

    def __iter__(self) -> Iterator[Key]:
        """All keys, oldest first; the table may change meanwhile."""
        return iter(list(self._rows))

    def put(self, key: Key, row: Value) -> None:
        """Insert or replace."""
        before = self._rows.get(key)
        self._undo.remember(lambda: self._set(key, before))
        self._set(key, row)

    def remove(self, key: Key) -> None:
        """Delete, if it is there."""
        if key in self._rows:
            # Put back, it would stand at the end: the whole order is kept instead.
            before = dict(self._rows)
            self._undo.remember(lambda: self._all(before))
            self._set(key, None)

    def _set(self, key: Key, row: Value | None) -> None:
        if row is None:
            self._rows.pop(key, None)
        else:
            self._rows[key] = row

    def _all(self, rows: dict[Key, Value]) -> None:
        self._rows = rows


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run with what only the ledger knows of it."""

    number: int
    run: Run
    concurrency: int
    on_limit: OnLimit
    cancel_asked: bool = False


class RunTable(Table[str, RunRow]):
    """Runs by id, with the sets that are asked about all the time.

    `pending` and `running` hold `{number: run id}`, in no order.
    """

    def __init__(self, undo: Undo) -> None:
        super().__init__(undo)
        self.pending: dict[int, str] = {}
        self.running: dict[int, str] = {}
        self.of: dict[str, dict[int, str]] = {}
        """Per automation, `{number: run id}` of all its runs, oldest first."""
        self.open_of: dict[str, dict[int, str]] = {}
        """Per automation, `{number: run id}` of its pending and running runs, in no order."""

    def row(self, run_id: str) -> RunRow:
        """The row of a run that is there."""
        return self._rows[run_id]

    def rows(self, numbers: dict[int, str]) -> list[RunRow]:
        """The rows of one of the sets, oldest first."""
        return [self._rows[run_id] for _, run_id in sorted(numbers.items())]

    def _set(self, key: str, row: RunRow | None) -> None:
        before = self._rows.get(key)
        if before is not None:
            self.pending.pop(before.number, None)
            self.running.pop(before.number, None)
            self.open_of[before.run.automation].pop(before.number, None)
            if row is None:
                self.of[before.run.automation].pop(before.number)
        super()._set(key, row)
        if row is None:
            return
        if before is None:
            self.of.setdefault(row.run.automation, {})[row.number] = key
        open_runs = self.open_of.setdefault(row.run.automation, {})
        if row.run.status in OPEN:
            open_runs[row.number] = key
        if row.run.status is RunStatus.PENDING:
            self.pending[row.number] = key
        elif row.run.status is RunStatus.RUNNING:
            self.running[row.number] = key


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One line of the audit trail."""

    at: datetime
    action: str
    subject: str
    actor: str
    door: str
    data: object
