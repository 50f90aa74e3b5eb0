"""Runs agents. Light to import: the agent library is loaded by the first run."""

import asyncio
from dataclasses import replace
from typing import Protocol

from amodal_rt.clock import Clock
from amodal_rt.domain.agent_program import AgentProgram
from amodal_rt.domain.models import (
    ModelChoice,
    configured_models,
    missing_requirements,
    resolve_models,
)
from amodal_rt.domain.outcome import Outcome, Waiting, cut_off_in, failed
from amodal_rt.domain.run import FailedReason
from amodal_rt.domain.workspace import ProviderType
from amodal_rt.errors import AmodalError, InvalidError, NotFoundError
from amodal_rt.executors.acting.beginning import closed_session, open_session
from amodal_rt.executors.acting.mcp_pins import ToolPins
from amodal_rt.executors.acting.mcp_pool import McpPool
from amodal_rt.executors.acting.past import GapError, read_past
from amodal_rt.executors.acting.session import (
    Services,
    Session,
    SessionLedger,
    agent_of,
)
from amodal_rt.executors.acting.tainting import origin_of
from amodal_rt.executors.acting.when import ask_gate
from amodal_rt.executors.agent.program_loop import run_program
from amodal_rt.executors.sandbox.sandbox import Sandboxes
from amodal_rt.guardrails.causes import Causes
from amodal_rt.guardrails.egress import Egress
from amodal_rt.guardrails.pacing import Pacing
from amodal_rt.guardrails.redaction import Redactor
from amodal_rt.ids import Ids
from amodal_rt.logs import Log
from amodal_rt.ports import RunContext, RuntimeView

DEFAULT_AGENT = "main"

_log = Log("executors.agent")


class _Loop(Protocol):
    async def run(
        self, session: Session, choices: tuple[ModelChoice, ...]
    ) -> Outcome | Waiting: ...

    async def close(self) -> None: ...


class AgentExecutor:
    """Implements `ports.Executor` for agent sessions.

    Two runs never share anything but connections: to model providers and, through `pool`,
    to MCP servers. `close` ends both.
    """

    def __init__(
        self,
        *,
        ledger: SessionLedger,
        egress: Egress,
        runtime_view: RuntimeView,
        clock: Clock,
        ids: Ids,
        redactor: Redactor,
        causes: Causes,
        sandboxes: Sandboxes,
    ) -> None:
        self.services = Services(
            ledger=ledger,
            egress=egress,
            runtime_view=runtime_view,
            clock=clock,
            ids=ids,
            redactor=redactor,
            causes=causes,
            pool=McpPool(
                egress,
                clock,
                redactor,
                causes,
                ToolPins(ledger, clock),
                folder=sandboxes.workspace,
            ),
            sandboxes=sandboxes,
            pacing=Pacing(clock),
        )
        self._loop: _Loop | None = None
        self._libraries: set[ProviderType] = set()
        self._loading = asyncio.Lock()

    async def execute(self, context: RunContext) -> Outcome | Waiting:
        """As `ports.Executor.execute`; never waits for a person, and outside its slot only for a
        provider that was asked too much."""
        try:
            _require_agent(context)
            choices = choose_models(context)
        except AmodalError as error:
            return failed(FailedReason.ERROR, self.services.redactor.mask(error.message))
        try:
            past = await read_past(context.run, self.services.ledger, self.services.clock)
        except GapError as error:
            return cut_off_in(error.write, self.services.redactor.mask(error.message))
        seen = await ask_gate(context, self.services, past)
        if isinstance(seen, Outcome):
            return seen
        if seen is not None and not seen.open:
            return seen.closed()
        program = program_of(context)
        if program is not None:
            session = closed_session(context, self.services, past)
            outcome = await run_program(session, program)
        else:
            # Only now: a run that its gate stops costs no import, no model and no other server.
            loop = await self._load({choice.provider.type for choice in choices})
            session = await open_session(context, self.services, past)
            outcome = await loop.run(session, choices)
            if isinstance(outcome, Waiting):
                return outcome
        gate = seen.value if seen is not None else None
        outcome = replace(outcome, gate=gate, origin=origin_of(session))
        _log.debug("agent.finished", run=context.run.run_id, status=outcome.status.value)
        return outcome

    async def carry(self, session: Session) -> Outcome | Waiting:
        """Carry a session that somebody else opened, as a node of a workflow, as `execute`.
        Raises AmodalError for what keeps it from beginning."""
        _require_agent(session.context)
        program = program_of(session.context)
        if program is not None:
            return await run_program(session, program)
        choices = choose_models(session.context)
        loop = await self._load({choice.provider.type for choice in choices})
        return await loop.run(session, choices)

    async def close(self) -> None:
        """End every MCP server and every connection to a model provider."""
        await self.services.pool.close()
        if self._loop is not None:
            await self._loop.close()
            self._loop = None

    async def _load(self, wanted: set[ProviderType]) -> _Loop:
        async with self._loading:
            if self._loop is None or not wanted <= self._libraries:
                # In a thread: the imports take up to three seconds, and webhooks go on.
                self._loop = await asyncio.to_thread(_open, self._loop, wanted - self._libraries)
                self._libraries |= wanted
            return self._loop


def program_of(context: RunContext) -> AgentProgram | None:
    """The program that is the agent's loop, if one is."""
    agent = agent_of(context)
    return agent.program if agent is not None else None


def choose_models(context: RunContext) -> tuple[ModelChoice, ...]:
    """The models to try; empty where the rehearsal serves: none is configured, or it was asked
    for. Raises InvalidError (`model_key_missing`, `unknown_model`)."""
    if context.run.rehearse:
        return ()
    settings = context.snapshot.settings
    references = configured_models(context.definition.automation, agent_of(context), settings)
    missing = missing_requirements(references, settings, context.environment.find)
    if missing:
        raise InvalidError(missing[0].sentence(), code="model_key_missing")
    return resolve_models(references, settings)


def _require_agent(context: RunContext) -> None:
    """`main` may be missing: then the built-in instructions serve. Any other name may not."""
    name = context.definition.automation.agent
    if name != DEFAULT_AGENT and agent_of(context) is None:
        raise NotFoundError(f"there is no agent {name!r}", hint=f"add agents/{name}.md")


def _open(loop: _Loop | None, wanted: set[ProviderType]) -> _Loop:
    from amodal_rt.executors.agent.loop import AgentLoop
    from amodal_rt.executors.agent.models import import_library

    for kind in wanted:
        import_library(kind)
    return loop or AgentLoop()
