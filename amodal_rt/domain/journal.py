"""A run's steps: the transcript, the audit trail and the live stream are this one list."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

RESUMES_WITHIN = timedelta(hours=1)
"""How long after its last sign of life an interrupted run may go on (specification §3)."""
MOST_RESUMES = 3
"""How often one run may go on from its journal (specification §3)."""


class EntryType(StrEnum):
    """Names equal log names. `…_started` is written before an effect, the others after it."""

    RUN_STARTED = "run.started"
    RUN_FINISHED = "run.finished"
    RUN_RETRIED = "run.retried"
    RUN_RESUMED = "run.resumed"
    RUN_WAITING = "run.waiting"
    RUN_NOTE = "run.note"
    RUN_TAINTED = "run.tainted"
    PROMPT = "run.prompt"
    TURN_STARTED = "turn.started"
    TURN_FINISHED = "turn.finished"
    TURN_FAILED = "turn.failed"
    TEXT = "turn.text"
    TOOL_STARTED = "tool.started"
    TOOL_FINISHED = "tool.finished"
    TOOL_FAILED = "tool.failed"
    TOOL_DENIED = "tool.denied"
    WRITE_STARTED = "write.started"
    WRITE_FINISHED = "write.finished"
    WRITE_FAILED = "write.failed"
    WRITE_PARKED = "write.parked"
    EVENT_EMITTED = "event.emitted"
    STORE_WRITTEN = "store.written"
    DELIVERY_OWED = "delivery.owed"
    NODE_STARTED = "node.started"
    NODE_FINISHED = "node.finished"
    NODE_FAILED = "node.failed"
    NODE_WAITING = "node.waiting"
    APPROVAL_ANSWERED = "approval.answered"
    APPROVAL_EXPIRED = "approval.expired"
    GATE_STARTED = "gate.started"
    GATE_FINISHED = "gate.finished"
    GATE_FAILED = "gate.failed"
    EXPECT_STARTED = "expect.started"
    EXPECT_FINISHED = "expect.finished"
    EXPECT_FAILED = "expect.failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of a journal.

    `sequence` counts from 1 within the run and orders rows for readers only; a step's
    identity is `step` (the tool-call id, `turn:3`) under `parent`, so that parallel calls
    stay parallel. `data` is JSON, without secrets.
    """

    run_id: str
    sequence: int
    type: EntryType
    at: datetime
    attempt: int = 1
    step: str | None = None
    parent: str | None = None
    data: Mapping[str, object] = field(default_factory=dict[str, object])


def open_approval(entries: Iterable[Entry]) -> Entry | None:
    """The `node.waiting` entry of the question that waits for a person's answer, if one does."""
    asked: Entry | None = None
    for each in entries:
        if each.type is EntryType.NODE_WAITING:
            asked = each if each.data.get("reason") == "awaiting_approval" else None
        elif asked is not None and each.step == asked.step and each.type in _ANSWERS:
            asked = None
    return asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a run asked a person last. `answer` is the `approval.answered` entry; `closed` says that
    the step is over, with an answer or without one."""

    asked: Entry
    answer: Entry | None = None
    closed: bool = False


def last_question(entries: Iterable[Entry]) -> Question | None:
    """The last question of the run, open or not; None where it asked nothing."""
    found: Question | None = None
    for each in entries:
        if each.type is EntryType.NODE_WAITING and each.data.get("reason") == "awaiting_approval":
            found = Question(asked=each)
        elif found is None or each.step != found.asked.step:
            continue
        elif each.type is EntryType.APPROVAL_ANSWERED:
            found = replace(found, answer=each, closed=True)
        elif each.type in _ANSWERS:
            found = replace(found, closed=True)
    return found


def waited_last(entries: Sequence[Entry]) -> bool:
    """Whether the run, as far as its journal goes, has done nothing since it last waited on
    purpose: however long that was, no harm came of it."""
    for each in reversed(entries):
        if each.type not in _QUIET:
            return each.type is EntryType.RUN_WAITING
    return False


GOES_ON = frozenset({EntryType.RUN_WAITING, EntryType.RUN_RESUMED})
"""After which a run holds no slot for a while, and goes on with its journal."""

UNSHOWN = frozenset({"response"})
"""Keys of `data` that only resuming reads; views for people leave them out."""

_ANSWERS = frozenset({EntryType.APPROVAL_ANSWERED, EntryType.NODE_FINISHED, EntryType.NODE_FAILED})
_QUIET = frozenset({EntryType.RUN_STARTED, EntryType.RUN_RESUMED, EntryType.APPROVAL_ANSWERED})

CALL_OUTCOMES = frozenset(
    {
        EntryType.TOOL_FINISHED,
        EntryType.TOOL_FAILED,
        EntryType.TOOL_DENIED,
        EntryType.WRITE_FINISHED,
        EntryType.WRITE_FAILED,
        EntryType.WRITE_PARKED,
    }
)
"""What ends a tool call, and is never done again."""


async def latest_try(page: Callable[[int], Awaitable[Sequence[Entry]]]) -> list[Entry]:
    """The entries since the run last began afresh, in order; `page` gives those that follow a
    sequence, and none at the end.

    A retry and a return to the queue begin afresh; a resume goes on with what stands.
    """
    found: list[Entry] = []
    after = 0
    while entries := await page(after):
        for each in entries:
            if each.type is EntryType.RUN_RETRIED:
                found.clear()
            else:
                found.append(each)
        after = entries[-1].sequence
    return found


def open_write(entries: Iterable[Entry]) -> Entry | None:
    """The first write that began and has no outcome: nobody can tell whether it happened."""
    begun: dict[tuple[str | None, str | None], Entry] = {}
    for each in entries:
        if each.type is EntryType.WRITE_STARTED:
            begun[each.parent, each.step] = each
        elif each.type in CALL_OUTCOMES:
            begun.pop((each.parent, each.step), None)
    return next(iter(begun.values()), None)


def write_sentence(write: Entry) -> str:
    """`it was cut off in the write request POST /deals over crm (call_3): …`, for people."""
    data = write.data
    what = " ".join(
        str(data[key]) for key in ("tool", "request", "mcp_tool") if isinstance(data.get(key), str)
    )
    over = f" over {data['connection']}" if isinstance(data.get("connection"), str) else ""
    return (
        f"it was cut off in the write {what}{over} ({write.step}); "
        "whether that happened is unknown, so it is not repeated"
    )
