"""Each provider's own wire format over a real socket."""

import json
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from agent_house import AgentHouse, calls_then_done, request
from aiohttp import web
from aiohttp.test_utils import TestServer

from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.run import FailedReason, RunStatus
from amodal_rt.domain.workspace import Provider, ProviderType
from amodal_rt.testing.model_server import Turn

PATHS = {
    ProviderType.OPENAI: ("openai", "/v1/chat/completions", "authorization"),
    ProviderType.OPENAI_COMPATIBLE: ("openai", "/v1/chat/completions", "authorization"),
    ProviderType.OLLAMA: ("openai", "/v1/chat/completions", "authorization"),
    ProviderType.ANTHROPIC: ("anthropic", "/v1/messages", "authorization"),
    ProviderType.GOOGLE: ("google", "/v1beta/models/small:generateContent", "x-goog-api-key"),
}


def _use(house: AgentHouse, *kinds: ProviderType) -> None:
    names = [f"p{place}" for place, _ in enumerate(kinds)]
    house.settings = {
        "model": tuple(f"{name}:small" for name in names),
        "providers": {
            name: house.provider(name, kind) for name, kind in zip(names, kinds, strict=True)
        },
    }


@pytest.mark.parametrize("kind", list(ProviderType))
async def test_every_provider_calls_a_tool_and_answers(
    house: AgentHouse, kind: ProviderType
) -> None:
    _use(house, kind)
    house.rest(surface="Deals: GET /deals")
    house.model.script(*calls_then_done(request("GET", "/deals")))

    outcome = await house.run(event={"note": "hello"})

    api, path, key_header = PATHS[kind]
    assert outcome.status is RunStatus.COMPLETED, outcome.error
    assert (outcome.text, outcome.model) == ("done", "p0:small")
    assert (outcome.usage.input_tokens, outcome.usage.output_tokens) == (22, 14)
    first, second = house.model.requests
    assert (first.api, first.path, first.model) == (api, path, "small")
    assert "key-canary-123456" in first.headers[key_header]
    assert "request" in first.tools
    assert "unattended automation" in first.system
    assert first.user.startswith("Do it.")
    assert "hello" in first.user
    assert "deal" in second.results[0]
    assert house.service.requests[0].path == "/deals"


@pytest.mark.parametrize("kind", list(ProviderType))
@pytest.mark.parametrize("status", [429, 503])
async def test_what_fails_in_passing_is_tried_again_inside_the_run(
    house: AgentHouse, kind: ProviderType, status: int
) -> None:
    _use(house, kind)
    house.model.script(Turn(status=status), Turn(text="back"))

    outcome = await house.run()

    assert (outcome.status, outcome.text) == (RunStatus.COMPLETED, "back")
    assert len(house.model.requests) == 2


@pytest.mark.parametrize("kind", list(ProviderType))
async def test_an_error_is_one_line_without_the_key(house: AgentHouse, kind: ProviderType) -> None:
    _use(house, kind)
    echo = "your key key-canary-123456\nis\x1b[31m bad"
    house.model.script(Turn(status=400, error=echo))

    outcome = await house.run()

    assert (outcome.status, outcome.reason) == (RunStatus.FAILED, FailedReason.ERROR)
    assert outcome.error
    assert "HTTP 400" in outcome.error
    assert outcome.error.isprintable()
    assert "canary" not in outcome.error + house.journal_text()
    assert house.types()[-1] == "turn.failed"


async def test_a_refused_key_is_named_and_nothing_the_provider_said(house: AgentHouse) -> None:
    house.model.script(Turn(status=401, error="Incorrect API key provided: key-can***456"))

    outcome = await house.run()

    assert outcome.error == "the model small's provider refused the key (HTTP 401)"


async def test_a_list_falls_through_at_once_and_says_who_served(house: AgentHouse) -> None:
    _use(house, ProviderType.ANTHROPIC, ProviderType.OPENAI_COMPATIBLE)
    house.model.script(Turn(status=503), Turn(text="second"))
    started = house.clock.monotonic()

    outcome = await house.run()

    assert (outcome.text, outcome.model) == ("second", "p1:small")
    assert [each.api for each in house.model.requests] == ["anthropic", "openai"]
    assert [each.data.get("model") for each in house.of(EntryType.TURN_FAILED)] == ["p0:small"]
    assert house.clock.monotonic() - started < 20


