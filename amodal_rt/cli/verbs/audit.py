"""The record, in lines for people."""

from collections.abc import Mapping
from typing import Any

from amodal_rt.cli import output as codes
from amodal_rt.cli import table
from amodal_rt.cli.output import Output
from amodal_rt.cli.verbs.door import Document

_HEADS = ("At", "What", "Subject", "Who", "Door", "Detail")
_TOLD = ("tool", "request", "mcp_tool", "connection", "reason", "error", "note", "status", "name")
_LONGEST = 60


def show_trail(output: Output, rows: list[Document]) -> int:
    """Who did what, newest first."""
    return output.rows(
        rows,
        _HEADS,
        lambda row: (
            table.instant(row["at"]),
            row["action"],
            row["subject"] + (f" {row['step']}" if row["step"] else ""),
            row["actor"],
            row["door"],
            _detail(row["data"]),
        ),
        empty="Nothing is on record.",
    )


def _detail(data: Mapping[str, Any]) -> str:
    said = [str(data[key]) for key in _TOLD if isinstance(data.get(key), str)]
    words = " ".join(" ".join(said).split())
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"


def show_verdict(output: Output, found: Document) -> int:
    """What a look at the whole record found."""
    if output.as_json:
        output.document(found)
    for each in found["misfits"]:
        of_run = f" (of {each['run_id']})" if each["run_id"] not in (None, each["id"]) else ""
        output.say(f"{each['table']} {each['id']}{of_run}: {each['what']}")
    more = found["wrong"] - len(found["misfits"])
    if more > 0:
        output.say(f"and {more} more")
    trail, runs = found["trail"], found["runs"]
    output.say(
        f"{trail['rows']} acts, {runs['sealed']} runs that ended, {runs['open']} that have not, "
        f"{found['journal']['entries']} entries of journals, "
        f"{found['deliveries']['sealed']} messages sent or given up"
    )
    if runs["forgotten"]:
        output.say(f"{runs['forgotten']} sealed runs were forgotten by limits.history")
    before = trail["before_the_chain"], runs["before_the_chain"]
    if any(before):
        output.say(f"from before the chain began, unproven: {before[0]} acts, {before[1]} runs")
    output.say(f"head {found['head']}")
    if found["wrong"]:
        output.remark("the record was changed after it was written")
        return codes.FAILED
    output.say("every row stands as it was written" + _so_far(found))
    return codes.OK


def _so_far(found: Document) -> str:
    if found["head_compared"]:
        return ", and the head that was kept is in it"
    return "; keep the head elsewhere, and compare with --head: only that shows a cut-off end"
