"""How a run ended, as its executor and its supervisor say it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from amodal_rt.domain.run import FailedReason, RunStatus, Usage

UNKNOWN_WRITE = "unknown_write"
"""The note of an outcome that must be told of, whatever else was told lately."""

QUIET = "quiet"
"""The `reason` of a completed run that had nothing to send."""


AWAITING_APPROVAL = "awaiting_approval"
"""The `reason` of a completed run that parked a write: a person decides, outside the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateValue:
    """What a gate saw (canonical JSON), and what tells the older of two such values.

    It was read after `since` and before `until`, by the ledger's clock; `over` is the run whose
    value stood on record at `since`, None where none did.
    """

    value: str
    since: datetime
    until: datetime
    over: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose words a text may hold. `tainted`: the run had read what strangers may have written;
    `hosts` are those to which its links may lead then, with a port where one is meant."""

    tainted: bool = False
    hosts: frozenset[str] = frozenset()


UNTAINTED = Origin()
"""Of what strangers had no part in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of one attempt.

    `status` is COMPLETED, FAILED or CANCELLED; SKIPPED (`reason` `filtered`) when the gate kept
    it from starting, where `error` names what stopped it. `text` is the last assistant message;
    `payload` is that text parsed, if it is JSON (an object or a list). `model` is what
    served, `rehearsal` included. `wrote` says that at least one write was attempted, which
    forbids an automatic retry. `notes` are remarks for the journal; `UNKNOWN_WRITE` among them
    names a write that nobody can tell the end of. `gate` is what the automation's gate saw; it
    becomes the last value seen when the run completed, and only then. `lasting` says that another
    attempt would fail the same. `origin` says whose words `text` may hold.
    """

    status: RunStatus
    reason: str | None = None
    error: str | None = None
    text: str | None = None
    payload: object = None
    output: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
    model: str | None = None
    wrote: bool = False
    notes: Mapping[str, object] = field(default_factory=dict[str, object])
    gate: GateValue | None = None
    lasting: bool = False
    origin: Origin = UNTAINTED

    @property
    def rehearsed(self) -> bool:
        """Whether the built-in rehearsal model served."""
        return self.model == "rehearsal"

    def entry(self, usage: Usage) -> dict[str, object]:
        """What `run.finished` in the journal says of it; `usage` is that of all attempts."""
        skipped = self.status is RunStatus.SKIPPED
        data: dict[str, object] = {
            "status": self.status.value,
            "reason": self.reason,
            "rule" if skipped else "error": self.error,
            "model": self.model,
            "usage": usage.document(),
            "output": list(self.output),
        }
        return data | ({"notes": dict(self.notes)} if self.notes else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An executor's word that the run must wait outside a slot (`waiting`, `awaiting_approval`).

    It goes on at `until`, or when somebody answers; without `until` only then.
    """

    reason: str
    until: datetime | None = None


def cut_off_in(write: str | None, error: str) -> Outcome:
    """The outcome of a run that was cut off and does not go on; `write` is the step of a write
    that was under way, if one was."""
    notes = {UNKNOWN_WRITE: write} if write else dict[str, object]()
    return Outcome(
        status=RunStatus.FAILED,
        reason=FailedReason.INTERRUPTED,
        error=error,
        wrote=write is not None,
        notes=notes,
    )


def failed(reason: FailedReason, error: str, *, usage: Usage | None = None) -> Outcome:
    """A failed outcome; `error` is one line for people, free of secrets."""
    return Outcome(status=RunStatus.FAILED, reason=reason, error=error, usage=usage or Usage())
