"""`ops integrations …`."""

from amodal_rt.cli.verbs.door import Document, Door

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
            _state(row),
            (row["url"] or "") + (" (local only)" if row["local_only"] and row["url"] else ""),
        ),
        empty="No integrations: integrations/<name>.json makes one.",
    )


def _state(row: Document) -> str:
    if not row["unset"]:
        return str(row["state"])
    unset = ", ".join(row["unset"])
    # While a secret is rotated, one that is not there yet keeps nothing up.
    return f"ready, without {unset}" if row["state"] == "ready" else f"{row['state']}: {unset}"
