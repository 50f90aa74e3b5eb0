"""The pending runs that are due, a line for each automation, read no further than asked for.

Ten thousand waiting runs of one automation must not be looked at one by one, nor ten thousand
automations.
"""

import sys
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from amodal_rt.storage import tables
from amodal_rt.storage.dialect import Raw
from amodal_rt.storage.rows import Row, dumped

_PAGE = 200
_MANY = 200
"""From this many waiting automations on, they are not asked one by one."""

# A parked run without an instant waits for an answer.
_DUE = f"{tables.PENDING} AND (not_before <= ? OR (not_before IS NULL AND reason IS NULL))"
_COLUMNS = "SELECT number, automation, concurrency, conversation_key, resumes FROM runs INDEXED BY"
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
    resumes: int = 0


Line = Iterator[Candidate]
"""The runs of one automation, oldest first."""


def candidate(row: Row) -> Candidate:
    """The columns of that name."""
    return Candidate(row["number"], row["automation"], row["concurrency"], row["conversation_key"])


class Lines:
    """One look at the queue, within one transaction."""

    def __init__(self, raw: Raw, now: int, limit: int) -> None:
        self._raw = raw
        self._now = now
        self._size = min(limit, _PAGE)
        self._seen = set[str]()
        self.known_to = 0
        """Up to this number, every run that is due stands in a line that was given."""
        self.batches_given = 0

    def batches(self) -> Iterator[dict[str, Line]]:
        """All lines by automation, each once: those of the oldest runs first."""
        yield self._page()
        names = self._names() if self.known_to < sys.maxsize else []
        if len(names) < _MANY:
            self.known_to = sys.maxsize
            yield {name: self._behind(name, 0) for name in names if name not in self._seen}
            return
        while self.known_to < sys.maxsize:
            yield self._page()

    def rehearsals(self) -> list[Candidate]:
        """The rehearsals among them, of all automations, oldest first."""
        return [Candidate(*row) for row in self._raw.execute(_REHEARSALS, (self._now,)).fetchall()]

    def _page(self) -> dict[str, Line]:
        """The lines of the next automations that have none yet."""
        self.batches_given += 1
        seen = dumped(sorted(self._seen))
        rows = self._raw.execute(_OLDEST, (self._now, self.known_to, seen, _PAGE)).fetchall()
        by_name: dict[str, list[Candidate]] = {}
        for row in rows:
            run = Candidate(*row)
            by_name.setdefault(run.automation, []).append(run)
        self._seen |= by_name.keys()
        if len(rows) < _PAGE:
            self.known_to = sys.maxsize
            return {name: iter(runs) for name, runs in by_name.items()}
        last = self.known_to = rows[-1][0]
        return {name: chain(runs, self._behind(name, last)) for name, runs in by_name.items()}

    def _names(self) -> list[str]:
        return [name for (name,) in self._raw.execute(_NAMES, (_MANY,)).fetchall()]

    def _behind(self, name: str, last: int) -> Line:
        while True:
            rows = self._raw.execute(_OF_ONE, (self._now, last, name, self._size)).fetchall()
            for row in rows:
                yield Candidate(*row)
            if len(rows) < self._size:
                return
            last = rows[-1][0]
