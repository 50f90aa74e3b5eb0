"""The ledger: every fact that must survive, in one SQLite file.

In: the values of `domain`, through the ledger ports. Out: the same values, durable when a
method returns. This room rules on slots, limits and duplicates because only a transaction
can; it must not know what a run does, where a message goes or who asks.
"""
