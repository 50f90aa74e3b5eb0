"""MCP servers as real processes, over stdio and streamable HTTP."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from agent_house import PYTHON_MCP, AgentHouse, HouseCatalogue, calls_then_done

from amodal_rt.domain.connection import Access, AccessRule, Intent, McpServer
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.run import RunStatus
from amodal_rt.domain.secret import SecretRef
from amodal_rt.errors import UnavailableError
from amodal_rt.executors.acting import mcp_pool
from amodal_rt.guardrails.egress import Egress
from amodal_rt.operations.connections import Connections
from amodal_rt.ports import Caller
from amodal_rt.testing.model_server import Call, Turn

READS = Access(
    tools=tuple(
        AccessRule(match=name, intent=Intent.READ)
        for name in ("read_*", "lookup", "slow", "crash", "environment", "flood", "fail")
    )
)


@pytest.fixture
async def http_url(house: AgentHouse) -> AsyncIterator[str]:
    """The address of a server process that speaks streamable HTTP."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *PYTHON_MCP,
        "--port",
        "0",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "MCP_CALLS": str(house.folder / "calls.jsonl")},
    )
    assert process.stdout
    line = await process.stdout.readline()
    url = f"http://127.0.0.1:{line.decode().split()[-1]}/mcp"
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", int(url.split(":")[2][:-4]))
            writer.close()
            break
        except OSError:
            await asyncio.sleep(0.05)
    yield url
    process.kill()
    await process.wait()


def _result(house: AgentHouse, place: int = 0) -> str:
    return house.model.requests[-1].results[place]


async def test_tools_over_stdio_are_offered_judged_and_called(house: AgentHouse) -> None:
    house.mcp(access=READS)
    house.model.script(
        *calls_then_done(
            Call("tools__read_items", {}),
            Call("tools__lookup", {"name": "beta"}),
            Call("tools__fail", {}),
            Call("tools__flood", {"characters": 50_000}),
        )
    )

    outcome = await house.run()

    assert outcome.status is RunStatus.COMPLETED
    offered = house.model.requests[0].body["tools"]
    said = {each["function"]["name"]: each["function"]["description"] for each in offered}
    assert said["tools__read_items"].startswith("[read]")
    assert said["tools__delete_all"].startswith("[write]")
    assert house.model.requests[0].tools["tools__lookup"]["required"] == ["name"]
    assert json.loads(_result(house)) == {"alpha": "1", "beta": "2"}
    assert _result(house, 1) == "2"
    assert _result(house, 2).startswith("error: ")
    assert len(_result(house, 3)) < 20_100
    assert "(cut: 20,000 of 50,000" in _result(house, 3)


async def test_tools_over_http_are_called_with_the_connections_headers(
    house: AgentHouse, http_url: str
) -> None:
    server = McpServer(url=http_url, headers={"X-Token": SecretRef("CRM_TOKEN")})
    house.mcp(mcp=server, access=READS, secrets=("CRM_TOKEN",))
    house.model.script(*calls_then_done(Call("tools__read_items", {})))

    outcome = await house.run()

    assert outcome.status is RunStatus.COMPLETED
    assert json.loads(_result(house)) == {"alpha": "1", "beta": "2"}
    assert [each["tool"] for each in house.mcp_calls()] == ["read_items"]


async def test_http_goes_through_the_egress_guard(house: AgentHouse, http_url: str) -> None:
    house.egress.configure([])
    house.mcp(mcp=McpServer(url=http_url), access=READS)

    outcome = await house.run()

    assert outcome.status is RunStatus.COMPLETED
    assert "tools: not available now" in house.model.requests[0].system
    assert "egress.allowPrivate" in house.model.requests[0].system


async def test_a_server_stays_warm_between_runs_and_sees_little_of_our_environment(
    house: AgentHouse,
) -> None:
    house.environment |= {"OTHER_SECRET": "x", "LANG": "C.UTF-8"}
    house.mcp(access=READS)
    seen: list[dict[str, Any]] = []
    for _ in range(2):
        house.model.script(*calls_then_done(Call("tools__environment", {})))
        await house.run()
        seen.append(json.loads(_result(house)))

    assert seen[0]["pid"] == seen[1]["pid"] != os.getpid()
    assert seen[0]["group"] == seen[0]["pid"]
    given = {"PATH", "HOME", "LANG", "MCP_CALLS", "AMODAL_RT_CAUSE"}
    assert given <= set(seen[0]["names"])
    # What the interpreter adds by itself may be there, and nothing else.
    assert set(seen[0]["names"]) - given <= {"LC_CTYPE", "PWD", "SHLVL", "_"}

    await house.executor.close()
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0]["pid"], 0)


