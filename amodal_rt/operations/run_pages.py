"""Runs as lists of pages, and as they change."""

import asyncio
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from amodal_rt.clock import Clock
from amodal_rt.domain.journal import Entry, EntryType
from amodal_rt.domain.run import OPEN, Run, RunStatus, Usage
from amodal_rt.errors import InvalidError
from amodal_rt.operations import asked
from amodal_rt.operations.cursors import bad_cursor, cursor_of, place_of
from amodal_rt.ports import Caller, Ledger, RunFilter, Signals, journal_topic

USUAL, LARGEST = 50, 100
"""How many rows a page has, and may have."""
BEAT_SECONDS = 15.0
"""How long a follower hears nothing: as long as another node's word may stay lost."""
_RUNS = "runs"
_STEPS = 200
"""Entries that a follower is told of at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which page is wanted: of `limit` rows, below one row (`before`, the older ones) or above
    one (`after`), by cursors."""

    limit: int = USUAL
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """Runs, newest first. `before` leads to older ones, None where there are none; `after` to
    those that come to be. `more`: there are more in the direction that was asked for."""

    runs: Sequence[Run]
    before: str | None
    after: str | None
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalPage:
    """Entries of `run` in order; `after` leads to those that follow, None where there are none.
    `last` is the sequence of the run's newest entry."""

    run: Run
    entries: Sequence[Entry]
    after: str | None
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """How a run stands, and the entries that its journal has since."""

    run: Run
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What a journal adds up to: turns and tokens of models, calls, and those that were refused.
    Costs are no part of entries. `last` is the sequence of the newest."""

    last: int = 0
    usage: Usage = field(default_factory=Usage)
    calls: int = 0
    refused: int = 0


@dataclass(slots=True)
class _Look:
    """What several followers of one run know together."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    began: float = float("-inf")
    run: Run | None = None
    followers: int = 0


def page_size(text: str | None) -> int:
    """How many rows of a page are asked for: 1 to 100. Raises InvalidError (`bad_limit`)."""
    if text is None:
        return USUAL
    count = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 1 <= count <= LARGEST:
        raise InvalidError(f"limit {text!r} is not 1 to {LARGEST}", code="bad_limit")
    return count


