"""A real MCP server process that watches for events: `python -m amodal_rt.testing.trigger_server`.

Over stdio, or with `--port N` over streamable HTTP at `/mcp` (0 takes a free port and prints
`listening on PORT`). It implements `TRIGGER_LIST` and `TRIGGER_CONFIGURE` as servers of deco do:
over HTTP it refuses who shows no connection id in `x-mesh-token`, and keeps one callback for
each; over stdio it keeps one for each type and its parameters. It forgets all when it ends.

`--control FILE` lets a test command it: the port of a socket on this machine is written there,
which takes one JSON document a connection and answers with one (`ask` does both):

- `{"raise": TYPE, "data": {}, "id"?, "cause"?}` calls back all who watch and whose parameters
  fit: `[{watcher, status, body}]`
- `{"watchers": true}`, `{"pid": true}`, `{"calls": true}`: what it knows
- `{"behave": WORD}`: `refuse`, `fail`, `hang` (watch, and never answer), `deaf` (never answer),
  `crash` (end without an answer), `early` (call back before it answers) or `answer`
"""

import asyncio
import base64
import json
import os
import socket
import sys
import threading
import urllib.error
import urllib.request
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import Context, MCPServer

TYPES: list[dict[str, object]] = [
    {
        "type": "item.created",
        "description": "An item was made",
        "paramsSchema": {
            "list": {"type": "string", "enum": ["inbox", "later"], "description": "Which list"}
        },
    },
    {"type": "item.done", "description": "An item was done", "paramsSchema": {}},
]
CAUSE = "Amodal-Rt-Cause"

server = MCPServer("amodal-rt-trigger-test")


@dataclass
class Watcher:
    """Who is called back, and about what."""

    name: str
    type: str
    params: Mapping[str, str]
    url: str
    token: str


@dataclass
class State:
    """All that the process knows."""

    over_http: bool = False
    behaviour: str = "answer"
    watchers: dict[str, Watcher] = field(default_factory=dict[str, Watcher])
    calls: list[dict[str, object]] = field(default_factory=list[dict[str, object]])


state = State()


@server.tool(name="TRIGGER_LIST")
def list_triggers() -> dict[str, object]:
    """What can be watched for."""
    return {"triggers": TYPES}


@server.tool()
def shown_header(context: Context[Any, Any]) -> str:
    """What the caller shows in `x-mesh-token`, or nothing."""
    return str((context.headers or {}).get("x-mesh-token", ""))


@server.tool(name="TRIGGER_CONFIGURE")
async def configure(
    type: str,
    enabled: bool,
    context: Context[Any, Any],
    params: dict[str, str] | None = None,
    callbackUrl: str | None = None,  # noqa: N803  (the binding's own names)
    callbackToken: str | None = None,  # noqa: N803
) -> dict[str, object]:
    """Begin or end to watch."""
    said = {"type": type, "params": params or {}, "enabled": enabled, "url": callbackUrl}
    state.calls.append({**said, "token": callbackToken})
    behaviour = state.behaviour
    if behaviour == "fail":
        raise ValueError("cannot watch")
    if behaviour == "crash":
        os._exit(3)
    if behaviour == "deaf":
        await asyncio.Event().wait()
    known = {each["type"] for each in TYPES}
    if behaviour == "refuse" or type not in known:
        return {"success": False, "error": f"cannot watch with {callbackToken}"}
    name = _name(context, type, params or {})
    if not enabled:
        state.watchers.pop(name, None)
    else:
        assert callbackUrl
        assert callbackToken
        watcher = Watcher(name, type, params or {}, callbackUrl, callbackToken)
        state.watchers[name] = watcher
        if behaviour == "early":
            await asyncio.to_thread(_call_back, watcher, {"list": "inbox"}, {})
    if behaviour == "hang":
        await asyncio.Event().wait()
    return {"success": True}


def _name(context: Context[Any, Any], type: str, params: Mapping[str, str]) -> str:
    if not state.over_http:
        return json.dumps([type, dict(sorted(params.items()))])
    headers: Mapping[str, str] = context.headers or {}
    parts = headers.get("x-mesh-token", "").split(".")
    if len(parts) != 3:
        raise ValueError("Connection ID not available")
    claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    name = claims.get("connectionId") or claims.get("metadata", {}).get("connectionId")
    if not name:
        raise ValueError("Connection ID not available")
    return str(name)


def _call_back(
    watcher: Watcher, data: Mapping[str, object], asked: Mapping[str, Any]
) -> dict[str, object]:
    body = {"type": watcher.type, "data": data} | {k: asked[k] for k in ("id",) if k in asked}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {watcher.token}"}
    if "cause" in asked:
        headers[CAUSE] = asked["cause"]
    request = urllib.request.Request(  # noqa: S310  (the address that we were given)
        watcher.url, data=json.dumps(body).encode(), headers=headers, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    except OSError as error:
        return {"watcher": watcher.name, "status": None, "body": str(error)}
    return {"watcher": watcher.name, "status": status, "body": json.loads(text)}


def _obey(command: Mapping[str, Any]) -> object:
    if "raise" in command:
        data = command.get("data", {})
        return [
            _call_back(each, data, command)
            for each in list(state.watchers.values())
            if each.type == command["raise"]
            and all(str(data.get(key)) == value for key, value in each.params.items())
        ]
    if "behave" in command:
        state.behaviour = command["behave"]
        return True
    if "watchers" in command:
        return [vars(each) for each in state.watchers.values()]
    return os.getpid() if "pid" in command else state.calls


def _listen(file: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    fresh = file.with_suffix(".new")
    fresh.write_text(str(listener.getsockname()[1]))
    fresh.replace(file)

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rwb") as stream:
                answer = _obey(json.loads(stream.readline()))
                stream.write(json.dumps(answer).encode() + b"\n")

    threading.Thread(target=serve, daemon=True).start()


async def ask(file: Path, **command: object) -> Any:
    """Command the server whose control file it is."""
    port = int(await asyncio.to_thread(file.read_text))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(json.dumps(command).encode() + b"\n")
    answer = await reader.readline()
    writer.close()
    return json.loads(answer)


def main() -> None:
    """Serve until standard input closes, or for ever over HTTP."""
    parser = ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--control", type=Path)
    chosen = parser.parse_args()
    if chosen.control:
        _listen(chosen.control)
    if chosen.port is None:
        server.run("stdio")
        return
    state.over_http = True
    port = chosen.port
    if not port:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
    sys.stdout.write(f"listening on {port}\n")
    sys.stdout.flush()
    server.run("streamable-http", host="127.0.0.1", port=port)


if __name__ == "__main__":
    main()
