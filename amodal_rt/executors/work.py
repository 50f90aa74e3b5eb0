"""Which executor does a run's work, by what its definition says that runs."""

import asyncio

from amodal_rt.domain.automation import CommandRun, WorkflowRun
from amodal_rt.domain.outcome import Outcome, Waiting
from amodal_rt.executors.acting.expecting import check_result
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
        outcome = await self._executor_of(context).execute(context)
        if isinstance(outcome, Waiting):
            return outcome
        return await check_result(context, self.services, outcome)

    def _executor_of(
        self, context: RunContext
    ) -> AgentExecutor | WorkflowExecutor | CommandExecutor:
        match context.definition.automation.work:
            case WorkflowRun():
                return self._workflows
            case CommandRun():
                return self._commands
            case _:
                return self._agents

    async def open(self) -> None:
        """End what programs of a daemon that was killed left running."""
        await asyncio.to_thread(self.services.sandboxes.tidy)

    async def close(self) -> None:
        """End what they keep between runs."""
        await self._workflows.close()
        await self._agents.close()
