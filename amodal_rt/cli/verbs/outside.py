"""`ops deliveries|events|connections|stores …`."""

import json

from amodal_rt.cli import output as codes
from amodal_rt.cli import table
from amodal_rt.cli.verbs import catalogue
from amodal_rt.cli.verbs.door import Document, Door, wanted

_DELIVERIES = (
    "Delivery",
    "Run",
    "Automation",
    "Kind",
    "Target",
    "Status",
    "Tries",
    "Next",
    "Error",
)
_EVENTS = ("Event", "Received", "Type", "Source", "Runs")
_REJECTED = ("At", "Automation", "Endpoint", "Reason")
_CONNECTIONS = ("Name", "Protocol", "Base URL", "State")
_TOOLS = ("Tool", "Intent", "State", "Rule", "Description")
_STORES = ("Name", "Values", "Description")
_ITEMS = ("Key", "Updated", "Run", "Value")


def list_deliveries(door: Door, *, status: str | None, limit: int) -> int:
    """Messages owed, sent and given up."""
    rows = door.daemon.get("/v1/deliveries", wanted(status=status, limit=limit))
    return door.output.rows(
        rows,
        _DELIVERIES,
        lambda row: (
            row["delivery_id"],
            table.text(row["run_id"]),
            table.text(row["automation"]),
            row["kind"],
            row["target"],
            row["status"],
            str(row["attempts"]),
            table.instant(row["next_attempt_at"]),
            table.text(row["last_error"]),
        ),
        empty="No deliveries.",
    )


def show_delivery(door: Door, delivery_id: str) -> int:
    """One message with its body."""
    found = door.daemon.get(f"/v1/deliveries/{delivery_id}")
    return _document(door, found)


def retry_delivery(door: Door, delivery_id: str) -> int:
    """Send a dead, expired or suppressed message again, now."""
    found = door.daemon.post(f"/v1/deliveries/{delivery_id}/retry")
    return door.output.answer(found, f"{found['delivery_id']} to {found['target']} is due now")


def retry_deliveries(door: Door, *, since: str, target: str | None) -> int:
    """Send again, now, everything that died or expired since then."""
    found = door.daemon.post("/v1/deliveries/retry", wanted(since=since, target=target))
    if door.output.as_json:
        door.output.document(found)
    for each in found:
        door.output.say(f"{each['delivery_id']} to {each['target']} is due now")
    if not found:
        door.output.say("Nothing died or expired since then.")
    return codes.OK


def list_events(
    door: Door, *, limit: int, rejected: bool, automation: str | None, type: str | None = None
) -> int:
    """Events with the runs that they led to, or the requests that were refused."""
    params = wanted(limit=limit, automation=automation, type=type, rejected=1 if rejected else None)
    rows = door.daemon.get("/v1/events", params)
    if rejected:
        return door.output.rows(rows, _REJECTED, _refused, empty="No request was refused.")
    return door.output.rows(rows, _EVENTS, _event, empty="No events yet.")


def _refused(row: Document) -> tuple[str, ...]:
    return (
        table.instant(row["at"]),
        table.text(row["automation"]),
        row["endpoint"],
        row["reason"],
    )


def _event(row: Document) -> tuple[str, ...]:
    at = table.instant(row["received_at"])
    return row["event_id"], at, row["type"], row["source"], _runs(row)


def _runs(row: Document) -> str:
    shown = [
        f"{run['run_id']} {run['status']}" + (f"/{run['reason']}" if run["reason"] else "")
        for run in row["runs"]
    ]
    return ", ".join(shown) or "-"


def show_event(door: Door, event_id: str, *, cloudevents: bool = False) -> int:
    """One event with its data, or as a CloudEvent; a type of event for the name of one."""
    if not event_id.startswith("evt_"):
        return catalogue.show_type(door, event_id)
    params = wanted(cloudevents=1 if cloudevents else None)
    return _document(door, door.daemon.get(f"/v1/events/{event_id}", params))


def list_connections(door: Door) -> int:
    """The connections of the workspace."""
    rows = door.daemon.get("/v1/connections")
    return door.output.rows(
        rows,
        _CONNECTIONS,
        lambda row: (
            row["name"],
            row["protocol"],
            table.text(row.get("base_url")),
            table.text(row.get("state")),
        ),
        empty="No connections: see connections/ in the docs.",
    )


def list_tools(door: Door, name: str) -> int:
    """What a connection offers, each read, write or unknown, and the rule that says so."""
    rows = door.daemon.get(f"/v1/connections/{name}/tools")
    return door.output.rows(
        rows,
        _TOOLS,
        lambda row: (
            row["name"],
            row["intent"],
            table.text(row.get("state")),
            table.text(row.get("rule")),
            table.text(row.get("description")),
        ),
        empty=f"{name} offers no tools.",
    )


def approve_tools(door: Door, name: str, tools: list[str]) -> int:
    """Let tools that changed or are new be called as they are now."""
    body: Document = {"tools": tools} if tools else {}
    found = door.daemon.post(f"/v1/connections/{name}/approve", body)
    if door.output.as_json:
        door.output.document(found)
    approved = ", ".join(found["approved"])
    door.output.say(f"{name}: " + (f"approved {approved}" if approved else "nothing to approve"))
    return codes.OK


def test_connection(door: Door, name: str) -> int:
    """One read through the connection; fails when it does not answer."""
    found = door.daemon.post(f"/v1/connections/{name}/test")
    if door.output.as_json:
        door.output.document(found)
    door.output.say(
        f"{name}: {'ok' if found['ok'] else 'failed'}: {table.text(found.get('detail'))}"
    )
    if found.get("hint"):
        door.output.remark(f"hint: {found['hint']}")
    return codes.OK if found["ok"] else codes.FAILED


def list_stores(door: Door, name: str | None, *, limit: int) -> int:
    """The stores, or the newest values of one."""
    path = "/v1/stores" if name is None else f"/v1/stores/{name}"
    rows = door.daemon.get(path, None if name is None else wanted(limit=limit))
    if name is None:
        return door.output.rows(rows, _STORES, _store, empty="No stores.")
    return door.output.rows(rows, _ITEMS, _item, empty=f"{name} is empty.")


def _store(row: Document) -> tuple[str, ...]:
    return row["name"], str(row["count"]), table.text(row.get("description"))


def _item(row: Document) -> tuple[str, ...]:
    return (
        row["key"],
        table.instant(row["updated_at"]),
        table.text(row["run_id"]),
        json.dumps(row["value"]),
    )


def _document(door: Door, found: Document) -> int:
    if door.output.as_json:
        door.output.document(found)
    else:
        door.output.say(json.dumps(found, indent=2, ensure_ascii=False))
    return codes.OK
