"""`ops integrations …`."""

from amodal_rt.cli.verbs.door import Door

_INTEGRATIONS = ("Name", "Provider", "State", "URL")


def list_integrations(door: Door) -> int:
    """Where each provider sends."""
    rows = door.daemon.get("/v1/integrations")
    return door.output.rows(
        rows,
        _INTEGRATIONS,
        lambda row: (
            row["name"],
            row["provider"],
            f"{row['state']}: {', '.join(row['unset'])}" if row["unset"] else row["state"],
            (row["url"] or "") + (" (local only)" if row["local_only"] and row["url"] else ""),
        ),
        empty="No integrations: integrations/<name>.json makes one.",
    )
