"""A ledger in memory, for tests: the real promises, several nodes, faults on command.

store = MemoryStore()
first, second = (MemoryLedger(store, clock=clock) for _ in range(2))
first.faults.fail_next()
"""

from amodal_rt.testing.ledger.faults import Faults
from amodal_rt.testing.ledger.ledger import MemoryLedger
from amodal_rt.testing.ledger.store import MemoryStore

__all__ = ["Faults", "MemoryLedger", "MemoryStore"]