async def test_a_server_that_died_is_started_anew(house: AgentHouse) -> None:
    house.mcp(access=READS)
    house.model.script(*calls_then_done(Call("tools__crash", {})))
    outcome = await house.run()
    assert outcome.status is RunStatus.COMPLETED
    assert _result(house).startswith("error: ")

    house.model.script(*calls_then_done(Call("tools__environment", {})))
    await house.run()
    pid = json.loads(_result(house))["pid"]
    os.kill(pid, signal.SIGKILL)
    for _ in range(500):
        if not house.executor.services.pool.alive("tools"):
            break
        await asyncio.sleep(0.01)

    house.model.script(*calls_then_done(Call("tools__environment", {})))
    await house.run()
    assert json.loads(_result(house))["pid"] != pid


async def test_a_changed_connection_gets_a_new_server(house: AgentHouse) -> None:
    connection = house.mcp(access=READS)
    pids: list[int] = []
    for value in ("one", "one", "two"):
        assert connection.mcp
        changed = replace(connection.mcp, env={**connection.mcp.env, "EXTRA": value})
        house.connections["tools"] = replace(connection, mcp=changed)
        house.model.script(*calls_then_done(Call("tools__environment", {})))
        await house.run()
        pids.append(json.loads(_result(house))["pid"])

    assert pids[0] == pids[1] != pids[2]


async def test_a_slow_tool_is_bounded_and_the_run_goes_on(house: AgentHouse) -> None:
    house.mcp(access=READS)
    house.model.script(*calls_then_done(Call("tools__read_items", {})))
    await house.run()
    house.clock.factor = 0.01
    house.model.script(*calls_then_done(Call("tools__slow", {"seconds": 30})))

    outcome = await house.run()

    assert outcome.status is RunStatus.COMPLETED
    assert "no answer within 60 seconds" in _result(house)
    house.clock.factor = 1.0


async def test_a_server_that_cannot_start_says_why_and_the_run_goes_on(house: AgentHouse) -> None:
    code = "import sys; sys.exit('no licence: ' + 's3cr3t-canary')"
    house.mcp("broken", mcp=McpServer(command=sys.executable, args=("-c", code)))
    house.mcp("absent", mcp=McpServer(command="/no/such/program"))
    house.rest()

    outcome = await house.run()

    system = house.model.requests[0].system
    assert outcome.status is RunStatus.COMPLETED
    assert "broken: not available now" in system
    assert "no licence" in system
    assert "canary" not in system
    assert "the command /no/such/program does not exist" in system
    notes = [str(each.data["note"]) for each in house.of(EntryType.RUN_NOTE)]
    assert [each.partition(" could")[0] for each in notes] == [
        "the connection absent",
        "the connection broken",
    ]
    assert "no licence" in notes[1]
    assert "canary" not in notes[1]


async def test_a_server_that_says_nothing_is_waited_for_once_and_not_by_every_run(
    house: AgentHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_pool, "START_SECONDS", 1.0)
    code = f"open({str(house.folder / 'starts')!r}, 'a').write('x'); import time; time.sleep(600)"
    house.mcp("mute", mcp=McpServer(command=sys.executable, args=("-c", code)))

    outcomes = [await house.run() for _ in range(3)]

    assert [each.status for each in outcomes] == [RunStatus.COMPLETED] * 3
    assert all("mute: not available now" in each.system for each in house.model.requests)
    assert (house.folder / "starts").read_text() == "x"
    # Who tests the connection wants to know how it is now.
    assert "within 1 seconds" in str((await house.probe.test(house.connections["mute"]))["detail"])


