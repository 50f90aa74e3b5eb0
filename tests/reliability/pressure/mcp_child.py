"""An MCP server over stdio in plain lines, so that it can misbehave: `python mcp_child.py MODE`.

It lists one tool, `work`. What a call of it does is the mode's; a mode of the process itself
(`exits`, `never_starts`) shows before.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

MODE = sys.argv[1]
REST = sys.argv[2:]


def say(message: dict[str, Any]) -> None:
    """One message on standard output."""
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(request: dict[str, Any], words: str) -> None:
    """The answer to a call."""
    say({"id": request["id"], "result": {"content": [{"type": "text", "text": words}]}})


def hangs(request: dict[str, Any]) -> None:
    """Never answers, and reads no more."""
    time.sleep(600)


def swallows(request: dict[str, Any]) -> None:
    """Takes every request from now on and answers none."""
    for _ in sys.stdin:
        continue


def floods(request: dict[str, Any]) -> None:
    """Output without end, in lines that mean nothing."""
    line = b"x" * 65_535 + b"\n"
    while True:
        os.write(1, line)


def one_line(request: dict[str, Any]) -> None:
    """Output without end and without a line break."""
    while True:
        os.write(1, b"x" * 65_536)


def forks(request: dict[str, Any]) -> None:
    """Leaves children behind that ignore what asks them to go, and never answers."""
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    for _ in range(5):
        subprocess.Popen([sys.executable, "-c", stubborn])
    time.sleep(600)


def exits(request: dict[str, Any]) -> None:
    """Ends in the middle of a call."""
    os._exit(3)


def spins(request: dict[str, Any]) -> None:
    """Keeps a processor busy and never answers."""
    while True:
        pass


def triggers(request: dict[str, Any]) -> None:
    """Starts an automation as a script in its hands would."""
    done = subprocess.run(
        [sys.executable, "-m", "amodal_rt", *REST],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    text(request, done.stdout or done.stderr)


def meta(request: dict[str, Any]) -> None:
    """Says what came along with the call, and what the environment says."""
    said = request["params"].get("_meta") or {}
    text(request, json.dumps({"meta": said, "variable": os.environ.get("AMODAL_RT_CAUSE")}))


MODES = {
    each.__name__: each
    for each in (hangs, swallows, floods, one_line, forks, exits, spins, triggers, meta)
}


def main() -> None:
    """Answer until standard input ends."""
    if MODE == "never_starts":
        time.sleep(600)
    schema = {"type": "object", "properties": {}}
    for line in sys.stdin:
        request = json.loads(line)
        method = request.get("method")
        if method == "initialize":
            version = request["params"]["protocolVersion"]
            info = {"name": "child", "version": "1"}
            result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
            say({"id": request["id"], "result": result})
        elif method == "tools/list":
            tools = [{"name": "work", "description": "Work.", "inputSchema": schema}]
            say({"id": request["id"], "result": {"tools": tools}})
        elif method == "tools/call":
            if "AMODAL_TEST_CALLS" in os.environ:
                Path(os.environ["AMODAL_TEST_CALLS"], MODE).touch()
            MODES[MODE](request)
        elif "id" in request:
            say({"id": request["id"], "error": {"code": -32601, "message": "no such method"}})


main()
