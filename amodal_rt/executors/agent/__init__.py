"""Agent sessions: prompt, model, tools, and the one gate that every call passes.

Only `loop`, `models`, `journaled`, `rehearsal` and `toolset` import the agent library; they
are loaded by the first run, never before the daemon is ready.
"""
