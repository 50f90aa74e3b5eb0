"""What scripts may call: the same gate as every node, a row for each call."""

import inspect
from collections.abc import Mapping
from functools import wraps
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError, validate_call

from amodal_rt.domain.workflow import Script, StoreAction, StoreWork
from amodal_rt.executors.workflow.calls import Calls
from amodal_rt.executors.workflow.session import Function, WorkflowSession
from amodal_rt.executors.workflow.walk import Done, NodeError, Visit
from amodal_rt.guardrails.untrusted import plain_line

SECONDS = 30.0
"""How long a script may take where its node says nothing."""


async def run_script(run: WorkflowSession, visit: Visit, script: Script, calls: Calls) -> Done:
    """Gives the value of the script's last expression."""
    if run.scripts is None:
        raise NodeError("scripts cannot run here")
    timeout = visit.node.timeout
    value = await run.scripts.run(
        script,
        visit.walk.scope(),
        functions=_Functions(calls).all(),
        seconds=timeout.total_seconds() if timeout else SECONDS,
        heard=visit.printed,
    )
    return Done(value=value)


async def decide(run: WorkflowSession, visit: Visit, script: Script) -> bool:
    """The truth of an expression, which reaches nothing."""
    if run.scripts is None:
        raise NodeError("expressions cannot be computed here")
    timeout = visit.node.timeout
    seconds = timeout.total_seconds() if timeout else SECONDS
    return bool(await run.scripts.run(script, visit.walk.scope(), functions={}, seconds=seconds))


class _Functions:
    """By name what a script may call; every call raises AmodalError where it fails."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def all(self) -> Mapping[str, Function]:
        """`request`, `call_tool`, `get_value`, `put_value`, `delete_value`, `query_store`,
        `emit_event`."""
        named: Mapping[str, Function] = {
            "request": self._request,
            "call_tool": self._call_tool,
            "get_value": self._get_value,
            "put_value": self._put_value,
            "delete_value": self._delete_value,
            "query_store": self._query_store,
            "emit_event": self._emit_event,
        }
        return {name: _strict(each) for name, each in named.items()}

    async def _request(
        self,
        connection: str,
        method: str = "GET",
        endpoint: str = "/",
        params: object = None,
        data: object = None,
        headers: object = None,
    ) -> object:
        fields = {
            "connection": connection,
            "method": method,
            "endpoint": endpoint,
            "params": params,
            "data": data,
            "headers": headers,
        }
        return await self._calls.request(fields)

    async def _call_tool(
        self, connection: str, tool: str, arguments: dict[str, object] | None = None
    ) -> object:
        return await self._calls.mcp(connection, tool, arguments or {})

    async def _get_value(self, store: str, key: str) -> object:
        return await self._stored(store, StoreAction.GET, key)

    async def _put_value(self, store: str, key: str, value: object) -> object:
        return await self._stored(store, StoreAction.PUT, key, value)

    async def _delete_value(self, store: str, key: str) -> object:
        return await self._stored(store, StoreAction.DELETE, key)

    async def _query_store(
        self, store: str, where: object = None, limit: Annotated[int, Field(ge=1, le=1_000)] = 100
    ) -> object:
        return await self._stored(store, StoreAction.QUERY, None, where, limit)

    async def _emit_event(
        self, type: str, data: object = None, subject: str | None = None
    ) -> object:
        return await self._calls.emit(type, data, subject)

    async def _stored(
        self,
        store: str,
        action: StoreAction,
        key: str | None,
        value: object = None,
        limit: int = 100,
    ) -> object:
        work = StoreWork(store=store, action=action, limit=limit)
        return await self._calls.store(work, key, value)


def _strict(function: Function) -> Function:
    """The same, raising NodeError for an argument of another type than the function has."""
    signature = inspect.signature(function)
    checked = validate_call(config=ConfigDict(strict=True))(function)

    @wraps(function)
    async def call(*given: Any, **named: Any) -> object:
        try:
            return await checked(**signature.bind(*given, **named).arguments)
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False)
            said = "; ".join(f"{each['loc'][0]}: {each['msg']}" for each in faults[:5])
            raise NodeError(plain_line(f"{function.__name__[1:]}: {said}", 400)) from None

    return call
