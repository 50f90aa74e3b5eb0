"""Which pending runs may start. A queue may be very long, and most of it one automation's."""

import sys
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from amodal_rt.ports import CanRun
from amodal_rt.storage import tables
from amodal_rt.storage.dialect import Raw
from amodal_rt.storage.rows import Row, dumped

_PAGE = 200
_MANY = 200
"""From this many waiting automations on, they are not asked one by one."""

_SPEAKING = f"SELECT automation, conversation_key FROM runs WHERE {tables.RUNNING}"  # noqa: S608
# A parked run without an instant waits for an answer.
_DUE = f"{tables.PENDING} AND (not_before <= ? OR (not_before IS NULL AND reason IS NULL))"
_COLUMNS = "SELECT number, automation, concurrency, conversation_key FROM runs INDEXED BY"
# By the primary key, every run there ever was would be looked at.
_OLDEST = (
    f"{_COLUMNS} runs_pending WHERE {_DUE} AND number > ?"  # noqa: S608  all constants
    " AND automation NOT IN (SELECT value FROM json_each(?)) ORDER BY number LIMIT ?"
)
_OF_ONE = (
    f"{_COLUMNS} runs_waiting WHERE {_DUE} AND number > ? AND automation = ?"
    " ORDER BY number LIMIT ?"
)
_REHEARSALS = f"{_COLUMNS} runs_rehearsals WHERE {tables.REHEARSAL} AND {_DUE} ORDER BY number"
# Of one conversation, whatever its place in the queue.
HEAD = (
    "SELECT number, not_before, id FROM runs INDEXED BY runs_in_order"  # noqa: S608  all constants
    f" WHERE automation = ? AND conversation_key = ? AND {tables.IN_ORDER}"
    " AND (reason IS NULL OR not_before <= ?)"
    " ORDER BY order_key, number LIMIT 1"
)
_ORDER = "SELECT order_key FROM runs WHERE number = ?"
# From name to name through the index, however long the queue of each is.
_NEXT_NAME = (
    "SELECT MIN(automation) FROM runs INDEXED BY runs_waiting"  # noqa: S608  all constants
    f" WHERE {tables.PENDING}"
)
_NAMES = (
    f"WITH RECURSIVE waiting(name) AS ({_NEXT_NAME} UNION ALL"  # noqa: S608  all constants
    f" SELECT ({_NEXT_NAME} AND automation > name) FROM waiting WHERE name IS NOT NULL)"
    " SELECT name FROM waiting WHERE name IS NOT NULL LIMIT ?"
)


class Candidate(NamedTuple):
    """What decides over a pending run."""

    number: int
    automation: str
    concurrency: int
    conversation_key: str | None


def candidate(row: Row) -> Candidate:
    """The columns of that name."""
    return Candidate(row["number"], row["automation"], row["concurrency"], row["conversation_key"])


class Occupancy:
    """What runs right now, and so who must wait."""

    def __init__(self, raw: Raw) -> None:
        rows = raw.execute(_SPEAKING).fetchall()
        self.running = len(rows)
        """How many runs, of all nodes."""
        self._running = Counter[str](automation for automation, _ in rows)
        self._keys = set[tuple[str, str | None]](rows)

    def has_room(self, run: Candidate) -> bool:
        """Whether the run's own automation and conversation let it start."""
        return not self.is_saturated(run) and not self._is_spoken(run)

    def is_saturated(self, run: Candidate) -> bool:
        """Whether no run of this automation can start."""
        return self._running[run.automation] >= run.concurrency

    def take(self, run: Candidate) -> None:
        """Count one more running run."""
        self._running[run.automation] += 1
        self._keys.add((run.automation, run.conversation_key))

    def _is_spoken(self, run: Candidate) -> bool:
        key = run.conversation_key
        return key is not None and (run.automation, key) in self._keys


def claimable(
    raw: Raw, limit: int, overall: int, now: int, can_run: CanRun | None = None
) -> list[int]:
    """The numbers of the runs to start, oldest first: at most `limit`, and no more than bring
    all that run to `overall`."""
    claim = _Claim(raw, limit, overall, now, can_run)
    return [] if claim.is_full() else claim.all()


def held_back(raw: Raw, overall: int, now: int, can_run: CanRun | None = None) -> list[int]:
    """The numbers of the runs, oldest first, that could start but for the bound `overall` on
    all that run together. What stands behind runs of its own automation is not among them."""
    return in_line(raw, overall, now, can_run)[1]


