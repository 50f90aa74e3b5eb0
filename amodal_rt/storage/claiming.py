"""Which pending runs may start, and in which order.

What was cut off goes on first. Else a free slot goes to the automation with the fewest runs under
way; among those to the one that had its last turn longest ago, and then to the run that came
first. So queues, however long, hold no other automation up for longer than a turn of each.
"""

import sys
from collections import Counter
from heapq import heappop, heappush
from typing import NamedTuple

from amodal_rt.ports import CanRun
from amodal_rt.storage import tables
from amodal_rt.storage.dialect import Raw
from amodal_rt.storage.lines import Candidate, Line, Lines

_SPEAKING = f"SELECT automation, conversation_key FROM runs WHERE {tables.RUNNING}"  # noqa: S608
# Of one conversation, whatever its place in the queue.
HEAD = (
    "SELECT number, not_before, id FROM runs INDEXED BY runs_in_order"  # noqa: S608  all constants
    f" WHERE automation = ? AND conversation_key = ? AND {tables.IN_ORDER}"
    " AND (reason IS NULL OR not_before <= ?)"
    " ORDER BY order_key, number LIMIT 1"
)
_ORDER = "SELECT order_key FROM runs WHERE number = ?"
_BATCHES = 10
"""So many are looked through for an automation that had its turn longer ago."""


class Occupancy:
    """What runs right now, and so who must wait; `overall` is the bound on all that run together,
    where that is looked at. A limit of its own that is no lower never holds an automation up."""

    def __init__(self, raw: Raw, overall: int = sys.maxsize) -> None:
        self._overall = overall
        rows = raw.execute(_SPEAKING).fetchall()
        self.running = len(rows)
        """How many runs, of all nodes."""
        self._running = Counter[str](automation for automation, _ in rows)
        self._keys = set[tuple[str, str | None]](rows)

    def of(self, automation: str) -> int:
        """How many runs of it."""
        return self._running[automation]

    def has_room(self, run: Candidate) -> bool:
        """Whether the run's own automation and conversation let it start."""
        return not self.is_saturated(run) and not self._is_spoken(run)

    def is_saturated(self, run: Candidate) -> bool:
        """Whether no run of this automation can start."""
        return run.concurrency < self._overall and self.of(run.automation) >= run.concurrency

    def take(self, run: Candidate) -> None:
        """Count one more running run."""
        self._running[run.automation] += 1
        self._keys.add((run.automation, run.conversation_key))

    def _is_spoken(self, run: Candidate) -> bool:
        key = run.conversation_key
        return key is not None and (run.automation, key) in self._keys


class Turns:
    """Which automation had a run claimed here more lately than which.

    Of this process alone, and not on disk: after a start each has its turn anew.
    """

    def __init__(self) -> None:
        self._count = 0
        self._last: dict[str, int] = {}

    def took(self, automation: str) -> None:
        """A run of it was claimed."""
        self._count += 1
        self._last[automation] = self._count

    def last(self, automation: str) -> int:
        """The higher, the later; 0 for one that had none."""
        return self._last.get(automation, 0)


def claimable(
    raw: Raw, limit: int, overall: int, now: int, turns: Turns, can_run: CanRun | None = None
) -> list[int]:
    """The numbers of the runs to start, oldest first: at most `limit`, and no more than bring
    all that run to `overall`."""
    occupancy = Occupancy(raw)
    free = min(limit, overall - occupancy.running)
    return sorted(_Claim(raw, occupancy, turns, free, now, can_run).all()) if free > 0 else []


def held_back(
    raw: Raw, overall: int, now: int, turns: Turns, can_run: CanRun | None = None
) -> list[int]:
    """The numbers of the runs, oldest first, that could start but for the bound `overall` on
    all that run together. What its own automation's limit holds up is not among them."""
    return sorted(in_line(raw, overall, now, turns, can_run)[1])


