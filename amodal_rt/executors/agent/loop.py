"""One agent run on the agent library, from prompt to outcome. Loaded by the first run."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pydantic_ai
from pydantic_ai import Agent as LibraryAgent
from pydantic_ai.exceptions import (
    AgentRunError,
    ContentFilterError,
    FallbackExceptionGroup,
    UsageLimitExceeded,
    UserError,
)
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    UserPromptPart,
)
from pydantic_ai.models import Model
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RunUsage, UsageLimits

from amodal_rt.domain.automation import ChatMessage
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.models import REHEARSAL, ModelChoice, budget_models, resolve_models
from amodal_rt.domain.outcome import AWAITING_APPROVAL, Outcome, Waiting
from amodal_rt.domain.run import FailedReason, RunStatus, Usage
from amodal_rt.errors import AmodalError
from amodal_rt.executors.acting.gate import Answer
from amodal_rt.executors.acting.past import GapError
from amodal_rt.executors.acting.payload import parse_payload
from amodal_rt.executors.acting.session import Session, Tally, agent_of
from amodal_rt.executors.acting.spoken import keep, parked_text
from amodal_rt.executors.acting.tainting import tell_sources
from amodal_rt.executors.acting.tools import DispatchArguments
from amodal_rt.executors.agent.failures import (
    BudgetSpentError,
    ParkedEndError,
    SparedModelError,
    describe,
    goes_on,
    is_lasting,
)
from amodal_rt.executors.agent.journaled import JournaledModel
from amodal_rt.executors.agent.models import ModelShelf
from amodal_rt.executors.agent.prompt import (
    Prompt,
    build_prompt,
    build_task_prompt,
    facts_of,
    past_prompt,
)
from amodal_rt.executors.agent.provider_limits import wait_for_provider
from amodal_rt.executors.agent.purse import Purse
from amodal_rt.executors.agent.rehearsal import RehearsalModel
from amodal_rt.executors.agent.toolset import GatedToolset
from amodal_rt.guardrails.untrusted import plain_line
from amodal_rt.logs import Log

DEFAULT_TEMPERATURE = 0.5
PATIENCE_SECONDS = 120.0
"""How long a model may be silent at most, where another one waits behind it."""

_log = Log("executors.agent")
_FAILURES = (AgentRunError, UserError, FallbackExceptionGroup, AmodalError)


class _CutOffError(AgentRunError):
    """The provider ended the last message; the model did not."""


class _FilteredError(_CutOffError, ContentFilterError):
    """It was ended for what it said."""


@dataclass(frozen=True, slots=True)
class _Running:
    """What a run and its sub-agents share inside the library."""

    choices: tuple[ModelChoice, ...]
    cheaper: tuple[ModelChoice, ...]
    usage: RunUsage
    limits: UsageLimits


class AgentLoop:
    """The library's agent, built once: all that differs between runs is given to each run."""

    def __init__(self) -> None:
        # The library greets the first run with a banner, in the middle of the daemon's log.
        pydantic_ai.BANNER_ENABLED = False
        self._shelf = ModelShelf()
        self._running: dict[int, _Running] = {}
        self._agent = LibraryAgent[Session, str](
            None,
            output_type=str,
            deps_type=Session,
            name="amodal-rt",
            retries={"tools": 5, "output": 2},
            toolsets=[GatedToolset(self._dispatch)],
        )

    async def close(self) -> None:
        """Close the connections to providers."""
        await self._shelf.close()

    async def run(self, session: Session, choices: Sequence[ModelChoice]) -> Outcome | Waiting:
        """Carry the session to its outcome, or to where it waits for a provider that was asked
        too much. No choice: the rehearsal serves."""
        # By what it shares with its sub-agents alone: a run may have several agents at once.
        place = id(session.tally)
        running = _Running(tuple(choices), _cheaper(session), _used(session), _limits(session))
        self._running[place] = running
        try:
            prompt = past_prompt(session)
            if prompt is None:
                await _note_missing(session)
                prompt = build_prompt(session)
            text = await self._converse(session, prompt)
        except ParkedEndError as error:
            text = error.message
        except _FAILURES as error:
            waiting = await wait_for_provider(session, error)
            return waiting or _failure(session, error)
        except Exception as error:  # noqa: BLE001  (a defect of the library or ours ends here)
            _log.exception("agent.failed", error, run=session.context.run.run_id)
            return _failure(session, error)
        finally:
            del self._running[place]
        parked = session.effects.whole.parked
        if parked:
            text = parked_text(parked, text)
        said, whole = keep(session.mask(text))
        return Outcome(
            status=RunStatus.COMPLETED,
            reason=AWAITING_APPROVAL if parked else None,
            text=said,
            payload=parse_payload(said) if whole else None,
            usage=_usage(session.tally),
            model=session.tally.served,
            wrote=session.effects.writes > 0,
        )

    async def _converse(self, session: Session, prompt: Prompt) -> str:
        running = self._running[id(session.tally)]
        chain, references = self._chain(session, running)
        self._open(session, prompt, references)
        try:
            result = await self._agent.run(
                prompt.user,
                model=chain,
                instructions=prompt.system,
                message_history=_history(prompt.history),
                deps=session,
                model_settings=_settings(session),
                usage_limits=running.limits,
                usage=running.usage,
                infer_name=False,
            )
        finally:
            # Left over when a limit ended the run before its first turn.
            for _, rows in session.opening:
                rows.cancel()
        finish = result.response.finish_reason
        if finish in {"length", "content_filter", "error"}:
            what = "was cut off at its length limit" if finish == "length" else "was stopped"
            ended = _FilteredError if finish == "content_filter" else _CutOffError
            raise ended(f"the model's answer {what} ({finish})")
        return result.output

    def _open(self, session: Session, prompt: Prompt, models: list[str]) -> None:
        """Write down the prompt and that the first turn begins: one commit, which the disk makes
        while the library prepares the request. The request waits for it. A session that goes on
        has its prompt on record."""
        if session.parent in session.past.prompts:
            return
        first = next((each for each in models if each not in session.tally.silent), models[-1])
        step, record = session.next_turn(), session.context.journal.record
        facts: dict[str, object] = {"models": models, **facts_of(session, prompt)}
        rows = asyncio.gather(
            record(EntryType.PROMPT, step=session.parent, data=facts),
            record(EntryType.TURN_STARTED, step=step, parent=session.parent, data={"model": first}),
            tell_sources(session),
        )
        # A run that is ended before it waits for them must not be reported as a lost error.
        rows.add_done_callback(lambda done: done.cancelled() or done.exception())
        session.opening.append((step, rows))

    async def _dispatch(self, session: Session, given: DispatchArguments, step: str) -> Answer:
        tools = tuple(given.tools) if given.tools is not None else None
        child = session.child(step, tools)
        try:
            prompt = past_prompt(child) or build_task_prompt(child, given.task)
            return Answer(text=await self._converse(child, prompt))
        except ParkedEndError as error:
            return Answer(text=parked_text(session.effects.whole.parked, error.message))
        except (UsageLimitExceeded, BudgetSpentError):
            # The limits are the run's, so no part of it may go on.
            raise
        except _FAILURES as error:
            if isinstance(error, GapError):
                raise
            return Answer(text=describe(error, session.mask), ok=False)

    def _chain(self, session: Session, running: _Running) -> tuple[Model, list[str]]:
        """The models as the session asks them, in order, and their references; behind them what
        is asked instead once a budget is nearly spent."""
        if not running.choices:
            rehearsing = JournaledModel(RehearsalModel(session), REHEARSAL, session)
            return rehearsing, [REHEARSAL]
        spares = bool(running.cheaper)
        models = self._paid(session, running.choices, spares=spares)
        cheaper = self._paid(session, running.cheaper, thrifty=True)
        chain = [*models, *cheaper]
        references = [each.reference for each in running.choices]
        return chain[0] if len(chain) == 1 else _fallback(chain), references

    def _paid(
        self,
        session: Session,
        choices: Sequence[ModelChoice],
        *,
        spares: bool = False,
        thrifty: bool = False,
    ) -> list[Model]:
        """All but the last may be silent for their share of the run's time and no longer: the
        others must have a chance."""
        timeout = session.context.definition.automation.limits.timeout.total_seconds()
        patience = min(PATIENCE_SECONDS, timeout / max(len(choices), 1))
        found = self._shelf.find(choices, session.context.environment)
        last = len(choices) - 1
        return [
            JournaledModel(
                model,
                choice.reference,
                session,
                patience=None if place == last else patience,
                purse=Purse(session, choice, model.base_url, spares),
                thrifty=thrifty,
            )
            for place, (choice, (_, model)) in enumerate(zip(choices, found, strict=True))
        ]


