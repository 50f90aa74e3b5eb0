"""Which executor does a run's work, by what its definition says that runs."""

from amodal_rt.domain.automation import WorkflowRun
from amodal_rt.domain.outcome import Outcome, Waiting
from amodal_rt.executors.acting.expecting import check_result
from amodal_rt.executors.acting.session import Services
from amodal_rt.executors.agent.executor import AgentExecutor
from amodal_rt.executors.workflow.executor import WorkflowExecutor
from amodal_rt.ports import RunContext


class WorkExecutor:
    """Implements `ports.Executor` for every kind of work."""

    def __init__(self, agents: AgentExecutor, workflows: WorkflowExecutor) -> None:
        self._agents = agents
        self._workflows = workflows

    @property
    def services(self) -> Services:
        """What all runs share."""
        return self._agents.services

    async def execute(self, context: RunContext) -> Outcome | Waiting:
        """As `ports.Executor.execute`."""
        walks = isinstance(context.definition.automation.work, WorkflowRun)
        executor = self._workflows if walks else self._agents
        outcome = await executor.execute(context)
        if isinstance(outcome, Waiting):
            return outcome
        return await check_result(context, self.services, outcome)

    async def close(self) -> None:
        """End what they keep between runs."""
        await self._workflows.close()
        await self._agents.close()
