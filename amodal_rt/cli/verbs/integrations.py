"""`ops integrations …`."""

from amodal_rt.cli import output as codes
from amodal_rt.cli.verbs.door import Door

_INTEGRATIONS = ("Name", "Provider", "State", "URL")


def list_integrations(door: Door) -> int:
    """Where each provider sends."""
    rows = door.daemon.get("/v1/integrations")
    if door.output.as_json:
        door.output.document(rows)
        return codes.OK
    cells = [
        (
            row["name"],
            row["provider"],
            f"{row['state']}: {', '.join(row['unset'])}" if row["unset"] else row["state"],
            (row["url"] or "") + (" (local only)" if row["local_only"] and row["url"] else ""),
        )
        for row in rows
    ]
    empty = "No integrations: integrations/<name>.json makes one."
    door.output.table(_INTEGRATIONS, cells, empty=empty)
    return codes.OK