def _fallback(chain: Sequence[Model]) -> Model:
    return FallbackModel(chain[0], *chain[1:], fallback_on=goes_on)


def _cheaper(session: Session) -> tuple[ModelChoice, ...]:
    settings = session.context.snapshot.settings
    return resolve_models(budget_models(session.context.definition.automation, settings), settings)


def _history(messages: Sequence[ChatMessage]) -> list[ModelMessage] | None:
    history: list[ModelMessage] = [
        ModelResponse(parts=[TextPart(each.content)])
        if each.role == "assistant"
        else ModelRequest(parts=[UserPromptPart(each.content)])
        for each in messages
    ]
    return history or None


async def _note_missing(session: Session) -> None:
    """Say on the run which granted connections it does without: a model that could look nowhere
    ends as calmly as one that found nothing."""
    for name, why in sorted(session.unavailable.items()):
        note = f"the connection {name} could not be used: {plain_line(session.mask(why), 300)}"
        await session.context.journal.record(EntryType.RUN_NOTE, data={"note": note})


def _settings(session: Session) -> ModelSettings:
    agent = agent_of(session.context)
    own = session.context.definition.automation.temperature
    inherited = agent.temperature if agent else None
    chosen = own if own is not None else inherited
    return ModelSettings(temperature=DEFAULT_TEMPERATURE if chosen is None else chosen)


