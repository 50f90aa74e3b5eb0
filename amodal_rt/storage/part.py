"""What every part of the ledger stands on."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, or_, select

from amodal_rt.clock import Clock, to_millis
from amodal_rt.ids import Ids
from amodal_rt.storage import tables
from amodal_rt.storage.acceptance import Acceptance
from amodal_rt.storage.admission import Admission
from amodal_rt.storage.database import Database

_NODES = tables.nodes.c


class Part:
    """One port's share of the ledger. All parts of a ledger share these.

    Claims stand under `_node`, the life that `join` began; before it, under a life of its
    own that no table knows, so that a ledger can be used without joining.
    """

    def __init__(self, database: Database, clock: Clock, admission: Admission, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._admission = admission
        self._acceptance = Acceptance(admission)
        self._ids = ids
        self._node = ids.node()
        self._lives = {self._node}
        self._joined = False

    def _may_act(self, connection: Connection, node: str) -> bool:
        """Whether `node` was not retired: a life that others hold for dead claims nothing."""
        if not self._joined:
            return True
        query = select(_NODES.id).where(_NODES.id == node, _NODES.gone_at.is_(None))
        return connection.execute(query).first() is not None

    def _moment(self, connection: Connection) -> int:
        """The instant by which leases count and readings are in order, in milliseconds: the
        database's own clock where several machines share it."""
        del connection
        return to_millis(self._clock.now())


def is_orphaned(
    holder: ColumnElement[str | None],
    node: str,
    key: ColumnElement[str],
    known: Collection[str] | None,
) -> ColumnElement[bool]:
    """Whether `holder` names neither `node` nor any other life that goes on, or names `node`,
    which does not have `key` among what is `known` to it."""
    living = select(_NODES.id).where(_NODES.gone_at.is_(None))
    left = or_(holder.is_(None), (holder != node) & holder.not_in(living))
    if known is None:
        return left
    return or_(left, (holder == node) & key.not_in(sorted(known)))
