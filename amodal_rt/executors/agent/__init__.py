"""Agent sessions: prompt, model, and the tools that it is offered.

Only `loop`, `models`, `journaled`, `rehearsal`, `responses`, `failures` and `toolset` import the
agent library; they are loaded by the first run, never before the daemon is ready.
"""