async def test_the_list_of_connections_says_which_servers_last_start_failed(
    house: AgentHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.probe.tools(house.mcp("sound"))
    monkeypatch.setattr(mcp_pool, "START_SECONDS", 1.0)
    sleeping = McpServer(command=sys.executable, args=("-c", "import time; time.sleep(600)"))
    house.mcp("mute", mcp=sleeping)
    house.mcp("absent", mcp=McpServer(command="/no/such/program"))
    house.mcp("unset", mcp=sleeping, secrets=("NOT_SET",))
    verbs = Connections(HouseCatalogue(house), house.probe)

    async def states() -> dict[object, object]:
        caller = Caller(actor="local:ada", door="cli")
        return {each["name"]: each["state"] for each in await verbs.list_all(caller)}

    assert set((await states()).values()) == {"ready", "needs NOT_SET"}
    await house.run()
    assert await states() == {
        "mute": "failed: did not start within 1 seconds",
        "absent": "failed: the command /no/such/program does not exist",
        "unset": "needs NOT_SET",
        "sound": "ready",
    }

    house.mcp("absent")
    assert (await states())["absent"] == "ready"
    await house.probe.test(house.mcp("absent", mcp=McpServer(command="/no/such/program")))
    assert str((await states())["absent"]).startswith("failed: ")


UNREAD = """
import asyncio, sys
from amodal_rt.clock import SystemClock
from amodal_rt.executors.acting.mcp_transport import Child

async def main():
    code = "while True: print('x' * 1_000_000); import sys; print('y' * 1_000_000, file=sys.stderr)"
    child = Child((sys.executable, "-c", code), {}, SystemClock())
    async with child.transport() as (incoming, _):
        await incoming.receive()
    print("left")

asyncio.run(main())
"""


async def test_a_server_whose_output_nobody_read_leaves_no_complaint_at_exit() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        UNREAD,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()

    assert (out, err.decode()) == (b"left\n", "")


async def test_parallel_calls_of_one_server_run_side_by_side(house: AgentHouse) -> None:
    house.mcp(access=READS)
    house.model.script(*calls_then_done(*[Call("tools__lookup", {"name": "alpha"})] * 8))

    await house.run()

    assert [_result(house, place) for place in range(8)] == ["1"] * 8
    assert len(house.of(EntryType.TOOL_FINISHED)) == 8


async def test_the_probe_lists_each_tool_with_its_intent_and_tests(house: AgentHouse) -> None:
    rules = Access(
        tools=(
            AccessRule(match="read_*", intent=Intent.READ),
            AccessRule(match="delete_*", intent=Intent.WRITE),
        )
    )
    connection = house.mcp(access=rules)

    tools = {str(each["name"]): each for each in await house.probe.tools(connection)}

    assert tools["read_items"]["intent"] == "read"
    assert tools["read_items"]["rule"] == '{"read_*": {"intent": "read"}}'
    assert tools["delete_all"]["intent"] == "write"
    assert tools["set_item"]["intent"] == "unknown"
    told = await house.probe.test(connection)
    assert told == {"ok": True, "status": None, "detail": "9 tools", "hint": None}
    trusted = replace(connection, trust_annotations=True, access=Access())
    by_hint = {each["name"]: each["intent"] for each in await house.probe.tools(trusted)}
    assert (by_hint["delete_all"], by_hint["set_item"]) == ("read", "unknown")

    broken = replace(connection, name="x", mcp=McpServer(command="/no/such/program"))
    result = await house.probe.test(broken)
    assert not result["ok"]
    with pytest.raises(UnavailableError):
        await house.probe.tools(broken)


async def test_the_probe_of_a_rest_connection_asks_its_test_path(house: AgentHouse) -> None:
    connection = house.rest(test_path="/balance")

    assert await house.probe.test(connection) == {
        "ok": True,
        "status": 200,
        "detail": "HTTP 200 application/json /balance",
        "hint": None,
    }
    assert house.service.requests[0].headers["Authorization"] == "Bearer s3cr3t-canary"
    offered = {each["name"]: each["intent"] for each in await house.probe.tools(connection)}
    assert (offered["GET *"], offered["POST *"]) == ("read", "write")

    house.egress = Egress([])
    unreachable = replace(connection, base_url="http://127.0.0.1:1")
    refused = await house.probe.test(unreachable)
    assert not refused["ok"]


async def test_a_fake_message_on_standard_output_does_not_end_a_server(house: AgentHouse) -> None:
    code = (
        "import runpy, sys; print('hello, I am not JSON', flush=True);"
        "sys.argv = ['x']; runpy.run_module('amodal_rt.testing.mcp_server', run_name='__main__')"
    )
    house.mcp(mcp=McpServer(command=sys.executable, args=("-c", code)), access=READS)
    house.model.script(Turn(calls=[Call("tools__read_items", {})]), Turn(text="done"))

    outcome = await house.run()

    assert outcome.status is RunStatus.COMPLETED
    assert json.loads(_result(house))["alpha"] == "1"


OLD_SERVER = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    method, id = asked.get("method"), asked.get("id")
    if method == "initialize":
        result = {"protocolVersion": "2024-11-05", "capabilities": {"tools": {}},
                  "serverInfo": {"name": "old", "version": "1"}}
    elif method == "tools/list":
        result = {"tools": [{"name": "read.it", "inputSchema": {"type": "object"}}]}
    elif method == "tools/call":
        result = {"content": [{"type": "text", "text": "from long ago"}]}
    elif id is None or SILENT:
        continue
    else:
        error = {"code": -32601, "message": "Method not found"}
        print(json.dumps({"jsonrpc": "2.0", "id": id, "error": error}), flush=True)
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": id, "result": result}), flush=True)
"""


@pytest.mark.parametrize("silent", [False, True])
async def test_servers_of_the_first_protocol_are_understood(
    house: AgentHouse, silent: bool
) -> None:
    """Also those that do not answer what they do not know."""
    code = OLD_SERVER.replace("SILENT", str(silent))
    access = Access(tools=(AccessRule(match="read.it", intent=Intent.READ),))
    house.mcp(mcp=McpServer(command=sys.executable, args=("-c", code)), access=access)
    house.model.script(*calls_then_done(Call("tools__read_it", {})))

    outcome = await house.run()

    assert outcome.status is RunStatus.COMPLETED
    assert _result(house) == "from long ago"
