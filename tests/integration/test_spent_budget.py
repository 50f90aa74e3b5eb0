"""A whole daemon that has spent its budget, killed and started again, spends no more."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from daemon_child import Child, automation, daemon, eventually, write

from amodal_rt.testing.model_server import ModelServer, Turn


@pytest.fixture
async def model() -> AsyncIterator[ModelServer]:
    async with ModelServer() as made:
        yield made


def _ran(child: Child) -> dict[str, Any]:

    run_id = child.client.post("/v1/automations/look/trigger")["run_id"]

    def ended() -> dict[str, Any] | None:
        found = child.client.get(f"/v1/runs/{run_id}")
        return found if found["status"] not in ("pending", "running") else None

    return eventually(ended)


async def test_a_spent_budget_outlives_a_kill_and_says_which_line_would_change_it(
    tmp_path: Path, model: ModelServer
) -> None:

    root = tmp_path / "workspace"
    provider = {"type": "openai-compatible", "baseUrl": model.openai_url}
    write(
        root, "amodal.json",
        {
            "model": "local:small", "providers": {"local": provider},
            "prices": {"local:small": {"input": 0, "output": 1}},
            "limits": {"maxCostUsdPerDay": 0.5},
        },
    )  # fmt: skip
    automation(root, "look", connections=[])
    model.answer(lambda _: Turn(text="done", output_tokens=600_000))

    def whole() -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
        with daemon(root) as first:
            done = _ran(first)
            first.process.kill()
        with daemon(root) as second:
            stopped = _ran(second)
            why = second.client.get("/v1/automations/look/why")
            return done, stopped, why, second.client.get("/v1/spend", {"by": "model"})

    done, stopped, why, spend = await asyncio.to_thread(whole)

    assert (done["status"], done["usage"]["cost_usd"]) == ("completed", pytest.approx(0.6))
    assert (stopped["status"], stopped["reason"]) == ("failed", "budget_exceeded")
    assert "limits.maxCostUsdPerDay, amodal.json" in stopped["error"]
    assert why[0]["rule"] == stopped["error"]
    assert len(model.requests) == 1
    assert [(each["model"], each["requests"]) for each in spend["rows"]] == [("local:small", 1)]
    assert [each["is_spent"] for each in spend["budgets"]] == [True, False]
