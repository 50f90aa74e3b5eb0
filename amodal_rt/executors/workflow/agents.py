"""Agent nodes: a session of their own, within the powers of the automation."""

from dataclasses import replace

from amodal_rt.definitions.scope_templates import printed_task
from amodal_rt.domain.automation import AgentWork, ChatMessage
from amodal_rt.domain.outcome import Waiting
from amodal_rt.domain.run import FailedReason, RunStatus
from amodal_rt.domain.workflow import AgentWork as AgentNode
from amodal_rt.executors.acting.beginning import closed_session, with_servers
from amodal_rt.executors.acting.session import Session, agent_of
from amodal_rt.executors.workflow.session import WorkflowSession
from amodal_rt.executors.workflow.walk import CutOffError, Done, NodeError, ParkedError, Visit
from amodal_rt.guardrails.grants import BothGrants, Grants, grants_of


async def run_agent(run: WorkflowSession, visit: Visit, work: AgentNode) -> Done:
    """Gives `{text, payload}`."""
    await run.rows.sent()
    session = await with_servers(_session(run, visit, work))
    outcome = await run.agents.carry(session)
    if isinstance(outcome, Waiting):
        raise ParkedError(outcome)
    run.spent += outcome.usage
    run.model = outcome.model or run.model
    if outcome.reason == FailedReason.INTERRUPTED:
        raise CutOffError(outcome)
    if outcome.status is not RunStatus.COMPLETED:
        reason = FailedReason(outcome.reason or FailedReason.ERROR)
        raise NodeError(
            outcome.error or "it failed",
            reason=reason,
            usage=outcome.usage,
            model=outcome.model,
            lasting=outcome.lasting,
        )
    value = {"text": outcome.text, "payload": outcome.payload}
    return Done(value=value, usage=outcome.usage, model=outcome.model)


def _session(run: WorkflowSession, visit: Visit, work: AgentNode) -> Session:
    """What the node's agent may do is what both the run and its own lists allow."""
    outer, definition = run.acting, run.context.definition
    # Masked before it is printed: as JSON a secret might not be recognised any more.
    scope = {name: run.mask(each) for name, each in visit.walk.scope().items()}
    prompt = printed_task(str(work.prompt.value), scope)
    automation = replace(
        definition.automation,
        work=AgentWork(messages=(ChatMessage("user", prompt),)),
        agent=work.agent or definition.automation.agent,
        models=work.models or definition.automation.models,
    )
    context = replace(outer.context, definition=replace(definition, automation=automation))
    inner = grants_of(
        replace(automation, connections=work.connections, tools=work.tools), agent_of(context), None
    )
    within = outer.grants if isinstance(outer.grants, Grants) else Grants(connections=(), tools=())
    grants = BothGrants(one=within, other=inner)
    session = closed_session(context, outer.services, outer.past)
    names = [each for each in outer.connections if grants.connection(each)]
    return replace(
        session,
        grants=grants,
        taint=outer.taint,
        programs=outer.programs,
        trusted=outer.trusted,
        powers=outer.powers,
        connections={each: outer.connections[each] for each in names},
        unavailable={
            name: why for name, why in outer.unavailable.items() if grants.connection(name)
        },
        effects=visit.effects,
        spent=run.spent,
        parent=visit.place,
    )
