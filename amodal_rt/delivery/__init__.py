"""From an outcome to messages that arrive.

In come outcomes (through `planner`, inside the ledger's transaction) and due messages of the
outbox (through `sender`); out go HTTP requests and calls of an embedding program. A delivery
that fails never fails its run. Nothing here knows how a run was carried out.
"""
