"""Verbs about the daemons that share a ledger."""

from amodal_rt.clock import iso
from amodal_rt.domain.node import NodeRecord
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import Caller, NodeLedger

LIVING, GONE = "living", "gone"


class Nodes:
    """Which daemons live, and what each carries."""

    def __init__(self, ledger: NodeLedger) -> None:
        self._ledger = ledger

    async def list_all(self, caller: Caller) -> list[Document]:
        """The living, then those gone within a day, newest first."""
        return [_document(each) for each in await self._ledger.list_nodes()]


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
