"""A run's journal in words."""

from typing import Any

import pytest

from amodal_rt.cli.verbs.journal import sentence


@pytest.mark.parametrize(
    ("type", "data", "told"),
    [
        (
            "gate.finished",
            {"open": False, "rule": "when: GET /x is as the last completed run saw it"},
            "gate.finished when: GET /x is as the last completed run saw it",
        ),
        ("gate.failed", {"error": "when: no answer"}, "gate.failed   when: no answer"),
        ("run.started", None, "run.started"),
    ],
)
def test_an_entry_is_one_line(type: str, data: dict[str, Any] | None, told: str) -> None:
    assert sentence({"type": type, "data": data}) == told
