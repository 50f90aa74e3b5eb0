"""What each `ops` verb asks the daemon and prints: shared by the fast path and by typer.

A verb takes a `Door` (the daemon's client, and the voice) and returns an exit code.
"""
