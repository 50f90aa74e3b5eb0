"""`ops events emit|replay` and `amodal-rt tokens …`."""

from collections.abc import Sequence

from amodal_rt.cli import output as codes
from amodal_rt.cli import table
from amodal_rt.cli.verbs.door import Document, Door

_TOKENS = ("Name", "Scopes", "Created", "By", "Revoked", "Id")


def emit(door: Door, type: str, *, data: object, subject: str | None, source: str | None) -> int:
    """Say that something happened."""
    said: Document = {"type": type, "data": data, "subject": subject, "source": source}
    found = door.daemon.post("/v1/events", said)
    if door.output.as_json:
        door.output.document(found)
    door.output.say(f"{found['event_id']} {found['status']}")
    return _runs(door, found["runs"])


def replay(door: Door, event_id: str, *, again: bool) -> int:
    """Start what an event starts by the files of now."""
    found = door.daemon.post(f"/v1/events/{event_id}/replay", {"again": again})
    if door.output.as_json:
        door.output.document(found)
    if again:
        door.output.say(f"{found['event_id']} is a replay of {event_id}")
    return _runs(door, found["runs"])


def create_token(door: Door, name: str, *, scopes: Sequence[str]) -> int:
    """A new token; its secret is printed this once."""
    found = door.daemon.post("/v1/tokens", {"name": name, "scopes": list(scopes)})
    if door.output.as_json:
        door.output.document(found)
        return codes.OK
    door.output.say(found["secret"])
    door.output.remark(
        f"the token {found['name']} ({', '.join(found['scopes'])}) is shown this once: keep it now"
    )
    return codes.OK


def list_tokens(door: Door) -> int:
    """All tokens, without their secrets."""
    rows = door.daemon.get("/v1/tokens")
    return door.output.rows(
        rows,
        _TOKENS,
        lambda row: (
            row["name"],
            ", ".join(row["scopes"]),
            table.instant(row["created_at"]),
            row["created_by"],
            table.instant(row["revoked_at"]),
            row["token_id"],
        ),
        empty="No tokens.",
    )


def revoke_token(door: Door, name: str) -> int:
    """End a token, at once."""
    found = door.daemon.post(f"/v1/tokens/{name}/revoke")
    return door.output.answer(found, f"the token {found['name']} opens nothing any more")


def _runs(door: Door, runs: Sequence[Document]) -> int:
    for run in runs:
        reason = f"/{run['reason']}" if run["reason"] else ""
        door.output.say(f"  {run['run_id']} {run['automation']} {run['status']}{reason}")
    if not runs:
        door.output.say("  no automation wants it")
    return codes.OK
