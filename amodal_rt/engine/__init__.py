"""A pending run → its one outcome.

In: runs that the ledger lets it claim, and an executor. Out: an outcome, committed together
with what it owes. A run leaves exactly once: an executor that raises, hangs or swallows its
cancellation still ends as a row, and its slot is free by its deadline + 5 seconds. Knows
nothing of agents, files or messages.
"""