@pytest.mark.parametrize("kind", [ProviderType.OPENAI_COMPATIBLE, ProviderType.ANTHROPIC])
@pytest.mark.parametrize("answer", ["<html>login</html>", "{}", '{"choices": []}', "[]", "null"])
async def test_an_unreadable_answer_is_told_and_the_next_model_asked(
    house: AgentHouse, kind: ProviderType, answer: str
) -> None:
    """A proxy's login page, an overloaded gateway: success in its status, nothing in its body."""

    async def misspeak(request: web.Request) -> web.Response:
        kind = "text/html" if answer.startswith("<") else "application/json"
        return web.Response(text=answer, content_type=kind)

    async with TestServer(_app(misspeak)) as broken:
        _use(house, kind, ProviderType.OPENAI_COMPATIBLE)
        providers: dict[str, Provider] = house.settings["providers"]
        providers["p0"] = replace(providers["p0"], base_url=str(broken.make_url("/v1")))
        house.model.script(Turn(text="second"))

        outcome = await house.run()

    (failed,) = house.of(EntryType.TURN_FAILED)
    assert (outcome.text, outcome.model) == ("second", "p1:small")
    # One library refuses a page in words of its own, before this program sees it.
    assert re.search("unreadable answer|Expected a JSON response", str(failed.data["error"]))


