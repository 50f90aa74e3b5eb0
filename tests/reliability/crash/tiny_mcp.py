"""The smallest MCP server over stdio: `python -I -S tiny_mcp.py FILE`. It starts in a blink.

`peek` reads, `put` writes; FILE gets a line for every call, before it is answered.
"""

import json
import sys
from pathlib import Path
from typing import Any

READS = {"readOnlyHint": True}
TOOLS = [
    {"name": "peek", "inputSchema": {"type": "object"}, "annotations": READS},
    {"name": "put", "inputSchema": {"type": "object"}},
]


def respond(message: dict[str, Any]) -> dict[str, Any] | None:
    """The answer to one message; None where there is none to give."""
    method = message.get("method")
    if "id" not in message:
        return None
    if method == "initialize":
        result: dict[str, Any] = {
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "tiny", "version": "1"},
        }
    elif method == "tools/list":
        result = {"tools": TOOLS}
    elif method == "tools/call":
        result = {"content": [{"type": "text", "text": f"{message['params']['name']} done"}]}
    else:
        result = {}
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def called(message: dict[str, Any]) -> dict[str, Any] | None:
    """What a call asked for, with the key that is the same for each attempt of it."""
    if message.get("method") != "tools/call":
        return None
    params = message["params"]
    return {"tool": params["name"], "key": (params.get("_meta") or {}).get(KEY)}


KEY = "amodal-rt/idempotencyKey"


def main(file: str) -> None:
    for line in sys.stdin:
        message = json.loads(line)
        call = called(message)
        if call is not None:
            with Path(file).open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(call) + "\n")
        answer = respond(message)
        if answer is not None:
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