def in_line(
    raw: Raw, overall: int, now: int, can_run: CanRun | None = None
) -> tuple[list[int], list[int]]:
    """The runs that the next claim would start, were it without a limit of its own, and those
    that it would leave for `overall` alone."""
    claim = _Claim(raw, sys.maxsize, sys.maxsize, now, can_run)
    free, found = max(0, overall - claim.running), claim.all()
    return found[:free], found[free:]


class _Claim:
    """One look at the queue, up to the run `last`."""

    def __init__(
        self, raw: Raw, limit: int, overall: int, now: int, can_run: CanRun | None
    ) -> None:
        self._raw = raw
        self._can_run = can_run
        self._now = now
        self._occupancy = Occupancy(raw)
        self.running = self._occupancy.running
        self._limit = min(limit, overall - self.running)
        self._shut: set[str] = set()
        """Automations of which no further run can start here: full, or not runnable."""
        self._held = set[tuple[str, str]]()
        """Conversations whose first run is not due yet."""
        self._last = 0
        self._found: list[int] = []

    def is_full(self) -> bool:
        """Whether nothing may start, whatever waits."""
        return self._limit <= 0

    def all(self) -> list[int]:
        """The numbers of all that may start, oldest first."""
        # The oldest are nearly always enough.
        if self._page() and len(self._found) < self._limit:
            self._rest()
        found = self._found
        if self._can_run is not None and (more := self._rehearsals(self._can_run)):
            found = sorted(found + more)
        return found[: self._limit]

    def _page(self) -> bool:
        """Go through the next runs of automations not yet found to be shut; whether there
        may be more of them."""
        shut = dumped(sorted(self._shut))
        rows = self._raw.execute(_OLDEST, (self._now, self._last, shut, _PAGE)).fetchall()
        for row in rows:
            run = Candidate(*row)
            self._last = run.number
            if not self._runs_here(run.automation):
                self._shut.add(run.automation)
                continue
            if len(self._found) < self._limit and (number := self._take(run)):
                self._found.append(number)
            if self._occupancy.is_saturated(run):
                self._shut.add(run.automation)
        return len(rows) == _PAGE

    def _runs_here(self, name: str) -> bool:
        return self._can_run is None or self._can_run(name, False)

    def _rehearsals(self, can_run: CanRun) -> list[int]:
        """Those that may start of automations of which nothing else can."""
        numbers: list[int] = []
        for row in self._raw.execute(_REHEARSALS, (self._now,)).fetchall():
            run = Candidate(*row)
            if can_run(run.automation, False) or not can_run(run.automation, True):
                continue
            if self._occupancy.has_room(run):
                self._occupancy.take(run)
                numbers.append(run.number)
        return numbers

    def _rest(self) -> None:
        """What stands behind a page of runs that must wait.

        Ten thousand waiting runs of one automation must not be looked at one by one, nor
        ten thousand automations.
        """
        names = [name for (name,) in self._raw.execute(_NAMES, (_MANY,)).fetchall()]
        if len(names) == _MANY:
            while len(self._found) < self._limit and self._page():
                pass
            return
        more = [
            number
            for name in names
            if name not in self._shut and self._runs_here(name)
            for number in self._of(name)
        ]
        self._found += sorted(more)[: self._limit - len(self._found)]

    def _of(self, name: str) -> list[int]:
        """The runs of one automation behind the page that may start."""
        numbers: list[int] = []
        for run in self._behind(name):
            if len(numbers) == self._limit or self._occupancy.is_saturated(run):
                break
            if number := self._take(run):
                numbers.append(number)
        return numbers

    def _take(self, run: Candidate) -> int | None:
        """The number of the run that starts where the queue has come to `run`, if one may."""
        if not self._occupancy.has_room(run):
            return None
        number = run.number
        if run.conversation_key is not None:
            number = self._first_of(run, run.conversation_key)
        if number is not None:
            self._occupancy.take(run)
        return number

    def _first_of(self, run: Candidate, conversation: str) -> int | None:
        """The run of the conversation that must go first: of the lowest key, or `run` itself
        where it has none; None while that one is not due."""
        key = (run.automation, conversation)
        if key in self._held:
            return None
        found = self._raw.execute(HEAD, (*key, self._now)).fetchone()
        if found is None or found[0] == run.number:
            return run.number
        if self._raw.execute(_ORDER, (run.number,)).fetchone()[0] is None:
            return run.number
        number, not_before, _ = found
        if not_before is None or not_before <= self._now:
            return int(number)
        self._held.add(key)
        return None

    def _behind(self, name: str) -> Iterator[Candidate]:
        last, size = self._last, min(self._limit, _PAGE)
        while True:
            rows = self._raw.execute(_OF_ONE, (self._now, last, name, size)).fetchall()
            for row in rows:
                run = Candidate(*row)
                last = run.number
                yield run
            if len(rows) < size:
                return
