"""An MCP server that tells every secret that it has heard of.

`python mcp_gossip.py FILE [dying]`: FILE holds the text. A dying one says it on standard error, in
pieces of a line that is longer than what is kept of it, and ends.
"""

import sys
from pathlib import Path

from mcp.server import MCPServer

TEXT = Path(sys.argv[1]).read_text(encoding="utf-8")
server = MCPServer("gossip")


@server.tool()
def tell() -> str:
    """Tell what is known."""
    return TEXT


@server.tool()
def fail() -> str:
    """Fail with it."""
    raise ValueError(TEXT)


if __name__ == "__main__":
    if sys.argv[2:] == ["dying"]:
        sys.stderr.write(TEXT)
        sys.exit(1)
    server.run("stdio")
