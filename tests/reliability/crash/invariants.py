"""What must hold after every fault. Reads the client's history, the ledger's file and what
reached the services; knows nothing of the program's code.

Numbers are those of the list in docs/explanation/reliability.md.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

Row = dict[str, Any]
TERMINAL = {"completed", "failed", "cancelled", "skipped"}
SETTLED = {"delivered", "dead", "expired", "suppressed"}
RESULTS = {"hook": 2, "writer": 1, "tools": 1, "flaky": 1}
"""How many targets each automation of the story delivers a completed run's result to."""
ALERTING = {"writer", "tools", "broken"}
VOLATILE = {"nodes", "conditions"}
"""Tables that say who lives now: every start changes them."""
PROOF = "written_at"
"""The fact that a daemon rewrites with each heartbeat, to see that the ledger takes it: the first
is due as soon as it has looked around, and a start on a slow machine lives to see that."""


def read_ledger(path: Path) -> dict[str, list[Row]]:
    """Every table's rows; of SQLite's own checks what they find wrong, as `integrity`."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
        ledger.row_factory = sqlite3.Row
        names = [
            name
            for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not name.startswith("sqlite_")
        ]
        tables = {
            name: [dict(row) for row in ledger.execute(f"SELECT * FROM {name}")] for name in names
        }
        wrong = [dict(row) for row in ledger.execute("PRAGMA integrity_check")]
        tables["integrity"] = [row for row in wrong if set(row.values()) != {"ok"}]
        tables["integrity"] += [dict(row) for row in ledger.execute("PRAGMA foreign_key_check")]
    return tables


def violations(
    history: Sequence[Mapping[str, Any]],
    tables: Mapping[str, list[Row]],
    arrived: Sequence[Mapping[str, Any]],
    *,
    slot_ms: int,
    promised: bool,
    deaths: int,
) -> list[str]:
    """A sentence for each promise that does not hold."""
    runs = {row["id"]: row for row in tables["runs"]}
    return [
        *_acknowledged(history, tables, runs),
        *_once(tables),
        *_ended(tables),
        *_ordered(tables),
        *_slots(tables, slot_ms, promised=promised),
        *_owed(tables, runs),
        *_written_once(arrived, tables),
        *_sent(tables, arrived, deaths),
        *(f"I10 the file is damaged: {row}" for row in tables["integrity"]),
    ]


def changed(before: Mapping[str, list[Row]], after: Mapping[str, list[Row]]) -> list[str]:
    """I11: a start that finds nothing to recover changes nothing."""
    return [
        f"I11 {name} changed in a start with nothing to do"
        for name in sorted(before.keys() - VOLATILE)
        if _lasting(before[name]) != _lasting(after[name])
    ]


def _lasting(rows: list[Row]) -> list[Row]:
    """Without the proof of the last heartbeat, in a table of facts."""
    return [row for row in rows if row.get("key") != PROOF]


def leaked(folder: Path, canaries: Sequence[str]) -> list[str]:
    """I12: no secret in what the daemon writes."""
    files = [*folder.glob("*.log"), *(folder / "w" / ".amodal-rt").iterdir()]
    return [
        f"I12 a secret stands in {path.name}"
        for path in files
        if path.is_file() and any(each.encode() in path.read_bytes() for each in canaries)
    ]


def _acknowledged(
    history: Sequence[Mapping[str, Any]], tables: Mapping[str, list[Row]], runs: Mapping[str, Row]
) -> Iterator[str]:
    events = {row["id"] for row in tables["events"]}
    first: dict[tuple[str, str], str] = {}
    for each in history:
        if each["op"] != "webhook" or not each["ok"]:
            continue
        what = f"{each['automation']} {each['id']}"
        if each["event_id"] not in events or each["run_id"] not in runs:
            yield f"I1 lost: {what} was acknowledged and is not in the ledger"
        # Every answer to one id names the first one's run.
        if first.setdefault((each["automation"], each["id"]), each["run_id"]) != each["run_id"]:
            yield f"I2 doubled: {what} was acknowledged under two runs"


def _once(tables: Mapping[str, list[Row]]) -> Iterator[str]:
    events = Counter(
        (row["address"], row["delivery_id"]) for row in tables["events"] if row["delivery_id"]
    )
    yield from (
        f"I2 doubled: {count} events of {key}" for key, count in events.items() if count > 1
    )
    starts = Counter(
        (row["automation"], row["event_id"]) for row in tables["runs"] if row["event_id"]
    )
    yield from (f"I2 doubled: {count} runs of {key}" for key, count in starts.items() if count > 1)


def _ended(tables: Mapping[str, list[Row]]) -> Iterator[str]:
    for row in tables["runs"]:
        if row["status"] not in TERMINAL:
            yield f"I6 {row['id']} is {row['status']} with nobody to carry it"
        if row["status"] in {"failed", "skipped"} and not row["reason"]:
            yield f"I6 {row['id']} is {row['status']} without a reason"
    for row in tables["outbox"]:
        if row["status"] not in SETTLED:
            yield f"I6 {row['id']} is {row['status']} with nobody to send it"


def _ordered(tables: Mapping[str, list[Row]]) -> Iterator[str]:
    for row in tables["runs"]:
        times = [row[name] for name in ("created_at", "started_at", "finished_at") if row[name]]
        if times != sorted(times):
            yield f"I4 {row['id']} ended before it began: {times}"
        if row["resumes"] > 3:
            yield f"I4 {row['id']} was resumed {row['resumes']} times"
    entries: dict[str, list[Row]] = {}
    for row in tables["journal"]:
        entries.setdefault(row["run_id"], []).append(row)
    for run_id, rows in entries.items():
        rows.sort(key=lambda row: row["sequence"])
        if [row["sequence"] for row in rows] != list(range(1, len(rows) + 1)):
            yield f"I4 the journal of {run_id} has gaps"
        for name in ("at", "attempt"):
            values = [row[name] for row in rows]
            if values != sorted(values):
                yield f"I4 the journal of {run_id} goes back in {name}"


def _slots(tables: Mapping[str, list[Row]], slot_ms: int, *, promised: bool) -> Iterator[str]:
    rows = [row for row in tables["runs"] if row["scheduled_for"] is not None]
    found = Counter((row["automation"], row["scheduled_for"]) for row in rows)
    if found != {("slot", slot_ms): 1} and (promised or found):
        yield f"I5 one slot was due at {slot_ms}, and the ledger has {dict(found)}"


def _owed(tables: Mapping[str, list[Row]], runs: Mapping[str, Row]) -> Iterator[str]:
    owed = Counter((row["run_id"], row["kind"]) for row in tables["outbox"])
    for run in runs.values():
        wanted = RESULTS.get(run["automation"], 0) if run["status"] == "completed" else 0
        if owed[run["id"], "result"] != wanted:
            yield f"I7 {run['id']} owes {owed[run['id'], 'result']} results, not {wanted}"
    for name in ALERTING:
        failed = [run for run in runs.values() if run["automation"] == name
                  and run["status"] == "failed"]  # fmt: skip
        alerts = [row for row in tables["outbox"]
                  if row["automation"] == name and row["kind"] == "failure_alert"]  # fmt: skip
        if len(alerts) != min(1, len(failed)):
            yield f"I9 {name} failed {len(failed)} times and alerted {len(alerts)} times"


def _written_once(
    arrived: Sequence[Mapping[str, Any]], tables: Mapping[str, list[Row]]
) -> Iterator[str]:
    writes = Counter(each["key"] for each in arrived if each.get("key"))
    yield from (
        f"a write was repeated: {count} times under {key}"
        for key, count in writes.items()
        if count > 1
    )
    done = Counter(
        json.loads(row["data"])["idempotency_key"]
        for row in tables["journal"]
        if row["type"] == "write.started"
    )
    yield from (f"{key} reached a service unannounced" for key in writes if key not in done)
    yield from (f"{key} was begun {count} times" for key, count in done.items() if count > 1)


def _sent(
    tables: Mapping[str, list[Row]], arrived: Sequence[Mapping[str, Any]], deaths: int
) -> Iterator[str]:
    received = Counter(each["message"] for each in arrived if each.get("message"))
    for row in tables["outbox"]:
        if row["status"] == "delivered" and not received[row["id"]]:
            yield f"I7 {row['id']} is on record as delivered and never arrived"
        # At most one copy more for each crash; what was answered 503 is counted apart.
        if received[row["id"]] > 2 + deaths:
            yield f"I7 {row['id']} arrived {received[row['id']]} times over {deaths} deaths"
    strangers = received.keys() - {row["id"] for row in tables["outbox"]}
    yield from (f"I7 {each} arrived and is not in the outbox" for each in strangers)
