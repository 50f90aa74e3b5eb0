"""The one set of tools that agents are given: every call goes through the gate."""

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any

from pydantic_ai.tools import RunContext as AgentContext
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets.abstract import AbstractToolset, ToolsetTool
from pydantic_ai.usage import RunUsage
from pydantic_core import SchemaValidator, core_schema

from amodal_rt.errors import DeniedError
from amodal_rt.executors.acting.gate import Answer, CallKey, Wish, allowed, pass_gate
from amodal_rt.executors.acting.session import Session
from amodal_rt.executors.acting.tools import (
    DISPATCH,
    DispatchArguments,
    ToolSpec,
    dispatch_offered,
    schema_of,
    specs_of,
)
from amodal_rt.executors.agent.responses import count, restored

Dispatch = Callable[[Session, DispatchArguments, str], Awaitable[Answer]]

_RETRIES = 5
# Arguments are checked behind the gate, where a fault is journaled and answered; here they
# only have to be an object.
_ANY_OBJECT = SchemaValidator(core_schema.dict_schema(core_schema.str_schema()))


class GatedToolset(AbstractToolset[Session]):
    """Tools as the session in the call's context has them; holds nothing of any run itself."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch

    @property
    def id(self) -> str | None:
        return "amodal-rt"

    async def get_tools(self, ctx: AgentContext[Session]) -> dict[str, ToolsetTool[Session]]:
        session = ctx.deps
        tools = {name: self._tool(spec) for name, spec in specs_of(session).items()}
        if dispatch_offered(session):
            tools[DISPATCH] = self._tool_of(_dispatch_definition())
        if session.going_on():
            # The answer that comes may call what was offered then and is not any more.
            gone = session.past.tools - tools.keys()
            tools |= {name: self._tool_of(ToolDefinition(name=name)) for name in gone}
        return tools

    async def call_tool(
        self,
        name: str,
        tool_args: dict[str, Any],
        ctx: AgentContext[Session],
        tool: ToolsetTool[Session],
    ) -> str:
        session = ctx.deps
        call_id = ctx.tool_call_id or name

        def prepare() -> Wish:
            if name == DISPATCH:
                return self._prepare_dispatch(session, tool_args)
            spec = specs_of(session).get(name)
            if spec is None:
                raise DeniedError(f"the tool {name} is not offered any more")
            return spec.prepare(session, tool_args)

        def recalled(step: str) -> None:
            if name == DISPATCH:
                _count_again(session, step, ctx.usage)

        return await pass_gate(session, name, tool_args, call_id, prepare, recalled)

    def _prepare_dispatch(self, session: Session, arguments: Mapping[str, object]) -> Wish:
        if not dispatch_offered(session):
            raise DeniedError("sub-agents start no sub-agents")
        given = DispatchArguments.model_validate(arguments)

        async def perform(key: CallKey) -> Answer:
            return await self._dispatch(session, given, key.step)

        return Wish(decision=allowed("inherits this run's powers"), perform=perform)

    def _tool(self, spec: ToolSpec) -> ToolsetTool[Session]:
        return self._tool_of(
            ToolDefinition(
                name=spec.name,
                description=spec.description,
                parameters_json_schema=dict(spec.schema),
            )
        )

    def _tool_of(self, definition: ToolDefinition) -> ToolsetTool[Session]:
        return ToolsetTool(
            toolset=self, tool_def=definition, max_retries=_RETRIES, args_validator=_ANY_OBJECT
        )


def _count_again(session: Session, step: str, usage: RunUsage) -> None:
    """Count what a sub-agent consumed whose answer stands in the journal."""
    for turn in session.past.turns_below(step):
        response = restored(turn.data.get("response"))
        count(session.tally, response, turn.model, turn.cost)
        usage.incr(response.usage)
        usage.requests += 1
    session.effects.recall(session.past.writes_below(step))


@lru_cache(maxsize=1)
def _dispatch_definition() -> ToolDefinition:
    return ToolDefinition(
        name=DISPATCH,
        description="Give a task to a sub-agent with your tools or fewer. Call it several times "
        "in one turn to have tasks done side by side. Returns its answer.",
        parameters_json_schema=schema_of(DispatchArguments),
    )
