"""`ops nodes …`."""

from amodal_rt.cli import output as codes
from amodal_rt.cli import table
from amodal_rt.cli.verbs.door import Door

_NODES = ("Node", "Host", "Pid", "Version", "Started", "Seen", "Status", "Running")


def list_nodes(door: Door) -> int:
    """The daemons that share the ledger."""
    rows = door.daemon.get("/v1/nodes")
    if door.output.as_json:
        door.output.document(rows)
        return codes.OK
    cells = [
        (
            row["node_id"],
            row["host"],
            str(row["pid"]),
            row["version"],
            table.instant(row["started_at"]),
            table.instant(row["seen_at"]),
            row["status"],
            str(row["running"]),
        )
        for row in rows
    ]
    door.output.table(_NODES, cells, empty="No nodes.")
    return codes.OK
