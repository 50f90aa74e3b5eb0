"""The last line of a run that somebody waited for: how it ended, and what it used."""

from pathlib import Path
from typing import Any

import pytest

from amodal_rt.cli.output import Output
from amodal_rt.cli.verbs import runs
from amodal_rt.cli.verbs.door import Door
from amodal_rt.client import Client

RUN: dict[str, Any] = {
    "run_id": "run_1", "status": "completed", "reason": None, "error": None, "result": None,
    "duration_seconds": 1.1, "deliveries": [],
}  # fmt: skip


def _door() -> Door:
    """To no daemon: what is shown is there already."""
    return Door(Client(Path("/none"), actor="ada"), Output())


def test_what_scripts_printed_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    facts = dict.fromkeys(("scheduled_for", "started_at", "finished_at", "model", "requester"))
    told = {"automation": "a", "title": "A", "trigger": "manual", "attempt": 1, **facts}
    result = {"text": "42", "payload": None, "output": ["one", "two"]}
    created = {"created_at": "2026-03-02T08:00:00Z"}

    runs.show_run(_door(), {**RUN, **told, **created, "result": result}, brief=False)

    assert capsys.readouterr().out.endswith("  result\n42\n  output\none\ntwo\n")


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

    runs.show_run(_door(), {**RUN, "usage": usage}, brief=True)

    assert capsys.readouterr().out.strip() == said
