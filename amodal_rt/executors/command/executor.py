"""Runs the command of an automation."""

from dataclasses import replace

from amodal_rt.domain.automation import CommandRun
from amodal_rt.domain.models import REHEARSAL
from amodal_rt.domain.outcome import Outcome, cut_off_in, failed
from amodal_rt.domain.profile import Isolation
from amodal_rt.domain.run import FailedReason, RunStatus
from amodal_rt.errors import AmodalError
from amodal_rt.executors.acting.beginning import closed_session
from amodal_rt.executors.acting.gate import Passed, Wish, make_call
from amodal_rt.executors.acting.past import GapError, read_past
from amodal_rt.executors.acting.payload import parse_payload
from amodal_rt.executors.acting.profiles import profile_of
from amodal_rt.executors.acting.programs import (
    RESPONSE,
    Program,
    event_input,
    prepare_program,
    reason_of,
)
from amodal_rt.executors.acting.session import Services, Session
from amodal_rt.executors.acting.spoken import keep
from amodal_rt.executors.acting.tainting import origin_of
from amodal_rt.executors.acting.when import ask_gate
from amodal_rt.guardrails.untrusted import plain_line
from amodal_rt.ports import RunContext

COMMAND = "command"
"""The step, and the tool's name, under which a command stands in the journal."""


class CommandExecutor:
    """Implements `ports.Executor` for commands. Two runs share nothing but `services`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def execute(self, context: RunContext) -> Outcome:
        """As `ports.Executor.execute`; never waits for a person.

        The result is what the program printed, its payload that, where it is JSON.
        """
        work = context.definition.automation.work
        if not isinstance(work, CommandRun):
            return failed(FailedReason.ERROR, "what runs is no command")
        services = self._services
        try:
            past = await read_past(context.run, services.ledger, services.clock)
        except GapError as error:
            return cut_off_in(error.write, services.redactor.mask(error.message))
        seen = await ask_gate(context, services, past)
        if isinstance(seen, Outcome):
            return seen
        if seen is not None and not seen.open:
            return seen.closed()
        session = closed_session(context, services, past)
        try:
            outcome = await self._run(session, work)
        except GapError as error:
            outcome = cut_off_in(error.write, services.redactor.mask(error.message))
        return outcome if seen is None else replace(outcome, gate=seen.value)

    async def _run(self, session: Session, work: CommandRun) -> Outcome:
        try:
            profile = profile_of(session.context)
        except AmodalError as error:
            return failed(FailedReason.ERROR, error.message)
        if session.context.run.rehearse:
            # Nobody can tell what a program would do, so a rehearsal only says which it is.
            shown = plain_line(" ".join(work.argv), 500)
            text = f"[rehearsal] would run in {profile.label}: {shown}"
            return Outcome(status=RunStatus.COMPLETED, text=text, model=REHEARSAL)
        program = Program(argv=work.argv, stdin=event_input(session))

        async def prepare() -> Wish:
            return prepare_program(session, profile, program)

        passed = await make_call(session, COMMAND, {"argv": list(work.argv)}, COMMAND, prepare)
        outcome = _outcome(passed, wrote=session.effects.writes > 0)
        # Only a sandbox without hosts tells what its program cannot have read.
        outside = bool(profile.network) or profile.isolation is Isolation.NONE
        return replace(outcome, origin=origin_of(session, heard=outside))


def _outcome(passed: Passed, *, wrote: bool) -> Outcome:
    if not passed.ok:
        reason = FailedReason(reason_of(passed.facts))
        error = plain_line(passed.told.removeprefix("error: ").splitlines()[0], 500)
        return replace(failed(reason, error), wrote=wrote)
    kept = passed.facts.get(RESPONSE)
    text, whole = keep((kept if isinstance(kept, str) else passed.told).rstrip("\n"))
    return Outcome(
        status=RunStatus.COMPLETED,
        text=text,
        payload=parse_payload(text) if whole else None,
        wrote=wrote,
    )
