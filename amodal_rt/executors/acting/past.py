"""What earlier attempts of a run left in its journal: the steps that are not done again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol, cast

from amodal_rt.clock import Clock, parse_iso
from amodal_rt.domain.journal import (
    CALL_OUTCOMES,
    GOES_ON,
    RESUMES_WITHIN,
    Entry,
    EntryType,
    latest_try,
    open_write,
    waited_last,
    write_sentence,
)
from amodal_rt.domain.run import Run
from amodal_rt.errors import ConflictError, UnavailableError
from amodal_rt.ports import Previous

GAP = "journal_gap"
"""The code of what ends a run that cannot go on from its journal: it fails as interrupted."""

_RETRY_SECONDS = 0.5
_KEPT = frozenset({EntryType.STORE_WRITTEN, EntryType.DELIVERY_OWED})


class GapError(ConflictError):
    """The run cannot go on from its journal, and nothing may be guessed. `write` is the step of a
    write of unknown outcome."""

    default_code = GAP

    def __init__(self, reason: str, *, write: str | None = None) -> None:
        super().__init__(f"the run cannot go on from its journal: {reason}", code=GAP)
        self.write = write


def gap(reason: str) -> GapError:
    """The error for that reason."""
    return GapError(reason)


@dataclass(frozen=True, slots=True)
class PastTurn:
    """A request to a model whose outcome stands: `turn.finished`, or `turn.failed`."""

    step: str
    data: Mapping[str, object]
    finished: bool

    @property
    def model(self) -> str:
        """The reference of the model that was asked."""
        return str(self.data.get("model", ""))

    @property
    def cost(self) -> float | None:
        """What the answer cost in USD, where that was known."""
        cost = self.data.get("cost_usd")
        return float(cost) if isinstance(cost, int | float) else None


@dataclass(frozen=True, slots=True)
class PastCall:
    """A tool call whose outcome stands."""

    type: EntryType
    data: Mapping[str, object]

    @property
    def wrote(self) -> bool:
        """Whether it was a write, done, failed or parked."""
        return self.type in {
            EntryType.WRITE_FINISHED,
            EntryType.WRITE_FAILED,
            EntryType.WRITE_PARKED,
        }

    @property
    def parked(self) -> str | None:
        """The id of the write that waits for a person instead, if it does."""
        found = self.data.get("write_id")
        return str(found) if self.type is EntryType.WRITE_PARKED else None

    @property
    def ok(self) -> bool:
        """Whether it did what was asked."""
        return self.type in {EntryType.TOOL_FINISHED, EntryType.WRITE_FINISHED}

    @property
    def told(self) -> str:
        """What the model was told then."""
        if self.type is EntryType.TOOL_DENIED:
            hint = self.data.get("hint")
            return f"refused: {self.data.get('reason', '')}" + (f" ({hint})" if hint else "")
        if self.type in {EntryType.TOOL_FAILED, EntryType.WRITE_FAILED}:
            return f"error: {self.data.get('error', '')}"
        return str(self.data.get("result", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Prompts by the step of the sub-agent (None for the run's own agent), turns and calls by
    (parent, step), the steps that kept something in the ledger, the sources that tainted the run,
    what the gate said. Empty for a run that begins."""

    prompts: Mapping[str | None, Mapping[str, object]] = field(
        default_factory=dict[str | None, Mapping[str, object]]
    )
    turns: Mapping[tuple[str | None, str], PastTurn] = field(
        default_factory=dict[tuple[str | None, str], PastTurn]
    )
    calls: Mapping[tuple[str | None, str], PastCall] = field(
        default_factory=dict[tuple[str | None, str], PastCall]
    )
    kept: frozenset[str] = frozenset()
    tainted: frozenset[str] = frozenset()
    gate: Mapping[str, object] | None = None

    @property
    def tools(self) -> frozenset[str]:
        """Names of the tools whose calls have an outcome."""
        return frozenset(str(each.data.get("tool", "")) for each in self.calls.values())

    def previous(self) -> Previous | None:
        """The last run that the recorded prompt told of; its summary stands in the prompt."""
        told = self.prompts.get(None, {}).get("last_run")
        if not isinstance(told, Mapping):
            return None
        facts = cast("Mapping[str, object]", told)
        finished_at = parse_iso(str(facts["finished_at"]))
        return Previous(run_id=str(facts["run_id"]), summary="", finished_at=finished_at)

    def turns_below(self, step: str) -> list[PastTurn]:
        """The finished turns of the sub-agent that the call `step` dispatched."""
        turns = self.turns.items()
        return [each for (parent, _), each in turns if parent == step and each.finished]

    def writes_below(self, step: str) -> int:
        """How many writes that sub-agent attempted."""
        turns = {each for parent, each in self.turns if parent == step}
        return sum(call.wrote and parent in turns for (parent, _), call in self.calls.items())


