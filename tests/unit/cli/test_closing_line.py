"""The last line of a run that somebody waited for: how it ended, and what it used."""

from typing import Any

import pytest

from amodal_rt.cli.output import Output
from amodal_rt.cli.verbs import runs
from amodal_rt.cli.verbs.door import Door

RUN: dict[str, Any] = {
    "run_id": "run_1", "status": "completed", "reason": None, "error": None, "result": None,
    "duration_seconds": 1.1, "deliveries": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("tokens", "cost", "said"),
    [
        (0, None, "completed in 1.1 s, 0 tokens"),
        (0, 0.0, "completed in 1.1 s, 0 tokens"),
        (18, None, "completed in 1.1 s, 18 tokens"),
        (1_018, 0.0031, "completed in 1.1 s, 1018 tokens, $0.0031"),
        (0, 0.25, "completed in 1.1 s, $0.25"),
    ],
)
def test_what_it_cost_is_said_and_no_tokens_that_nobody_counted(
    capsys: pytest.CaptureFixture[str], tokens: int, cost: float | None, said: str
) -> None:
    usage = {"input_tokens": tokens, "output_tokens": 0, "cost_usd": cost, "turns": 1}

    runs.show_run(Door(None, Output()), {**RUN, "usage": usage}, brief=True)  # pyright: ignore[reportArgumentType]

    assert capsys.readouterr().out.strip() == said
