"""A million hostile inputs: each is answered, quickly, or refused with a declared error."""

import random
import time

import pytest
from figures import Figures
from mutations import Mutator
from scale import scaled
from targets import DECLARED, TARGETS, Target

SLOWEST_SECONDS = 3.0
"""Of one input on a loaded machine: what takes longer grows faster than its input."""


def _shown(data: bytes) -> str:
    return repr(data if len(data) < 400 else data[:200] + b" ... " + data[-200:])


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_bytes_break_it(target: Target, rng: random.Random, figures: Figures) -> None:
    mutator = Mutator(rng, target.seeds)
    count = int(target.share * scaled(ci=0.34, full=1.0, soak=100.0))
    findings: list[str] = []
    refused, slowest, last = 0, 0.0, time.perf_counter()
    for _ in range(count):
        data = mutator.next()
        try:
            target.run(data)
        except DECLARED:
            refused += 1
        except Exception as error:  # noqa: BLE001  whatever it is, it is a finding
            findings.append(f"{type(error).__name__}: {error} for {_shown(data)}")
            if len(findings) >= 5:
                break
        now = time.perf_counter()
        if now - last > SLOWEST_SECONDS:
            findings.append(f"{now - last:.1f} s for {_shown(data)}")
        slowest, last = max(slowest, now - last), now
    figures.add("fuzz_executions", count)
    figures.add("fuzz_crashes", len(findings))
    figures.add("bad_inputs", refused)
    figures.note("slowest_input_ms", round(slowest * 1000))
    assert not findings, "\n".join(findings)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_the_good_examples_are_good(target: Target) -> None:
    """Guards the test above: damage to what is refused anyway would find nothing."""
    target.run(target.seeds[0])
