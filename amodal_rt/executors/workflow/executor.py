"""Runs workflows. Loads no model library: that is for the first agent node that is reached."""

import json
from dataclasses import replace

from amodal_rt.domain.automation import WorkflowRun
from amodal_rt.domain.models import REHEARSAL
from amodal_rt.domain.outcome import AWAITING_APPROVAL, Outcome, Waiting, cut_off_in, failed
from amodal_rt.domain.run import FailedReason, RunStatus
from amodal_rt.domain.workflow import Workflow
from amodal_rt.executors.acting.beginning import closed_session
from amodal_rt.executors.acting.past import GapError, past_of, read_journal
from amodal_rt.executors.acting.session import Services
from amodal_rt.executors.acting.spoken import parked_text
from amodal_rt.executors.acting.tainting import origin_of, tell_sources
from amodal_rt.executors.acting.when import ask_gate
from amodal_rt.executors.workflow.entering import entry_of, payload_of, trigger_of
from amodal_rt.executors.workflow.rows import Rows
from amodal_rt.executors.workflow.session import (
    RunsAgents,
    RunsScripts,
    WorkflowLedger,
    WorkflowSession,
)
from amodal_rt.executors.workflow.trail import Trail
from amodal_rt.executors.workflow.walk import (
    AwaitingError,
    CutOffError,
    NodeError,
    ParkedError,
    Walk,
)
from amodal_rt.executors.workflow.walking import Walker
from amodal_rt.guardrails.untrusted import plain_line
from amodal_rt.guardrails.writes import READ_ONLY
from amodal_rt.ports import RunContext, StepMessages


class WorkflowExecutor:
    """Implements `ports.Executor` for workflows.

    Two runs share nothing but `services`, the agents' connections and the sandbox of scripts,
    which `close` ends; what else they use is somebody else's.
    """

    def __init__(
        self,
        services: Services,
        *,
        ledger: WorkflowLedger,
        agents: RunsAgents,
        messages: StepMessages,
        scripts: RunsScripts | None = None,
    ) -> None:
        self._services = services
        self._ledger = ledger
        self._agents = agents
        self._messages = messages
        self._scripts = scripts

    async def execute(self, context: RunContext) -> Outcome | Waiting:
        """As `ports.Executor.execute`. The result's payload is the last node's value, its output
        what scripts printed."""
        work = context.definition.automation.work
        if not isinstance(work, WorkflowRun):
            return failed(FailedReason.ERROR, "what runs is no workflow")
        services = self._services
        try:
            entries = await read_journal(context.run, self._ledger, services.clock)
        except GapError as error:
            return cut_off_in(error.write, services.redactor.mask(error.message))
        past = past_of(entries)
        seen = await ask_gate(context, services, past)
        if isinstance(seen, Outcome):
            return seen
        if seen is not None and not seen.open:
            return seen.closed()
        acting = closed_session(context, services, past)
        if context.run.rehearse:
            acting = replace(acting, powers=READ_ONLY)
        trail = Trail(entries)
        acting.effects.write(trail.writes)
        await tell_sources(acting)
        run = WorkflowSession(
            acting=acting,
            others=work.others,
            ledger=self._ledger,
            trail=trail,
            spent=trail.used,
            model=trail.model,
            output=list(trail.printed),
            rows=Rows(context.journal, services.clock),
            agents=self._agents,
            messages=self._messages,
            scripts=self._scripts,
        )
        try:
            outcome = await _walked(run, work.workflow)
        finally:
            run.rows.abandon()
        if isinstance(outcome, Outcome) and seen is not None:
            return replace(outcome, gate=seen.value)
        return outcome

    async def close(self) -> None:
        """End the sandbox of scripts."""
        if self._scripts is not None:
            await self._scripts.close()


async def _walked(run: WorkflowSession, graph: Workflow) -> Outcome | Waiting:
    context = run.context
    trigger = trigger_of(context)
    walk = Walk(
        graph=graph,
        payload=payload_of(context),
        trigger=trigger,
        effects=run.acting.effects,
        env=_granted(context),
    )
    try:
        value = await Walker(run).walk(walk, entry_of(graph, trigger))
        outcome = Outcome(status=RunStatus.COMPLETED, text=_text(value), payload=value)
    except ParkedError as error:
        return error.waiting
    except AwaitingError:
        said = parked_text(run.acting.effects.whole.parked)
        outcome = Outcome(status=RunStatus.COMPLETED, reason=AWAITING_APPROVAL, text=said)
    except NodeError as error:
        line = plain_line(run.mask(error.message), 500)
        outcome = replace(failed(error.reason, line), lasting=error.lasting)
    except GapError as error:
        outcome = cut_off_in(error.write, run.mask(error.message))
    except CutOffError as error:
        outcome = error.outcome
    await run.rows.settle()
    return replace(
        outcome,
        output=tuple(run.output),
        usage=run.spent,
        model=REHEARSAL if context.run.rehearse else run.model,
        wrote=outcome.wrote or run.acting.effects.writes > 0,
        origin=origin_of(run.acting),
    )


def _granted(context: RunContext) -> dict[str, str]:
    """The variables that the automation may see, by name. One that was unset since is missing."""
    names = context.definition.automation.env
    found = ((name, context.environment.find(name)) for name in names)
    return {name: value for name, value in found if value is not None}


def _text(value: object) -> str | None:
    """The result in words: a text as it is, anything else as JSON."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