def in_line(
    raw: Raw, overall: int, now: int, turns: Turns, can_run: CanRun | None = None
) -> tuple[list[int], list[int]]:
    """The runs that the next claim would start, were it without a limit of its own, and those
    that it would leave for `overall` alone, by their place in line."""
    occupancy = Occupancy(raw, overall)
    free = max(0, overall - occupancy.running)
    found = _Claim(raw, occupancy, turns, sys.maxsize, now, can_run).all()
    return found[:free], found[free:]


class _Place(NamedTuple):
    """A run's place in line: the lower, the sooner."""

    fresh: bool
    """Not resumed: that must go on within the hour, and comes at most three times."""
    running: int
    """How many of its automation run before it."""
    turn: int
    number: int


class _Claim:
    """What may start together, in turn."""

    def __init__(
        self,
        raw: Raw,
        occupancy: Occupancy,
        turns: Turns,
        limit: int,
        now: int,
        can_run: CanRun | None,
    ) -> None:
        self._raw = raw
        self._occupancy = occupancy
        self._turns = turns
        self._limit = limit
        self._now = now
        self._can_run = can_run
        self._lines = Lines(raw, now, limit)
        self._heads: list[tuple[_Place, Candidate, Line]] = []
        """A heap by place in line."""
        self._can: dict[str, bool] = {}
        """Of each automation of which a run could start: whether this node can execute it."""
        self._held = set[tuple[str, str]]()
        """Conversations whose first run is not due yet."""
        self._found: list[_Place] = []

    def all(self) -> list[int]:
        """The numbers of all that may start, by their place in line."""
        batches = self._lines.batches()
        while len(self._found) < self._limit:
            if self._may_be_behind():
                batch = next(batches, None)
                if batch is not None:
                    self._line_up(batch)
                    continue
            if not self._heads:
                break
            self._start_or_pass()
        found = self._found
        if self._can_run is not None and (more := self._rehearsals(self._can_run)):
            found = sorted(found + more)
        return [each.number for each in found[: self._limit]]

    def _may_be_behind(self) -> bool:
        """Whether a line that was not looked at may come before all that were."""
        if not self._heads:
            return True
        first = self._heads[0][0]
        if not first.fresh:
            return False
        if first.running or first.number > self._lines.known_to:
            return True
        # Of very many automations not all are asked: those of the oldest runs come first then.
        return first.turn > 0 and self._lines.batches_given < _BATCHES

    def _place(self, run: Candidate, number: int) -> _Place:
        name = run.automation
        running, turn = self._occupancy.of(name), self._turns.last(name)
        return _Place(run.resumes == 0, running, turn, number)

    def _line_up(self, lines: dict[str, Line]) -> None:
        for line in lines.values():
            self._step_up(line)

    def _step_up(self, line: Line) -> None:
        """The first of the line that has room, if one has, takes its place among the heads."""
        for run in line:
            if self._occupancy.is_saturated(run):
                return
            if self._occupancy.has_room(run):
                heappush(self._heads, (self._place(run, run.number), run, line))
                return

    def _start_or_pass(self) -> None:
        place, run, line = heappop(self._heads)
        number = run.number
        if run.conversation_key is not None:
            number = self._first_of(run, run.conversation_key)
        if number is not None:
            if not self._may_start(run.automation):
                return
            self._occupancy.take(run)
            self._found.append(place._replace(number=number))
        if len(self._found) < self._limit:
            self._step_up(line)

    def _may_start(self, name: str) -> bool:
        """Whether this node can execute runs of the automation, asked once."""
        known = self._can.get(name)
        if known is None:
            known = self._can[name] = self._can_run is None or self._can_run(name, False)
        return known

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

    def _rehearsals(self, can_run: CanRun) -> list[_Place]:
        """Those that may start of automations of which nothing else can."""
        found: list[_Place] = []
        for run in self._lines.rehearsals():
            # What was not asked about had no room, or is behind all that were found.
            if self._can.get(run.automation, True) or not can_run(run.automation, True):
                continue
            if self._occupancy.has_room(run):
                found.append(self._place(run, run.number))
                self._occupancy.take(run)
        return found
