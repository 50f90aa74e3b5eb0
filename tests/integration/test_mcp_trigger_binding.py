"""The trigger binding, call by call, with real server processes."""

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from agent_house import PYTHON_MCP, AgentHouse, HouseCatalogue
from trigger_scene import MODULE, until

from amodal_rt.domain.connection import Access, AccessRule, Confirm, Connection, McpServer
from amodal_rt.errors import ConflictError, NotFoundError, UnavailableError
from amodal_rt.executors.acting import mcp_triggers
from amodal_rt.executors.acting.mcp_triggers import CONFIGURE, McpTriggers
from amodal_rt.testing.trigger_server import ask

CALLBACK = ("http://127.0.0.1:9/api/trigger-callback", "token-canary")


class Binding:
    """The binding of one house, and the servers that it is used with."""

    def __init__(self, house: AgentHouse) -> None:
        self.house = house
        self.pool = house.executor.services.pool
        self.triggers = McpTriggers(
            self.pool, HouseCatalogue(house), clock=house.clock, redactor=house.redactor
        )
        self.control = house.folder / "control"
        self.processes: list[asyncio.subprocess.Process] = []

    def child(self, *module: str, **changes: Any) -> Connection:
        """A server over stdio."""
        args = module or (*MODULE, "--control", str(self.control))
        return self.house.mcp("notes", mcp=McpServer(command=sys.executable, args=args), **changes)

    async def elsewhere(self, headers: Mapping[str, str] | None = None) -> Connection:
        """A server over HTTP."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, *MODULE, "--port", "0", "--control", str(self.control),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        self.processes.append(process)
        assert process.stdout
        port = int((await process.stdout.readline()).split()[-1])
        await until(lambda: _listens(port))
        server = McpServer(url=f"http://127.0.0.1:{port}/mcp", headers=headers or {})
        return self.house.mcp("notes", mcp=server)

    async def configure(self, connection: Connection, **changes: Any) -> None:
        given: dict[str, Any] = {
            "watcher": "notes/sort/0.0", "type": "item.created", "params": {}, "callback": CALLBACK,
        }  # fmt: skip
        await self.triggers.configure(connection, **(given | changes))

    async def ask(self, **command: object) -> Any:
        return await ask(self.control, **command)


@pytest.fixture
async def binding(house: AgentHouse) -> AsyncIterator[Binding]:
    built = Binding(house)
    yield built
    for process in built.processes:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_server_says_what_it_watches_for(binding: Binding) -> None:
    for connection in (binding.child(), await binding.elsewhere()):
        created, done = await binding.triggers.list_types(connection)

        assert (created.type, created.description) == ("item.created", "An item was made")
        assert created.params["list"] == {
            "type": "string", "enum": ["inbox", "later"], "description": "Which list",
        }  # fmt: skip
        assert done.params == {}


@pytest.mark.parametrize("over", ["stdio", "http"])
async def test_it_is_told_to_begin_and_to_end(binding: Binding, over: str) -> None:
    connection = binding.child() if over == "stdio" else await binding.elsewhere()

    await binding.configure(connection, params={"list": "inbox"})
    [watcher] = await binding.ask(watchers=True)
    await binding.configure(connection, params={"list": "inbox"}, callback=None)

    assert (watcher["url"], watcher["token"]) == CALLBACK
    assert await binding.ask(watchers=True) == []


async def test_over_http_each_trigger_shows_an_unsigned_name_and_no_other_call_does(
    binding: Binding,
) -> None:
    connection = await binding.elsewhere()

    await binding.configure(connection)
    await binding.configure(connection, watcher="notes/other/0.0")
    names = [each["name"] for each in await binding.ask(watchers=True)]
    server = await binding.pool.open(connection, binding.house.env())
    shown = await server.call("shown_header", {})

    assert names == ["notes/sort/0.0", "notes/other/0.0"]
    assert shown.text == ""


async def test_a_header_of_the_connections_own_is_sent_instead(binding: Binding) -> None:
    claims = base64.urlsafe_b64encode(json.dumps({"connectionId": "conn_mine"}).encode())
    token = f"e30.{claims.decode().rstrip('=')}.sig"
    connection = await binding.elsewhere({"X-Mesh-Token": token})

    await binding.configure(connection)

    assert [each["name"] for each in await binding.ask(watchers=True)] == ["conn_mine"]


async def test_a_server_without_the_binding_is_known_by_that(binding: Binding) -> None:
    connection = binding.child(*PYTHON_MCP)

    for call in (binding.triggers.list_types(connection), binding.configure(connection)):
        with pytest.raises(NotFoundError) as caught:
            await call
        assert caught.value.code == "no_triggers"


async def test_a_refusal_is_a_refusal_and_shows_no_token(binding: Binding) -> None:
    connection = binding.child()

    await binding.triggers.list_types(connection)
    for word in ("refuse", "fail"):
        await binding.ask(behave=word)
        with pytest.raises(ConflictError) as caught:
            await binding.configure(connection)
        assert caught.value.code == "trigger_refused"
        assert CALLBACK[1] not in caught.value.message


@pytest.mark.parametrize("over", ["stdio", "http"])
async def test_silence_is_not_a_refusal(
    binding: Binding, over: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = binding.child() if over == "stdio" else await binding.elsewhere()
    await binding.triggers.list_types(connection)
    await binding.ask(behave="deaf")
    monkeypatch.setattr(mcp_triggers, "SECONDS", 0.2)

    with pytest.raises(TimeoutError):
        await binding.configure(connection)


async def test_a_server_that_dies_over_the_call_may_have_heard_it(binding: Binding) -> None:
    connection = binding.child()
    await binding.triggers.list_types(connection)
    born = binding.triggers.life(connection)
    await binding.ask(behave="crash")

    with pytest.raises(TimeoutError):
        await binding.configure(connection)

    assert born is not None
    assert binding.triggers.life(connection) is None
    await binding.configure(connection)
    assert binding.triggers.life(connection) not in (None, born)


async def test_a_server_that_is_not_there_heard_nothing(binding: Binding) -> None:
    gone = await binding.elsewhere()
    process = binding.processes[0]
    process.kill()
    await process.wait()
    missing = binding.child("-c", "raise SystemExit(3)")

    for connection in (gone, missing):
        with pytest.raises(UnavailableError):
            await binding.configure(connection)


async def test_the_owner_of_a_connection_may_say_never(binding: Binding) -> None:
    rule = AccessRule(match="TRIGGER_*", confirm=Confirm.NEVER)
    connection = replace(binding.child(), access=Access(tools=(rule,)))

    with pytest.raises(ConflictError) as caught:
        await binding.configure(connection)

    assert "access.json says never to TRIGGER_*" in caught.value.message
    assert CONFIGURE not in str(await binding.ask(calls=True))
    assert await binding.ask(calls=True) == []


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