def _limits(session: Session) -> UsageLimits:
    limits = session.context.definition.automation.limits
    agent = agent_of(session.context)
    turns = limits.max_turns
    if agent is not None and agent.max_turns is not None:
        turns = min(turns, agent.max_turns)
    return UsageLimits(request_limit=turns, total_tokens_limit=limits.max_tokens)


def _used(session: Session) -> RunUsage:
    """What other agents of the run left of its limits is what this one has."""
    spent = session.spent
    return RunUsage(
        requests=spent.turns, input_tokens=spent.input_tokens, output_tokens=spent.output_tokens
    )


def _usage(tally: Tally) -> Usage:
    return Usage(
        input_tokens=tally.input_tokens,
        output_tokens=tally.output_tokens,
        turns=tally.answered,
        cost_usd=0.0 if tally.served == REHEARSAL else tally.cost_usd,
    )


def _is_spent(error: BaseException) -> bool:
    """Whether a budget ended it: at the last of the models, and else all were spared for one."""
    if isinstance(error, FallbackExceptionGroup):
        inner: tuple[BaseException, ...] = error.exceptions
        return all(isinstance(each, SparedModelError) for each in inner)
    return isinstance(error, BudgetSpentError)


def _failure(session: Session, error: BaseException) -> Outcome:
    reason = FailedReason.ERROR
    line = describe(error, session.mask)
    limits = session.context.definition.automation.limits
    if isinstance(error, UsageLimitExceeded):
        turns = "request_limit" in str(error)
        reason = FailedReason.MAX_TURNS if turns else FailedReason.BUDGET_EXCEEDED
        spent = session.spent + _usage(session.tally)
        used = spent.input_tokens + spent.output_tokens
        line = (
            f"the run used its {spent.turns} turns without finishing (limits.maxTurns)"
            if turns
            else f"the run used {used:,} tokens of {limits.max_tokens or 0:,} (limits.maxTokens)"
        )
    elif _is_spent(error):
        reason = FailedReason.BUDGET_EXCEEDED
    elif isinstance(error, GapError):
        reason = FailedReason.INTERRUPTED
    return Outcome(
        status=RunStatus.FAILED,
        reason=reason,
        error=plain_line(line, 500),
        lasting=is_lasting(error),
        usage=_usage(session.tally),
        model=session.tally.served,
        wrote=session.effects.writes > 0,
    )
