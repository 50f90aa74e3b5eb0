"""What one run of a workflow carries from node to node."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from amodal_rt.domain.outcome import Outcome, Waiting
from amodal_rt.domain.run import Usage
from amodal_rt.domain.workflow import Script, Workflow
from amodal_rt.executors.acting.session import Session, SessionLedger
from amodal_rt.executors.workflow.rows import Rows
from amodal_rt.executors.workflow.trail import Trail
from amodal_rt.ports import Outbox, RunContext, StepMessages

Function = Callable[..., Awaitable[object]]
"""What a script may call from outside of its sandbox."""


class RunsScripts(Protocol):
    """A sandbox for scripts."""

    async def run(
        self,
        script: Script,
        names: Mapping[str, object],
        *,
        functions: Mapping[str, Function],
        seconds: float,
        heard: list[str] | None = None,
    ) -> object:
        """The value of the script's last expression; what it prints is added to `heard`, line by
        line, where it fails too. Raises AmodalError when it fails, is not
        done after `seconds`, or goes over another limit; a ConflictError of a function as it is.
        """
        ...

    async def close(self) -> None:
        """End what runs."""
        ...


class RunsAgents(Protocol):
    """Who carries an agent's session."""

    async def carry(self, session: Session) -> Outcome | Waiting:
        """To its outcome. Raises AmodalError for what keeps it from beginning."""
        ...


class WorkflowLedger(SessionLedger, Outbox, Protocol):
    """The part of the ledger that workflows use."""


@dataclass(slots=True, kw_only=True)
class WorkflowSession:
    """`acting` may do what the run may, and its effects are the run's. `others` are the workflows
    that its own runs in turn. `trail` is what earlier attempts left; `spent` is what agents have
    used so far, `model` the last of those that served. `output` is what scripts printed, in the
    order of the journal.
    """

    acting: Session
    others: Mapping[str, Workflow]
    ledger: WorkflowLedger
    trail: Trail
    rows: Rows
    agents: RunsAgents
    messages: StepMessages
    scripts: RunsScripts | None = None
    spent: Usage = field(default_factory=Usage)
    visits: int = 0
    model: str | None = None
    output: list[str] = field(default_factory=list[str])

    @property
    def context(self) -> RunContext:
        """The run, its definition, its snapshot."""
        return self.acting.context

    def mask(self, document: Any) -> Any:
        """The same JSON without secrets."""
        return self.acting.services.redactor.mask_document(document)
