"""Agents whose loop is a program: a session from its prompt on standard input to its outcome."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import cast

from amodal_rt.domain.agent_program import AgentProgram
from amodal_rt.domain.budget import Amount, Hold, Spent, Standing, dollars
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.models import REHEARSAL
from amodal_rt.domain.outcome import Outcome, cut_off_in, failed
from amodal_rt.domain.profile import Profile
from amodal_rt.domain.run import FailedReason, RunStatus, Usage
from amodal_rt.errors import AmodalError, InvalidError
from amodal_rt.executors.acting.account import Account
from amodal_rt.executors.acting.gate import (
    RESULT_CHARACTERS,
    Answer,
    CallKey,
    Passed,
    Wish,
    make_call,
)
from amodal_rt.executors.acting.past import GapError
from amodal_rt.executors.acting.payload import parse_payload
from amodal_rt.executors.acting.profiles import profile_of
from amodal_rt.executors.acting.programs import (
    RESPONSE,
    Program,
    ended_well,
    facts_of,
    failure_of,
    prepare_program,
    printed,
    reason_of,
)
from amodal_rt.executors.acting.session import Session
from amodal_rt.executors.acting.spoken import keep
from amodal_rt.executors.acting.tainting import tell_sources
from amodal_rt.executors.agent.printed_result import PrintedResult, read_result
from amodal_rt.executors.agent.prompt import Prompt, build_prompt, past_prompt
from amodal_rt.executors.agent.prompt import facts_of as facts_of_prompt
from amodal_rt.executors.sandbox.sandbox import Ran
from amodal_rt.guardrails.untrusted import plain_line

PROGRAM = "program"
"""The step, and the tool's name, under which the program stands in the journal."""
COST_USD = 0.1
"""What a program is taken to cost before it says so."""

_CHARACTERS_PER_TOKEN = 4
_USAGE, _MODEL = "usage", "model"


class _SpentError(Exception):
    """A budget has nothing left; the message names it."""


async def run_program(session: Session, loop: AgentProgram) -> Outcome:
    """Carry the session to its outcome by the agent's program. The result is what that printed
    where the agent's file says it stands, its payload that, where it is JSON."""
    try:
        profile = profile_of(session.context)
        if session.context.run.rehearse:
            # Nobody can tell what a program would do, so a rehearsal only says which it is.
            shown = plain_line(" ".join(loop.argv), 500)
            text = f"[rehearsal] would run in {profile.label}: {shown}"
            return Outcome(status=RunStatus.COMPLETED, text=text, model=REHEARSAL)
        prompt = past_prompt(session) or build_prompt(session)
        await _note_prompt(session, loop, prompt)
        passed = await _Turn(session, loop, profile, prompt).take()
    except GapError as error:
        return cut_off_in(error.write, session.mask(error.message))
    except AmodalError as error:
        return failed(FailedReason.ERROR, session.mask(error.message))
    except _SpentError as error:
        line = plain_line(session.mask(str(error)), 500)
        return replace(failed(FailedReason.BUDGET_EXCEEDED, line), lasting=True)
    return _outcome(session, loop, passed)


async def _note_prompt(session: Session, loop: AgentProgram, prompt: Prompt) -> None:
    if session.parent not in session.past.prompts:
        facts: dict[str, object] = {"program": list(loop.argv), **facts_of_prompt(session, prompt)}
        await session.context.journal.record(EntryType.PROMPT, step=session.parent, data=facts)
    await tell_sources(session)


