"""The command line: parse, ask, print. It decides nothing.

In: words and the daemon's JSON documents. Out: tables for people on stdout, one JSON
document with `--json`, remarks on stderr, an exit code. Everyday verbs take a path that
imports neither typer nor rich; nothing here may import the daemon's rooms at module level.
"""
