"""What our MCP server does not do, for whom, and how it says so."""

import asyncio
import io
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from api_house import ADA, ApiHouse, api_house
from daemon_child import automation, write
from mcp.shared.exceptions import MCPError
from mcp_client import over_http

from amodal_rt.errors import DeniedError
from amodal_rt.operations.managing import Wanted
from amodal_rt.ports import Caller
from amodal_rt.servers.mcp.visit import DOOR

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
ACCEPT = "application/json, text/event-stream"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[ApiHouse, None]:
    root = tmp_path / "workspace"
    write(root, "connections/other/spec.json", {"protocol": "runtime"})
    write(root, "automations/broken.json", {"title": "Broken"})
    automation(root, "narrow", connections=["runtime"], tools=["runtime.*"])
    automation(root, "hourly", schedule="0 * * * *", connections=[])
    async with api_house(root) as opened:
        yield opened


async def post(
    api: ApiHouse, secret: str | None, body: Any, **headers: str
) -> tuple[int, Any, dict[str, str]]:
    """Status, document and headers of a POST to `/mcp`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    given = {"Accept": ACCEPT, "Content-Type": "application/json", **named}
    if secret is not None:
        given["x-api-key"] = secret
    data = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
    async with api.session.post(f"{api.url}/mcp", data=data, headers=given) as answer:
        content = await answer.read()
        told = json.loads(content) if content else None
        return answer.status, told, {k.lower(): v for k, v in answer.headers.items()}


async def test_a_token_does_what_its_scopes_say(api: ApiHouse) -> None:
    async with over_http(api, await api.secret("read")) as caller:
        reading = [
            (await caller.refused(tool, **asked))["code"]
            for tool, asked in (
                ("AUTOMATION_RUN", {"id": "narrow"}),
                ("EVENT_EMIT", {"type": "deploy.finished"}),
                ("AUTOMATION_CREATE", {"name": "x", "messages": "y"}),
                ("AUTOMATION_UPDATE", {"id": "narrow", "active": False}),
                ("AUTOMATION_DELETE", {"id": "narrow"}),
                (
                    "AUTOMATION_TRIGGER_ADD",
                    {"automation_id": "narrow", "type": "webhook"},
                ),
                ("AUTOMATION_TRIGGER_REMOVE", {"trigger_id": "trg_x"}),
            )
        ]
    async with over_http(api, await api.secret("trigger", name="starter")) as caller:
        error = await caller.refused("AUTOMATION_LIST")
        starting = [error["code"], (await caller.refused("AUTOMATION_GET", id="narrow"))["code"]]

    assert set(reading) == set(starting) == {"scope_missing"}
    assert error["message"] == "the token lacks the scope read"
    assert "tokens create" in error["hint"]
    assert (api.root / "automations/narrow.json").exists()


async def test_a_tool_has_no_word_for_powers(api: ApiHouse) -> None:
    text = json.dumps({"title": "N", "prompt": "x", "writeEnabled": True})
    async with over_http(api, await api.secret("manage")) as caller:
        denied = await caller.refused(
            "AUTOMATION_CREATE", name="N", messages="x", tools=["*"], writeEnabled=True
        )
        await caller.told("AUTOMATION_CREATE", name="M", messages=text)

    assert denied["code"] == "bad_input"
    assert denied["message"].startswith("writeEnabled")
    # What looks like a file is a prompt.
    assert api.file("m.json")["prompt"] == text


async def test_the_door_of_the_tools_grants_no_powers(api: ApiHouse) -> None:
    caller = Caller(actor="token:program", door=DOOR)

    with pytest.raises(DeniedError) as caught:
        await api.house.managing.update(caller, "narrow", Wanted(keys={"tools": None}))

    assert caught.value.code == "power_not_granted"
    assert ("automation.powers_denied", "narrow", "token:program", "mcp") in await api.audited()


async def test_what_a_person_has_granted_stays(api: ApiHouse) -> None:
    write(
        api.root,
        "automations/away.json",
        {
            "title": "Away",
            "prompt": "x",
            "writeEnabled": True,
            "triggers": [{"type": "cron", "schedule": "@daily"}],
        },
    )
    await api.house.ground.workspace.reload()
    async with over_http(api, await api.secret("manage")) as client:
        # It keeps what a person has granted, and grants nothing.
        await client.told("AUTOMATION_UPDATE", id="away", name="Farther")
        whole = (await client.told("AUTOMATION_GET", id="away"))["automation"]
        await client.told("AUTOMATION_TRIGGER_REMOVE", trigger_id=whole["triggers"][0]["id"])

    assert whole["writes"].startswith("may write")
    assert api.file("away.json") == {"title": "Farther", "prompt": "x", "writeEnabled": True}


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("AUTOMATION_RUN", {"id": "narow"}, "automation_not_found"),
    ("AUTOMATION_RUN", {"id": "broken"}, "one_of"),
    ("AUTOMATION_DELETE", {"id": "nobody"}, "automation_not_found"),
    ("AUTOMATION_UPDATE", {"id": "narrow"}, "bad_input"),
    ("AUTOMATION_UPDATE", {"id": "narrow", "virtual_mcp_id": "main"}, "bad_input"),
    ("AUTOMATION_CREATE", {"name": "", "messages": "x"}, "bad_input"),
    ("AUTOMATION_CREATE", {"name": "x"}, "bad_input"),
    ("AUTOMATION_CREATE", {"name": "x", "messages": [{"role": "user"}]}, "bad_input"),
    ("AUTOMATION_CREATE", {"name": "Narrow", "messages": "x"}, "automation_exists"),
    ("AUTOMATION_TRIGGER_REMOVE", {"trigger_id": "trg_0"}, "trigger_not_found"),
    (
        "AUTOMATION_TRIGGER_ADD",
        {"automation_id": "narrow", "type": "cron", "cron_expression": "61 * * * *"},
        "bad_cron",
    ),
    ("AUTOMATION_TRIGGER_ADD", {"automation_id": "narrow", "type": "cron"}, "bad_input"),
    (
        "AUTOMATION_TRIGGER_ADD",
        {"automation_id": "narrow", "type": "webhook", "cron_expression": "@daily"},
        "bad_input",
    ),
    ("AUTOMATION_RUN_GET", {"run_id": "run_0"}, "run_not_found"),
    ("AUTOMATION_RUN_GET", {"run_id": "nothing"}, "run_not_found"),
    ("AUTOMATION_RUN_LIST", {"before_cursor": "nowhere"}, "bad_cursor"),
    ("AUTOMATION_RUN_LIST", {"limit": 101}, "bad_input"),
    ("AUTOMATION_RUN_LIST", {"limit": "5"}, "bad_input"),
    ("EVENT_EMIT", {"type": "no good"}, "bad_event"),
]


async def test_what_is_wrong_with_a_call_is_an_error_of_the_tool(
    api: ApiHouse,
) -> None:
    async with over_http(api, await api.secret("manage")) as caller:
        told = [(await caller.refused(tool, **asked), code) for tool, asked, code in WRONG]

    assert [error["code"] for error, _ in told] == [code for _, code in told]
    assert all(set(error) == {"code", "kind", "message", "hint"} for error, _ in told)
    everything = json.dumps(told)
    assert "Traceback" not in everything
    assert str(api.root) not in everything


async def test_an_unknown_tool_is_an_error_of_the_protocol(api: ApiHouse) -> None:
    async with over_http(api, await api.secret("manage")) as caller:
        with pytest.raises(MCPError) as caught:
            await caller.client.call_tool("AUTOMATION_DESTROY", {})

    assert caught.value.error.message == "there is no such tool"


async def test_pages_and_names_of_others_are_turned_away(api: ApiHouse) -> None:
    secret = await api.secret("manage")
    found: list[tuple[int, str]] = []
    for name, value in (
        ("Host", "evil.example"),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
    ):
        told = await post(api, secret, PING, **{name: value})
        found.append((told[0], told[1]["error"]["code"]))

    assert found == [(403, "bad_host"), (403, "bad_origin"), (403, "bad_origin")]


async def test_who_has_no_token_learns_nothing(api: ApiHouse) -> None:
    without = await post(api, None, PING)
    wrong = await post(api, "art_wrong", PING)
    right = await post(api, await api.secret("read"), PING)

    assert (without[0], wrong[0], right[0]) == (401, 401, 200)
    assert without[1] == wrong[1]
    assert without[2]["www-authenticate"] == "Bearer"
    assert right[1] == {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert right[2]["cache-control"] == "no-store"


async def test_a_token_that_is_revoked_in_mid_session_is_done(api: ApiHouse) -> None:
    async with over_http(api, await api.secret("read"), mode="legacy") as caller:
        before = await caller.told("AUTOMATION_LIST")
        await api.house.tokens.revoke(ADA, "program")
        with pytest.raises(MCPError):
            await caller.client.call_tool("AUTOMATION_LIST", {})

    assert before["automations"]


NO_MESSAGE: list[tuple[Any, str]] = [
    (b"{", "the body is not JSON"),
    (b"[" * 100_000, "the body is not JSON"),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":NaN}}', "the body is not"),
    ([PING], "the body is one message"),
    ({"id": 1, "method": "ping"}, "the body is no request"),
    ({**PING, "id": True}, "the body is no request"),
    ({**PING, "params": [1]}, "the body is no request"),
    ({"jsonrpc": "2.0", "id": 1, "result": {}}, "the body is no request"),
]


async def test_what_is_no_message_is_told_so_without_its_words(api: ApiHouse) -> None:
    secret = await api.secret("read")

    for body, message in NO_MESSAGE:
        status, told, _ = await post(api, secret, body)
        assert (status, told["id"]) == (400, None)
        assert told["error"]["message"].startswith(message)


async def test_a_body_that_is_too_large_is_not_read(api: ApiHouse) -> None:
    told = await post(api, await api.secret("read"), b'"' + b"x" * 1_100_000 + b'"')

    assert (told[0], told[1]["error"]["code"]) == (413, "too_large")


async def test_there_is_nothing_to_listen_to_and_nothing_to_end(api: ApiHouse) -> None:
    secret = await api.secret("read")

    answers = [await api.ask(secret, method, "/mcp") for method in ("GET", "DELETE")]

    assert [status for status, _ in answers] == [405, 405]


async def test_two_clients_are_served_side_by_side(api: ApiHouse) -> None:
    one, two = await api.secret("read", name="one"), await api.secret("trigger", name="two")
    async with over_http(api, one, mode="legacy") as reader, over_http(api, two) as starter:
        listed, started, refused, denied = await asyncio.gather(
            reader.told("AUTOMATION_LIST"),
            starter.told("AUTOMATION_RUN", id="narrow"),
            starter.refused("AUTOMATION_LIST"),
            reader.refused("AUTOMATION_RUN", id="narrow"),
        )
    run = await api.house.ground.ledger.find_run(started["run_id"])

    assert len(listed["automations"]) == 3
    assert (refused["code"], denied["code"]) == ("scope_missing", "scope_missing")
    assert run is not None
    assert run.actor == "token:two"


async def test_a_client_that_goes_away_in_the_middle_leaves_nothing_undone(api: ApiHouse) -> None:
    secret = await api.secret("manage")
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "AUTOMATION_CREATE", "arguments": {"name": "Left", "messages": "x"}},
    }
    headers = {"x-api-key": secret, "Accept": ACCEPT, "Content-Type": "application/json"}
    _, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))
    body = json.dumps(call).encode()
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = ["POST /mcp HTTP/1.1", "Host: localhost", *lines, f"Content-Length: {len(body)}"]
    writer.write("\r\n".join([*head, "", ""]).encode() + body)
    await writer.drain()
    writer.transport.abort()
    while "left" not in api.house.ground.workspace.snapshot().automations:  # noqa: ASYNC110
        await asyncio.sleep(0.01)

    async with over_http(api, secret) as caller:
        rows = (await caller.told("AUTOMATION_LIST"))["automations"]

    assert "left" in [each["lookup_key"] for each in rows]


async def test_too_many_requests_at_once_are_asked_to_come_again(api: ApiHouse) -> None:
    door = api.house.mcp
    door._busy = 64
    status, told, headers = await post(api, await api.secret("read"), PING)
    door._busy = 0

    assert (status, told["error"]["code"]) == (503, "too_many_calls")
    assert headers["retry-after"] == "30"


async def test_after_the_daemon_began_to_stop_nobody_is_served(api: ApiHouse) -> None:
    secret = await api.secret("read")
    assert (await post(api, secret, PING))[0] == 200

    await api.house.mcp.close()

    status, told, _ = await post(api, secret, PING)
    assert (status, told["error"]["code"]) == (503, "stopping")
