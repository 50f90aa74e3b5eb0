"""Verbs about the daemons that share a ledger."""

from collections.abc import Iterable
from datetime import timedelta

from amodal_rt.clock import Clock, iso
from amodal_rt.domain.node import NodeRecord
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import Caller, NodeLedger

LIVING, GONE = "living", "gone"
RECENT = timedelta(hours=1)
"""How long a node that is gone is shown to whoever does not ask for all."""


class Nodes:
    """Which daemons live, and what each carries."""

    def __init__(self, ledger: NodeLedger, *, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock

    async def list_all(self, caller: Caller) -> list[Document]:
        """The living, then those gone within a day, newest first."""
        return _documents(await self._ledger.list_nodes())

    async def list_recent(self, caller: Caller) -> list[Document]:
        """The living, then those gone within the last hour, newest first: a daemon that is
        restarted again and again would bury the others."""
        since = self._clock.now() - RECENT
        nodes = await self._ledger.list_nodes()
        return _documents(each for each in nodes if each.gone_at is None or each.gone_at > since)


def _documents(nodes: Iterable[NodeRecord]) -> list[Document]:
    return [_document(each) for each in nodes]


def _document(node: NodeRecord) -> Document:
    return {
        "node_id": node.node_id,
        "host": node.host,
        "pid": node.pid,
        "version": node.version,
        "started_at": iso(node.started_at),
        "seen_at": iso(node.seen_at),
        "status": LIVING if node.gone_at is None else GONE,
        "running": node.running,
    }
