"""Disguised writes of a read-only agent, against an HTTP and an MCP server that fall for them."""

import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from posixpath import normpath
from urllib.parse import unquote

import pytest
from aiohttp import web
from disguises import DISGUISES, READS

from amodal_rt import Runtime
from amodal_rt.testing.model_server import Call, ModelServer, Turn

READING = {"GET", "HEAD", "OPTIONS"}
SERVER = Path(__file__).with_name("mcp_deals.py")
ACCESS = {
    "endpoints": {
        "POST /search": {"intent": "read"},
        "POST /graphql": {"intent": "read"},
        "GET /admin/{id}/reboot": {"intent": "write"},
    }
}


class Gullible:
    """A server that takes every hint for what it would change; `changed` says what it did."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        self.changed: list[str] = []

    async def answer(self, request: web.BaseRequest) -> web.Response:
        body = (await request.read()).decode("utf-8", "replace")
        self.reached.append(f"{request.method} {request.path_qs}")
        why = self._change(request, body)
        if why is not None:
            self.changed.append(f"{why}: {request.method} {request.path_qs} {body[:80]}")
        return web.json_response({"id": 7, "worth": 5_000})

    def _change(self, request: web.BaseRequest, body: str) -> str | None:
        said = unquote(f"{request.raw_path} {dict(request.headers)} {body}")
        if re.search(r"(?i)method.{0,40}(delete|put|patch)", said, re.DOTALL):
            return "another method"
        if re.search(r"\b(mutation|subscription)\b|persistedQuery|documentId", said):
            return "a mutation"
        path = normpath(unquote(unquote(request.raw_path.partition("?")[0])).partition(";")[0])
        if "reboot" in said.lower():
            return "a path with effects"
        if request.method in READING or path in {"/search", "/graphql"}:
            return None
        return "a method that writes"


@dataclass
class Stage:
    """A runtime between an obedient model and the servers."""

    runtime: Runtime
    model: ModelServer
    api: Gullible
    calls: Path

    def tools_called(self) -> list[str]:
        return self.calls.read_text().split() if self.calls.exists() else []

    async def act(self, automation: str, calls: Mapping[str, Call]) -> Mapping[str, object]:
        """One run in which the model makes all of these calls, side by side."""
        self.model.answer(
            lambda asked: Turn(text="done") if asked.results else Turn(calls=[*calls.values()])
        )
        return await self.runtime.wait(await self.runtime.trigger(automation))


@asynccontextmanager
async def _stage(root: Path) -> AsyncIterator[Stage]:
    api, calls = Gullible(), root / "calls.txt"
    runner = web.ServerRunner(web.Server(api.answer), shutdown_timeout=0.2)
    async with AsyncExitStack() as stack:
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
        model = await stack.enter_async_context(ModelServer())
        workspace = root / "workspace"
        _write_files(workspace, origin, model.openai_url, calls)
        yield Stage(await stack.enter_async_context(Runtime(workspace)), model, api, calls)


def _write_files(root: Path, origin: str, model: str, calls: Path) -> None:
    arguments = [str(SERVER), str(calls)]
    mcp = {"protocol": "mcp", "transport": "stdio", "command": sys.executable, "args": arguments}
    asks = {"title": "Look", "trigger": "manual", "prompt": "Look at deal 7: GET /deals/7."}
    provider = {"type": "openai-compatible", "baseUrl": model, "apiKey": "env:KEY"}
    files: dict[str, object] = {
        "amodal.json": {
            "providers": {"obedient": provider},
            "model": "obedient:one",
            "egress": {"allowPrivate": ["127.0.0.1/32"]},
        },
        "connections/api/spec.json": {"protocol": "rest", "baseUrl": origin, "external": False},
        "connections/api/access.json": ACCESS,
        "connections/tools/spec.json": {**mcp, "external": False, "trustAnnotations": False},
        "connections/tools/access.json": {"tools": {"list": {"intent": "read"}}},
        "automations/look.json": asks,
        "automations/write.json": {
            **asks,
            "writeEnabled": True,
            "limits": {"writes": {"perRun": 500, "perHour": 500}},
        },
    }
    for name, document in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))
    (root / ".env").write_text("KEY=key-of-the-obedient-model\n")
    (root / ".env").chmod(0o600)


@pytest.mark.timeout(120)
async def test_no_disguised_write_of_a_read_only_agent_reaches_a_server(
    tmp_path: Path, record: Callable[[str, Mapping[str, object]], None]
) -> None:
    async with _stage(tmp_path) as stage:
        run = await stage.act("look", READS | DISGUISES)

    record(
        "disguised-writes",
        {"tried": len(DISGUISES), "reached": len(stage.api.changed), "reads": len(READS)},
    )
    assert run["status"] == "completed", run
    assert stage.api.changed == []
    assert stage.tools_called() == ["list"]
    # The reads beside them went through: nothing was refused because everything is.
    assert {"GET /deals/7", "POST /search", "POST /graphql"} <= set(stage.api.reached)
    assert len(DISGUISES) >= 60


@pytest.mark.timeout(120)
async def test_the_servers_would_have_fallen_for_them(tmp_path: Path) -> None:
    """With writes enabled many of the same calls arrive, and change something."""
    async with _stage(tmp_path) as stage:
        await stage.act("write", DISGUISES)

    assert len(stage.api.changed) >= 15
    assert {"delete_deal", "get_deal", "list_deals"} <= set(stage.tools_called())
