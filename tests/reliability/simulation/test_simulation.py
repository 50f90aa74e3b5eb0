"""Months of daemons in virtual time: no slot lost or doubled, no limit passed, no run left.

A seed draws one to three nodes, two to four automations, and what goes wrong: kills (also
during recovery), pauses beyond the lease, a ledger out of reach, a turned clock, a machine that
sleeps, automations paused and edited, bursts of duplicates. A seed that fails is lived through
again with `AMODAL_RT_SIMULATED_SEED=N`.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from figures import Figures
from scale import scaled
from sim_life import Report, live_in_memory, live_on_sqlite

DAYS = 30
MEMORY_SEEDS = scaled(ci=140, full=2_000, soak=200_000)
SQLITE_SEEDS = scaled(ci=6, full=60, soak=2_000)
SQLITE_DAYS = 10
PARTS = 4
ONLY = "AMODAL_RT_SIMULATED_SEED"


def lived(base: int, many: int, live: Callable[[int], Report], figures: Figures) -> None:
    """Live through the seeds from `base` on; fail with all that went wrong in the first bad one."""
    figures.add("lost_slots", 0)
    figures.add("doubled_slots", 0)
    seeds = [int(os.environ[ONLY])] if ONLY in os.environ else range(base, base + many)
    for seed in seeds:
        report = live(seed)
        for name, count in report.figures.items():
            figures.add(name, count)
        again = f"{ONLY}={seed} python -m pytest tests/reliability/simulation"
        assert not report.wrong, "\n".join([again, *report.wrong[:20]])
    days = figures.counts.pop("simulated_days")
    figures.add("simulated_months", days // DAYS)


@pytest.mark.parametrize("part", range(PARTS))
def test_months_of_nodes_on_one_ledger(part: int, seed: int, figures: Figures) -> None:
    base = seed % 1_000_000_000
    lived(base, MEMORY_SEEDS // PARTS, lambda each: live_in_memory(each, DAYS), figures)


def test_weeks_of_a_daemon_on_sqlite(seed: int, figures: Figures, scene: Path) -> None:
    def live(each: int) -> Report:
        folder = scene / str(each)
        folder.mkdir()
        return live_on_sqlite(each, folder, SQLITE_DAYS)

    lived(seed % 1_000_000_000, SQLITE_SEEDS, live, figures)