class ReadsJournal(Protocol):
    """The part of the ledger that is read."""

    async def entries(self, run_id: str, *, after: int = 0, limit: int = 1000) -> list[Entry]:
        """As `ports.JournalLedger`."""
        ...


async def read_past(run: Run, ledger: ReadsJournal, clock: Clock) -> Past:
    """What a resumed run goes on from, as `read_journal`; empty for any other run."""
    return past_of(await read_journal(run, ledger, clock))


async def read_journal(run: Run, ledger: ReadsJournal, clock: Clock) -> list[Entry]:
    """The entries that a resumed run goes on from; none for any other run.

    Raises ConflictError (`journal_gap`) when it may not go on: its last step is over an hour
    old by now, or it was cut off in a write, which nobody may repeat. Waits for a ledger that
    is away: the run's deadline goes on.
    """
    if not run.resumes:
        return []

    async def page(after: int) -> list[Entry]:
        while True:
            try:
                return await ledger.entries(run.run_id, after=after)
            except UnavailableError:
                await clock.sleep(_RETRY_SECONDS)

    entries = await latest_try(page)
    before = _until_it_went_on(entries)
    late = before and clock.now() - before[-1].at > RESUMES_WITHIN
    if late and not waited_last(before):
        hours = RESUMES_WITHIN / timedelta(hours=1)
        raise gap(f"it was cut off more than {hours:g} h ago")
    unknown = open_write(entries)
    if unknown is not None:
        raise GapError(write_sentence(unknown), write=unknown.step or "unknown")
    return entries


def _until_it_went_on(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Without what was done since it last woke from a wait or went on after a crash."""
    ends = [place for place, each in enumerate(entries, start=1) if each.type in GOES_ON]
    return entries[: ends[-1]] if ends else []


def past_of(entries: Iterable[Entry]) -> Past:
    """The prompts, turns, calls and kept values of these entries."""
    prompts: dict[str | None, Mapping[str, object]] = {}
    turns: dict[tuple[str | None, str], PastTurn] = {}
    calls: dict[tuple[str | None, str], PastCall] = {}
    kept: set[str] = set()
    tainted: set[str] = set()
    gate: Mapping[str, object] | None = None
    for each in entries:
        if each.type is EntryType.GATE_FINISHED:
            gate = each.data
        if each.type is EntryType.RUN_TAINTED:
            tainted.add(str(each.data.get("name", "")))
        if each.type is EntryType.PROMPT:
            prompts[each.step] = each.data
        if each.step is None:
            continue
        place = (each.parent, each.step)
        if each.type is EntryType.TURN_FINISHED:
            turns[place] = PastTurn(each.step, each.data, finished=True)
        elif each.type is EntryType.TURN_FAILED:
            turns[place] = PastTurn(each.step, each.data, finished=False)
        elif each.type in CALL_OUTCOMES:
            calls[place] = PastCall(each.type, each.data)
        elif each.type in _KEPT:
            kept.add(each.step)
    return Past(
        prompts=prompts,
        turns=turns,
        calls=calls,
        kept=frozenset(kept),
        tainted=frozenset(tainted),
        gate=gate,
    )
