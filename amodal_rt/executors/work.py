"""Which executor does a run's work, by what its definition says that runs."""

from amodal_rt.domain.automation import CommandRun, WorkflowRun
from amodal_rt.domain.outcome import Outcome, Waiting
from amodal_rt.executors.acting.session import Services
from amodal_rt.executors.agent.executor import AgentExecutor
from amodal_rt.executors.command.executor import CommandExecutor
from amodal_rt.executors.workflow.executor import WorkflowExecutor
from amodal_rt.ports import RunContext


class WorkExecutor:
    """Implements `ports.Executor` for every kind of work."""

    def __init__(
        self, agents: AgentExecutor, workflows: WorkflowExecutor, commands: CommandExecutor
    ) -> None:
        self._agents = agents
        self._workflows = workflows
        self._commands = commands

    @property
    def services(self) -> Services:
        """What all runs share."""
        return self._agents.services

    async def execute(self, context: RunContext) -> Outcome | Waiting:
        """As `ports.Executor.execute`."""
        work = context.definition.automation.work
        if isinstance(work, WorkflowRun):
            return await self._workflows.execute(context)
        if isinstance(work, CommandRun):
            return await self._commands.execute(context)
        return await self._agents.execute(context)

    async def close(self) -> None:
        """End what they keep between runs."""
        await self._workflows.close()
        await self._agents.close()