class _Turn:
    """The one turn of such an agent, which pays for itself."""

    def __init__(
        self, session: Session, loop: AgentProgram, profile: Profile, prompt: Prompt
    ) -> None:
        self._session = session
        self._loop = loop
        self._profile = profile
        self._stdin = _input(prompt)
        self._account = Account(session)

    async def take(self) -> Passed:
        """Run it, unless its outcome stands in the journal. Raises _SpentError."""
        arguments = {"argv": list(self._loop.argv)}
        return await make_call(self._session, PROGRAM, arguments, PROGRAM, self._prepare)

    async def _prepare(self) -> Wish:
        program = Program(argv=self._loop.argv, stdin=self._stdin.encode(), steered=True)

        def tell(ran: Ran) -> Answer:
            return self._tell(program, ran)

        wish = prepare_program(self._session, self._profile, program, tell)
        if not wish.decision.allowed:
            return wish
        model = _served(self._loop, {})
        hold = await self._account.hold(self._wanted(), PROGRAM, model, self._settled)

        async def perform(key: CallKey) -> Answer:
            try:
                answer = await wish.perform(key)
            except BaseException as error:
                # Of one that was ended with its run, what it used is not known.
                never_began = isinstance(error, AmodalError)
                lost = None if never_began else hold.unanswered
                await asyncio.shield(self._account.charge(hold, lost))
                raise
            # Before it is on record: a program that is run again is paid for again.
            await self._account.charge(hold, self._spent(hold, answer.facts))
            return answer

        return replace(wish, perform=perform)

    def _wanted(self) -> Amount:
        tokens = len(self._stdin) // _CHARACTERS_PER_TOKEN + 1
        if self._loop.result.cost_usd is not None:
            return Amount(cost_usd=COST_USD, tokens=tokens)
        return Amount(tokens=tokens, unpriced_tokens=tokens)

    def _settled(self, hold: Hold, stand: Sequence[Standing]) -> bool:
        asked = [each for each in stand if hold.wanted.of(each.budget.measure) > 0]
        over = next((each for each in asked if each.is_spent), None)
        if over is not None:
            raise _SpentError(self._account.said(over, hold))
        return all(each.left > 0 for each in asked)

    def _spent(self, hold: Hold, facts: Mapping[str, object]) -> Spent | None:
        used = _usage_in(facts)
        if used is None:
            return None
        tokens, cost = used.input_tokens + used.output_tokens, used.cost_usd
        if cost is None and self._loop.result.cost_usd is not None:
            # It says what it costs, and this time it did not: it was ended, or came to nothing.
            cost = hold.wanted.cost_usd
        return Spent(
            day=hold.day,
            automation=hold.automation,
            model=_served(self._loop, facts),
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            unpriced_tokens=tokens if cost is None else 0,
            cost_usd=cost or 0.0,
        )

    def _tell(self, program: Program, ran: Ran) -> Answer:
        said = printed(self._session, ran.stdout)
        facts, result, wrong = facts_of(self._session, ran), PrintedResult(text=said), None
        try:
            result = read_result(said, self._loop.result)
            wrong = result.failed
        except InvalidError as error:
            wrong = error.message
        # A program that tells nothing of tokens is taken to have read and said what we saw of it.
        used = result.usage or Usage(
            input_tokens=len(self._stdin) // _CHARACTERS_PER_TOKEN,
            output_tokens=len(said) // _CHARACTERS_PER_TOKEN,
            turns=1,
        )
        facts |= {_USAGE: used.document(), _MODEL: result.model}
        if not ended_well(ran):
            wrong = failure_of(self._session, self._profile, program, ran)
            wrong += f": {result.failed}" if result.failed else ""
        if wrong is not None:
            name = plain_line(program.argv[0], 100)
            text = wrong if wrong.startswith(name) else f"{name}: {wrong}"
            return Answer(text=text, ok=False, facts=facts)
        if len(result.text) > RESULT_CHARACTERS:
            facts[RESPONSE] = keep(result.text)[0]
        return Answer(text=result.text, facts=facts)


def _input(prompt: Prompt) -> str:
    """The prompt as one text: what is trusted first, as a model would be given it."""
    earlier = [f"{each.role}: {each.content}" for each in prompt.history]
    return "\n\n".join([prompt.system, *earlier, prompt.user]) + "\n"


def _outcome(session: Session, loop: AgentProgram, passed: Passed) -> Outcome:
    used = _usage_in(passed.facts) or Usage()
    ended = Outcome(
        status=RunStatus.COMPLETED,
        usage=used,
        model=_served(loop, passed.facts),
        wrote=session.effects.writes > 0,
    )
    if not passed.ok:
        reason = FailedReason(reason_of(passed.facts))
        error = plain_line(passed.told.removeprefix("error: ").splitlines()[0], 500)
        return replace(ended, status=RunStatus.FAILED, reason=reason, error=error)
    over = _over(session, session.spent + used)
    if over is not None:
        return replace(
            ended, status=RunStatus.FAILED, reason=FailedReason.BUDGET_EXCEEDED, error=over
        )
    kept = passed.facts.get(RESPONSE)
    text, whole = keep((kept if isinstance(kept, str) else passed.told).rstrip("\n"))
    return replace(ended, text=text, payload=parse_payload(text) if whole else None)


def _over(session: Session, used: Usage) -> str | None:
    """Which budget of the run it went over. While it runs nobody can tell."""
    definition = session.context.definition
    limits = definition.automation.limits
    tokens = used.input_tokens + used.output_tokens
    if limits.max_tokens is not None and tokens > limits.max_tokens:
        return f"the run used {tokens:,} tokens of {limits.max_tokens:,} (limits.maxTokens)"
    cost = used.cost_usd or 0.0
    if limits.max_cost_usd is not None and cost > limits.max_cost_usd:
        place = definition.place("/limits/maxCostUsd")
        said = f"the run used {dollars(cost)} of {dollars(limits.max_cost_usd)}"
        return f"{said} (limits.maxCostUsd, {place})"
    return None


def _usage_in(facts: Mapping[str, object]) -> Usage | None:
    """As `Usage.document` wrote it; None of a program that never began."""
    found = facts.get(_USAGE)
    if not isinstance(found, Mapping):
        return None
    numbers = cast("Mapping[str, float | None]", found)
    cost = numbers.get("cost_usd")
    return Usage(
        input_tokens=int(numbers.get("input_tokens") or 0),
        output_tokens=int(numbers.get("output_tokens") or 0),
        turns=int(numbers.get("turns") or 0),
        cost_usd=float(cost) if cost is not None else None,
    )


def _served(loop: AgentProgram, facts: Mapping[str, object]) -> str:
    """The model that it names, else the program itself."""
    model = facts.get(_MODEL)
    return model if isinstance(model, str) else f"program:{PurePosixPath(loop.argv[0]).name}"
