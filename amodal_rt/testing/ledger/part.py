"""What every part of the double stands on."""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import TypeVar

from amodal_rt.clock import Clock
from amodal_rt.domain.run import Run, RunStatus
from amodal_rt.errors import ConflictError, NotFoundError
from amodal_rt.ids import Ids
from amodal_rt.testing.ledger import values
from amodal_rt.testing.ledger.faults import Faults
from amodal_rt.testing.ledger.store import MemoryStore
from amodal_rt.testing.ledger.tables import RunRow

T = TypeVar("T")


class Part:
    """One port's share of the double. All parts of a ledger share these.

    Claims stand under `_node`, the life that `join` began; before it, under a life of its
    own that no table knows, so that a ledger can be used without joining.
    """

    def __init__(self, store: MemoryStore, clock: Clock, ids: Ids) -> None:
        self.store = store
        self.faults = Faults()
        """What goes wrong between this node and the ledger."""
        self._clock = clock
        self._ids = ids
        self._node = ids.node()
        self._lives = {self._node}
        self._joined = False

    async def _write(self, name: str, work: Callable[[], T]) -> T:
        """Commit all of `work`, or nothing of it."""
        await self.faults.before_commit(name)
        value = self.store.undo.transact(work)
        await self.faults.after_commit(name)
        return value

    def _check_reach(self) -> None:
        """Asked before each question to the ledger."""
        self.faults.check_reach()

    def _moment(self) -> datetime:
        """The instant by which leases count and readings are in order."""
        return values.instant((self.store.clock or self._clock).now())

    def _may_act(self, node: str) -> bool:
        """Whether `node` was not retired: a life that others hold for dead claims nothing."""
        return not self._joined or self._lives_on(node)

    def _lives_on(self, node: str) -> bool:
        found = self.store.nodes.get(node)
        return found is not None and found.gone_at is None

    def _is_orphaned(
        self, holder: str | None, node: str, key: str, known: Collection[str] | None
    ) -> bool:
        """Whether `holder` names neither `node` nor any other life that goes on, or names
        `node`, which does not have `key` among what is `known` to it."""
        if holder == node:
            return known is not None and key not in known
        return holder is None or not self._lives_on(holder)

    def _held(self, run: Run) -> RunRow | None:
        """The row of a run that is running under its term, or None."""
        row = self.store.runs.get(run.run_id)
        if row is None or (row.run.status, row.run.term) != (RunStatus.RUNNING, run.term):
            return None
        return row

    def _require_held(self, run_id: str, term: int) -> None:
        """Raise ConflictError (`fenced`) unless the run is running under `term`."""
        row = self._require_run(run_id)
        if (row.run.status, row.run.term) != (RunStatus.RUNNING, term):
            text = f"{run_id} has ended or was taken over by another node"
            raise ConflictError(text, code="fenced")

    def _require_run(self, run_id: str) -> RunRow:
        row = self.store.runs.get(run_id)
        if row is None:
            raise NotFoundError(f"no run {run_id}", code="run_not_found")
        return row
