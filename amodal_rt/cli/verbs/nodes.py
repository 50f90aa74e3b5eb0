"""`ops nodes …`."""

from amodal_rt.cli import table
from amodal_rt.cli.verbs.door import Door, wanted

_NODES = ("Node", "Host", "Pid", "Version", "Started", "Seen", "Status", "Running")


def list_nodes(door: Door, *, everything: bool) -> int:
    """The daemons that share the ledger."""
    rows = door.daemon.get("/v1/nodes", wanted(all=1 if everything else None))
    return door.output.rows(
        rows,
        _NODES,
        lambda row: (
            row["node_id"],
            row["host"],
            str(row["pid"]),
            row["version"],
            table.instant(row["started_at"]),
            table.instant(row["seen_at"]),
            row["status"],
            str(row["running"]),
        ),
        empty="No nodes.",
    )
