"""An MCP server over stdio with the story's one tool; it starts in a blink.

`MCP_CALLS` names the file that gets a line for every call, before it is answered.
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "crash"))

import tiny_mcp

tiny_mcp.TOOLS[:] = [{"name": "lookup", "inputSchema": {"type": "object"}}]


def main() -> None:
    calls = Path(os.environ["MCP_CALLS"])
    for line in sys.stdin:
        message = json.loads(line)
        call = tiny_mcp.called(message)
        if call is not None:
            with calls.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(call) + "\n")
        answer = tiny_mcp.respond(message)
        if answer is not None:
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
