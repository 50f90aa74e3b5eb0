"""`ops spend`."""

from amodal_rt.cli import output as codes
from amodal_rt.cli import table
from amodal_rt.cli.verbs.door import Document, Door, wanted

_MONEY = ("Cost", "Requests", "Tokens in", "Tokens out", "Unpriced")


def show(door: Door, *, days: int, by: str, automation: str | None) -> int:
    """What models cost, and how the budgets of today stand."""
    found = door.daemon.get("/v1/spend", wanted(days=days, by=by, automation=automation))
    if door.output.as_json:
        door.output.document(found)
        return codes.OK
    rows = [*found["rows"], {by: "total", **found["total"]}] if found["rows"] else []
    door.output.rows(
        rows,
        (by.capitalize(), *_MONEY),
        lambda row: (row[by], *_usage(row)),
        empty="Nothing was spent.",
    )
    for each in found["budgets"]:
        door.output.say(_budget(each))
    door.output.say(f"The day ends at {found['day_ends_at']}.")
    return codes.OK


def _usage(row: Document) -> tuple[str, ...]:
    return (
        table.dollars(row["cost_usd"]),
        f"{row['requests']:,}",
        f"{row['input_tokens']:,}",
        f"{row['output_tokens']:,}",
        f"{row['unpriced_tokens']:,}",
    )


def _budget(row: Document) -> str:
    """`today $4.02 of $5.00 (limits.maxCostUsdPerDay, amodal.json)`"""
    if row["measure"] == "cost_usd":
        said = f"{table.dollars(row['spent'])} of {table.dollars(row['limit'])}"
    else:
        said = f"{row['spent']:,} of {row['limit']:,} {row['measure'].replace('_', ' ')}"
    over = ", spent" if row["is_spent"] else ""
    whose = f"{row['automation']}: " if row["automation"] else ""
    return f"{whose}today {said} ({row['rule']}){over}"
