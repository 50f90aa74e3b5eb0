"""A run's steps: the transcript, the audit trail and the live stream are this one list."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class EntryType(StrEnum):
    """Names equal log names. `…_started` is written before an effect, the others after it."""

    RUN_STARTED = "run.started"
    RUN_FINISHED = "run.finished"
    RUN_RETRIED = "run.retried"
    RUN_RESUMED = "run.resumed"
    RUN_NOTE = "run.note"
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
    EVENT_EMITTED = "event.emitted"
    STORE_WRITTEN = "store.written"


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
