"""A provider that was asked too much slows the automations that ask it, and no others."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from agent_house import AgentHouse, journal_of, request
from workflow_house import WorkflowHouse, chain, node

from amodal_rt import Runtime
from amodal_rt.client import find_client
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome, Waiting
from amodal_rt.domain.run import RunStatus
from amodal_rt.domain.workspace import ProviderType
from amodal_rt.ports import RunContext
from amodal_rt.testing.model_server import ModelServer, Turn

TOO_MUCH = Turn(status=429, error="slow down", headers={"Retry-After": "30"})


async def _goes_on(house: AgentHouse, context: RunContext, waiting: Waiting) -> RunContext:
    """The run, parked and claimed again when it is due."""
    assert waiting.until is not None
    assert await house.ledger.park(context.run, waiting, at=house.clock.now())
    early = waiting.until - timedelta(seconds=1)
    assert await house.ledger.claim(limit=1, overall=9, now=early) == []
    [run] = await house.ledger.claim(limit=1, overall=9, now=waiting.until)
    return replace(context, run=run, journal=journal_of(house, run))


@pytest.mark.parametrize("kind", [ProviderType.OPENAI_COMPATIBLE, ProviderType.ANTHROPIC])
async def test_a_run_waits_outside_its_slot_as_long_as_its_provider_says(
    house: AgentHouse, kind: ProviderType
) -> None:
    house.settings["providers"] = {"local": house.provider("local", kind)}
    house.rest()
    house.model.script(Turn(calls=[request("GET", "/deals")]), TOO_MUCH, Turn(text="back"))
    context, now = await house.context(), house.clock.now()

    waiting = await house.executor.execute(context)

    assert isinstance(waiting, Waiting)
    assert waiting.until
    assert timedelta(seconds=28) < waiting.until - now < timedelta(seconds=40)
    # Nobody asked twice within the slot, and no step is done again afterwards.
    assert len(house.model.requests) == 2
    ended = await house.executor.execute(await _goes_on(house, context, waiting))
    assert isinstance(ended, Outcome)
    assert (ended.status, ended.text) == (RunStatus.COMPLETED, "back")
    assert (len(house.model.requests), len(house.service.requests)) == (3, 1)
    house.entries = await house.ledger.entries(context.run.run_id)
    [note] = house.of(EntryType.RUN_NOTE)
    assert "is over its rate limit or quota (HTTP 429)" in str(note.data["note"])


async def test_the_next_of_a_list_is_asked_and_then_asked_alone(house: AgentHouse) -> None:
    house.settings["model"] = ("local:small", "local:other")
    house.model.script(TOO_MUCH, Turn(text="other"), Turn(text="other again"))

    first, second = await house.run(), await house.run()

    assert [first.text, second.text] == ["other", "other again"]
    assert [each.model for each in house.model.requests] == ["small", "other", "other"]


async def test_a_run_whose_patience_is_over_fails_and_says_why(house: AgentHouse) -> None:
    context = await house.context()
    long_ago = house.clock.now() - timedelta(minutes=59, seconds=50)
    house.model.script(TOO_MUCH)

    ended = await house.executor.execute(
        replace(context, run=replace(context.run, started_at=long_ago))
    )

    assert isinstance(ended, Outcome)
    assert ended.status is RunStatus.FAILED
    assert "over its rate limit" in (ended.error or "")


@pytest.mark.parametrize("status", [401, 400])
async def test_other_refusals_end_the_run_at_once(house: AgentHouse, status: int) -> None:
    house.model.script(Turn(status=status))

    outcome = await house.run()

    assert (outcome.status, len(house.model.requests)) == (RunStatus.FAILED, 1)
    assert outcome.lasting


async def test_an_agent_of_a_workflow_waits_too(flows: WorkflowHouse) -> None:
    flows.model.script(TOO_MUCH)
    flow = chain({"kind": "trigger", "id": "start"}, node("agent", "think", prompt="Think."))

    waiting = await flows.go(await flows.context(flows.flow(flow)))

    assert isinstance(waiting, Waiting)


@pytest.fixture
async def quick() -> AsyncIterator[ModelServer]:
    async with ModelServer() as server:
        yield server


async def test_its_automations_wait_in_the_queue_and_the_others_run(
    tmp_path: Path, quick: ModelServer
) -> None:
    async with ModelServer() as slow, ModelServer() as told:
        slow.answer(lambda _: Turn(status=429, headers={"Retry-After": "600"}))
        _write_files(tmp_path, {"slow": slow, "quick": quick}, alerts=told.origin)
        async with Runtime(tmp_path) as runtime:
            first = await runtime.trigger("slow")
            await _until(runtime, first, lambda run: run["reason"] == "waiting")
            others = [await runtime.trigger("slow") for _ in range(3)]
            done = [await runtime.wait(await runtime.trigger("quick")) for _ in range(3)]
            late = [await runtime.run(each) for each in (first, *others)]
            why = await _why(tmp_path, "slow")
            for each in (first, *others):
                await runtime.cancel(each)

    assert [each["status"] for each in done] == ["completed"] * 3
    assert [each["status"] for each in late] == ["pending"] * 4
    assert len(slow.requests) == 1
    assert told.requests == []
    rules = {row["run_id"]: (row["waits_for"]["reason"], row["waits_for"]["rule"]) for row in why}
    limit = "the model slow:one is over its provider's limit until "
    assert rules[first][0] == "parked"
    assert limit in rules[first][1]
    assert {rules[each][0] for each in others} == {"provider_limit"}
    assert all(rules[each][1].startswith(limit) for each in others)


async def _until(runtime: Runtime, run_id: str, met: Any) -> None:
    async with asyncio.timeout(30):
        while not met(await runtime.run(run_id)):  # noqa: ASYNC110  another process's fact
            await asyncio.sleep(0.02)


async def _why(root: Path, name: str) -> list[dict[str, Any]]:
    client = find_client(root / ".amodal-rt", actor="ada")
    return await asyncio.to_thread(client.get, f"/v1/automations/{name}/why")


def _write_files(root: Path, models: dict[str, ModelServer], *, alerts: str) -> None:
    provider = {"type": "openai-compatible", "apiKey": "env:KEY"}
    target = {"type": "webhook", "url": alerts}
    files: dict[str, object] = {
        "amodal.json": {
            "providers": {
                name: {**provider, "baseUrl": server.openai_url} for name, server in models.items()
            },
            "egress": {"allowPrivate": ["127.0.0.0/8"]},
            # One slot for all: a run that held it while it waits would hold everybody up.
            "limits": {"concurrency": 1},
            "alerts": {"targets": [target]},
        }
    }
    for name in models:
        files[f"automations/{name}.json"] = {
            "title": name, "prompt": "x", "model": f"{name}:one",
            "failureAlert": {"targets": [target]},
        }  # fmt: skip
    for name, document in files.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(document))
    (root / ".env").write_text("KEY=key-of-the-models\n")
    (root / ".env").chmod(0o600)