class RunPages:
    """Answers from the ledger."""

    def __init__(self, ledger: Ledger, *, signals: Signals, clock: Clock) -> None:
        self._ledger = ledger
        self._signals = signals
        self._clock = clock
        self._looks: dict[str, _Look] = {}

    async def get(self, caller: Caller, run_id: str) -> Run:
        """One run. Raises NotFoundError."""
        found = await self._ledger.find_run(run_id)
        if found is None:
            raise asked.missing("run", run_id)
        return found

    async def payload(self, run: Run) -> object:
        """What started it: its own payload, else its event's data."""
        if run.payload is not None or run.event_id is None:
            return run.payload
        found = await self._ledger.find_event(run.event_id)
        return found.event.data if found else None

    async def page(
        self,
        caller: Caller,
        wish: Wish,
        *,
        automation: str | None = None,
        status: RunStatus | None = None,
    ) -> RunPage:
        """One page. Skipped runs are shown only to who asks for that status.

        Raises InvalidError (`bad_cursor`).
        """
        if wish.before and wish.after:
            raise InvalidError(
                "before_cursor and after_cursor exclude each other", code="bad_cursor"
            )
        older = await self._place(wish.before)
        newer = await self._place(wish.after)
        wanted = RunFilter(
            automation=automation,
            status=status,
            without=None if status is RunStatus.SKIPPED else RunStatus.SKIPPED,
            older_than=older,
            newer_than=newer,
            limit=wish.limit + 1,
        )
        found = await self._ledger.list_runs(wanted)
        more = len(found) > wish.limit
        if more:
            found = found[1:] if newer else found[:-1]
        # Below a page that was reached upwards there is at least the row that it began from.
        below = more or newer is not None
        first = cursor_of(_RUNS, found[0].run_id) if found else wish.after
        last = cursor_of(_RUNS, found[-1].run_id) if found and below else None
        return RunPage(runs=found, before=last, after=first, more=more)

    async def journal(
        self, caller: Caller, run_id: str, *, limit: int, after: str | None
    ) -> JournalPage:
        """Entries in order. Raises NotFoundError, InvalidError (`bad_cursor`)."""
        found = await self.get(caller, run_id)
        begin = 0
        if after:
            place = place_of(run_id, after)
            if not place.isascii() or not place.isdigit() or len(place) > 15:
                raise bad_cursor()
            begin = int(place)
        entries = await self._ledger.entries(run_id, after=begin, limit=limit + 1)
        more, entries = len(entries) > limit, entries[:limit]
        last = entries[-1].sequence if entries else begin
        return JournalPage(
            run=found,
            entries=entries,
            after=cursor_of(run_id, str(last)) if more else None,
            last=await self._last(run_id, last) if more else last,
        )

    async def steps(
        self, caller: Caller, run_id: str, *, after: int, limit: int
    ) -> Sequence[Entry]:
        """The entries that follow a sequence, in order."""
        return await self._ledger.entries(run_id, after=after, limit=limit)

    async def follow(self, run_id: str) -> AsyncGenerator[Run | None, None]:
        """The run at once and whenever its standing changes, until it has ended; None after each
        quarter of a minute in which nothing did. Raises NotFoundError."""
        with self._looking(run_id) as look, self._signals.listen(journal_topic(run_id)) as wait:
            told = await self._look(run_id, look)
            yield told
            while told.status in OPEN:
                try:
                    async with self._clock.deadline(BEAT_SECONDS):
                        await wait()
                except TimeoutError:
                    yield None
                found = await self._look(run_id, look)
                if standing_of(found) != standing_of(told):
                    told = found
                    yield told

    async def follow_journal(self, run_id: str, *, after: int) -> AsyncGenerator[News | None, None]:
        """How the run stands with the entries that follow a sequence, and so on until it has
        ended; None after each quarter of a minute in which nothing came. Raises NotFoundError."""
        told: str | None = None
        with self._looking(run_id) as look, self._signals.listen(journal_topic(run_id)) as wait:
            while True:
                # Asked before the entries: a run that ends in between still shows its last ones.
                found = await self._look(run_id, look)
                entries = await self._ledger.entries(run_id, after=after, limit=_STEPS)
                if entries or standing_of(found) != told:
                    after = entries[-1].sequence if entries else after
                    told = standing_of(found)
                    yield News(run=found, entries=entries)
                if len(entries) == _STEPS:
                    continue
                if found.status not in OPEN:
                    return
                try:
                    async with self._clock.deadline(BEAT_SECONDS):
                        await wait()
                except TimeoutError:
                    yield None

    async def tally(self, run_id: str, *, until: int | None = None) -> Tally:
        """What the run's journal adds up to, or its entries up to a sequence."""
        found, after = Tally(), 0
        while entries := await self._ledger.entries(run_id, after=after):
            for each in entries:
                if until is not None and each.sequence > until:
                    return found
                found = counted(found, each)
            after = entries[-1].sequence
        return found

    @contextmanager
    def _looking(self, run_id: str) -> Generator[_Look, None, None]:
        """One look for all who follow the run."""
        look = self._looks.setdefault(run_id, _Look())
        look.followers += 1
        try:
            yield look
        finally:
            look.followers -= 1
            if not look.followers:
                self._looks.pop(run_id, None)

    async def _look(self, run_id: str, look: _Look) -> Run:
        asked_at = self._clock.monotonic()
        async with look.lock:
            # A thousand followers of one run that moves would else ask a thousand times.
            if look.run is None or look.began <= asked_at:
                look.began = self._clock.monotonic()
                look.run = await self._ledger.find_run(run_id)
            if look.run is None:
                raise asked.missing("run", run_id)
            return look.run

    async def _last(self, run_id: str, after: int) -> int:
        while entries := await self._ledger.entries(run_id, after=after):
            after = entries[-1].sequence
        return after

    async def _place(self, cursor: str | None) -> str | None:
        if not cursor:
            return None
        run_id = place_of(_RUNS, cursor)
        if await self._ledger.find_run(run_id) is None:
            raise bad_cursor()
        return run_id


_BEGUN = frozenset({EntryType.TOOL_STARTED, EntryType.WRITE_STARTED, EntryType.TOOL_DENIED})


def counted(tally: Tally, entry: Entry) -> Tally:
    """With one entry more."""
    usage = tally.usage
    if entry.type is EntryType.TURN_FINISHED:
        usage += Usage(
            input_tokens=_number(entry, "input_tokens"),
            output_tokens=_number(entry, "output_tokens"),
            turns=1,
        )
    return Tally(
        last=entry.sequence,
        usage=usage,
        calls=tally.calls + (entry.type in _BEGUN),
        refused=tally.refused + (entry.type is EntryType.TOOL_DENIED),
    )


def _number(entry: Entry, key: str) -> int:
    value = entry.data.get(key)
    return value if isinstance(value, int) else 0


def standing_of(run: Run) -> str:
    """What followers hear of; one text for one standing: `1-running`, `1.2-running` once it has
    gone on twice from its journal."""
    # A run that waits twice is pending twice in one attempt: each is heard of.
    number = f"{run.attempt}.{run.resumes}" if run.resumes else str(run.attempt)
    return "-".join((number, run.status.value, *([run.reason] if run.reason else [])))
