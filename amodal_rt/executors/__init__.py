"""How a run does its work.

In comes a run's context: its definition, the snapshot it started with, the event. Out goes
an outcome. The room must not know queues, deliveries or doors; what it needs of the ledger,
of the network and of the runtime itself is handed in.
"""