def _app(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.Application:
    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    return app


@pytest.mark.parametrize("kind", [ProviderType.ANTHROPIC, ProviderType.GOOGLE, ProviderType.OPENAI])
async def test_an_answer_without_end_is_left_and_the_next_model_asked(
    house: AgentHouse, kind: ProviderType
) -> None:
    sent: list[int] = []

    async def babble(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        with suppress(ConnectionError):
            for _ in range(200):
                await answer.write(b" " * 1_048_576)
                sent.append(1)
        return answer

    async with TestServer(_app(babble)) as broken:
        _use(house, kind, ProviderType.OPENAI_COMPATIBLE)
        providers: dict[str, Provider] = house.settings["providers"]
        providers["p0"] = replace(providers["p0"], base_url=str(broken.make_url("/v1")))
        house.model.script(Turn(text="second"))

        outcome = await house.run()

    assert (outcome.text, outcome.model) == ("second", "p1:small"), outcome.error
    (failed,) = house.of(EntryType.TURN_FAILED)
    assert "longer than 16,777,216 bytes" in str(failed.data["error"])
    assert len(sent) < 100


async def test_when_none_answers_each_reason_is_told(house: AgentHouse) -> None:
    _use(house, ProviderType.OPENAI, ProviderType.GOOGLE)
    house.model.answer(lambda asked: Turn(status=404, error=f"no {asked.model} here"))

    outcome = await house.run()

    assert outcome.error
    assert outcome.error.count("HTTP 404") == 2
    assert "no small here" in outcome.error


async def test_a_connection_that_breaks_is_tried_again(house: AgentHouse) -> None:
    house.model.script(Turn(drop=True), Turn(text="back"))

    outcome = await house.run()

    assert outcome.text == "back"


async def test_usual_variables_are_enough_for_built_in_providers(house: AgentHouse) -> None:
    house.settings = {"models": {"smart": ("openai:small",)}}
    house.environment |= {"OPENAI_API_KEY": "o-key", "OPENAI_BASE_URL": house.model.openai_url}

    outcome = await house.run(house.automation(models=("smart",)))

    assert outcome.status is RunStatus.COMPLETED
    assert house.model.requests[0].headers["authorization"] == "Bearer o-key"


async def test_ollamas_variable_is_understood_with_and_without_a_path(house: AgentHouse) -> None:
    house.settings = {"model": ("ollama:llama3:8b",)}
    for url in (house.model.origin, house.model.openai_url):
        house.environment["OLLAMA_BASE_URL"] = url
        outcome = await house.run()
        assert outcome.status is RunStatus.COMPLETED
    assert {each.model for each in house.model.requests} == {"llama3:8b"}


async def test_a_missing_key_fails_the_run_and_is_never_the_rehearsal(house: AgentHouse) -> None:
    house.settings = {"model": ("google:gemini",)}

    outcome = await house.run()

    assert outcome.status is RunStatus.FAILED
    assert outcome.model is None
    assert outcome.error == (
        "the model google:gemini needs GOOGLE_API_KEY or GEMINI_API_KEY, which is not set"
    )


def _loaded(kind: str) -> dict[str, Any]:
    """Which libraries a process has, and how large it is, after a first run."""
    code = f"""
import asyncio, json, sys
from pathlib import Path
sys.path.insert(0, {str(__file__.rpartition("/")[0])!r})
before = sorted(m for m in sys.modules)
import amodal_rt.executors.agent.executor
light = "pydantic_ai" not in sys.modules and "mcp" not in sys.modules
from agent_house import AgentHouse
from amodal_rt.domain.workspace import ProviderType
async def main(folder):
    async with AgentHouse(Path(folder)) as house:
        house.settings["providers"] = {{"local": house.provider("local", ProviderType({kind!r}))}}
        outcome = await house.run()
        assert outcome.text == "done", outcome
import tempfile
with tempfile.TemporaryDirectory() as folder:
    asyncio.run(main(folder))
names = ["openai", "anthropic", "google.genai", "mcp", "fastmcp"]
def resident():
    # The peak that getrusage knows begins with that of whoever forked this process.
    with open("/proc/self/status") as status:
        (line,) = [each for each in status if each.startswith("VmRSS:")]
    return int(line.split()[1])

print(json.dumps({{
    "light": light,
    "loaded": [name for name in names if name in sys.modules],
    "megabytes": resident() / 1024,
}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("kind", "loaded"),
    [("openai", ["openai"]), ("anthropic", ["anthropic"]), ("google", ["google.genai"])],
)
def test_only_the_configured_providers_library_is_loaded_and_memory_stays_small(
    kind: str, loaded: list[str]
) -> None:
    facts = _loaded(kind)

    assert facts["light"]
    assert facts["loaded"] == loaded
    assert facts["megabytes"] < 250


async def test_a_provider_without_key_gets_none_of_ours(house: AgentHouse) -> None:
    house.environment["OPENAI_API_KEY"] = "must-stay-here"
    provider = Provider(
        name="local", type=ProviderType.OPENAI_COMPATIBLE, base_url=house.model.openai_url
    )
    house.settings = {"model": ("local:small",), "providers": {"local": provider}}

    await house.run()

    assert "must-stay-here" not in json.dumps(dict(house.model.requests[0].headers))


async def test_a_list_moves_on_when_a_model_is_silent_and_does_not_ask_it_again(
    house: AgentHouse,
) -> None:
    """Its share of five minutes passes in a hundredth of the time; the run has two turns."""
    _use(house, ProviderType.OPENAI_COMPATIBLE, ProviderType.ANTHROPIC)
    house.rest()
    house.clock.factor = 0.01
    calls, done = calls_then_done(request("GET", "/deals"))

    def answer(asked):
        if asked.api == "openai":
            return replace(done, seconds=600)
        return done if asked.results else calls

    house.model.answer(answer)

    outcome = await house.run()

    assert (outcome.status, outcome.model) == (RunStatus.COMPLETED, "p1:small")
    assert [each.api for each in house.model.requests] == ["openai", "anthropic", "anthropic"]
    [silent] = house.of(EntryType.TURN_FAILED)
    assert silent.data["error"] == "the model p0:small did not answer within 120 seconds"


async def test_the_last_of_a_list_has_all_the_time_of_the_run(house: AgentHouse) -> None:
    _use(house, ProviderType.OPENAI_COMPATIBLE)
    house.clock.factor = 0.0001
    house.model.answer(lambda _: Turn(text="at last", seconds=0.3))

    outcome = await house.run()

    assert outcome.text == "at last"
