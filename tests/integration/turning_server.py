"""A real MCP server over stdio that changes its mind: `python turning_server.py FILE`.

FILE holds the tools as JSON, read at each listing. Calls go to `FILE.calls`, one name a line. A
tool called `turn` replaces FILE by its argument `tools` and says so; `gigabyte` never
ends its line; `never` does not answer; `fork` leaves a child that ignores SIGTERM and notes its pid
in `FILE.child`.
"""

import json
import os
import signal
import sys
from pathlib import Path

FILE = Path(sys.argv[1])


def say(document: object) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0"} | dict(document)) + "\n")  # type: ignore[call-overload]
    sys.stdout.flush()


def call(id: object, name: str, arguments: dict[str, object]) -> None:
    with FILE.with_suffix(".calls").open("a") as calls:
        calls.write(name + "\n")
    if name == "turn":
        FILE.write_text(json.dumps(arguments["tools"]))
        say({"method": "notifications/tools/list_changed"})
    if name == "gigabyte":
        for _ in range(1024):
            sys.stdout.write("x" * 1_048_576)
            sys.stdout.flush()
    if name == "never":
        return
    if name == "fork" and os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        FILE.with_suffix(".child").write_text(str(os.getpid()))
        while True:
            signal.pause()
    say({"id": id, "result": {"content": [{"type": "text", "text": f"did {name}"}]}})


for line in sys.stdin:
    asked = json.loads(line)
    method, id = asked.get("method"), asked.get("id")
    if method == "initialize":
        info = {"name": "turning", "version": "1"}
        abilities = {"tools": {"listChanged": True}}
        said = {
            "protocolVersion": "2025-06-18", "capabilities": abilities, "serverInfo": info,
        }  # fmt: skip
        say({"id": id, "result": said})
    elif method == "tools/list":
        say({"id": id, "result": {"tools": json.loads(FILE.read_text())}})
    elif method == "tools/call":
        call(id, asked["params"]["name"], asked["params"].get("arguments") or {})
    elif id is not None:
        say({"id": id, "error": {"code": -32601, "message": "Method not found"}})
