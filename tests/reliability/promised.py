"""What a full run must have done at least, and what it may not have found at all."""

from collections.abc import Iterator, Mapping
from typing import Any

AT_LEAST: Mapping[str, Mapping[str, int]] = {
    "crash": {"kills": 100, "acks": 20_000, "stops": 50, "failpoint_pairs": 200},
    "simulation": {"simulated_months": 2_000},
    "cluster": {"nodes_killed": 10, "nodes_paused": 5, "nodes_cut": 3, "database_restarts": 5},
    "time": {"zones": 60, "expressions": 8},
    "clock": {"clock_jumps": 12},
    "hostile": {"fuzz_executions": 1_000_000},
    "mutants": {"bugs_planted": 12},
}
"""By layer, for the full form."""

NONE = (
    "lost", "doubled", "false_acks", "integrity_failures", "double_starts", "limits_exceeded",
    "lost_slots", "doubled_slots", "mismatches", "violations", "fuzz_crashes", "clock_doubled",
    "steps_repeated", "limit_excess", "missing", "backups_lost",
)  # fmt: skip
"""Figures that are faults of the program: each is 0 wherever it is counted."""


def shortfalls(document: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each promise that the figures of a full run do not keep."""
    layers = document["layers"]
    for layer, wanted in AT_LEAST.items():
        for name, least in wanted.items():
            found = layers.get(layer, {}).get(name, 0)
            if found < least:
                yield f"{layer}: {name} is {found}, and {least} were promised"
    for name in NONE:
        if document["figures"].get(name, 0):
            yield f"{name} is {document['figures'][name]}"
    for name in ("failed", "error", "skipped"):
        if document["tests"].get(name, 0):
            yield f"{document['tests'][name]} tests {name}"
