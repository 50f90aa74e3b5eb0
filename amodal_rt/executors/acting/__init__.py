"""What any executor needs to act: the session, the tools, and the gate that every call passes.

In comes what a call would do; out goes what it gave, with its rows in the journal. Knows no
model and no graph. Only `mcp_*` speak with MCP servers, and load their library when one is
needed.
"""
