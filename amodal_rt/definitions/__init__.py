"""JSON and Markdown → automations, connections, agents, stores, settings; and their JSON Schema.

In: the bytes of one file and what it may refer to. Out: a domain value, or problems with
line, column, reason and suggestion; never an exception for bad input. Pure: reads no file,
no clock and no environment.
"""
