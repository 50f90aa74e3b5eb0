"""An event, the clock or a person → wishes for runs.

In: snapshots, facts, verified events, the time. Out: `Start`s, which the ledger rules on. A
due slot is never only in memory: what was ruled on stands in the ledger, and the library
that wakes us is asked for nothing but to wake us. Knows nothing of how runs are executed.
"""
