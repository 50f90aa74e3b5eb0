"""The MCP server: tools over what `operations` does, for agents and the programs around them.

In: JSON-RPC messages that a door let in, with who sent them. Out: results whose text of untrusted
origin stays inside JSON. Decides nothing, knows no ledger, and keeps no sessions: every request
shows anew who asks.
"""
