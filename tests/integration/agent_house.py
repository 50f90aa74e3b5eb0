"""Agents over a real ledger and real sockets, with everything else left to the test."""

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from amodal_rt.clock import SystemClock
from amodal_rt.domain.automation import (
    AgentWork,
    Automation,
    ChatMessage,
    CommandRun,
    Definition,
    OnLimit,
)
from amodal_rt.domain.connection import (
    Agent,
    AuthType,
    Connection,
    ConnectionAuth,
    Knowledge,
    McpServer,
    Protocol,
    Store,
)
from amodal_rt.domain.event import Event
from amodal_rt.domain.journal import Entry, EntryType
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.profile import Profile
from amodal_rt.domain.run import Run, Start
from amodal_rt.domain.secret import SecretRef
from amodal_rt.domain.trigger import ManualTrigger, TriggerKind
from amodal_rt.domain.workspace import Provider, ProviderType, Snapshot, WorkspaceSettings
from amodal_rt.executors.acting.connections import ConnectionProbe
from amodal_rt.executors.agent.executor import AgentExecutor
from amodal_rt.executors.command.executor import CommandExecutor
from amodal_rt.executors.sandbox.sandbox import Sandboxes
from amodal_rt.guardrails.causes import Causes
from amodal_rt.guardrails.egress import Egress, origin_of
from amodal_rt.guardrails.redaction import Redactor, secret_values
from amodal_rt.ids import SystemIds
from amodal_rt.ports import Previous, RunContext
from amodal_rt.settings import Environment
from amodal_rt.storage.sqlite import SqliteLedger
from amodal_rt.testing.model_server import Call, ModelServer, Turn

PYTHON_MCP = ("-m", "amodal_rt.testing.mcp_server")


class HurriedClock(SystemClock):
    """The machine's clock, but a deadline passes after a hundredth of its time."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def deadline(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        return asyncio.timeout(None if seconds is None else seconds * self.factor)


@dataclass
class Word:
    """A lease that is held or not, as the test says."""

    good: bool = True

    def held(self) -> bool:
        return self.good


@dataclass
class Reached:
    """One request that reached the service."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Service:
    """A service behind a connection: records what reaches it and answers as told."""

    def __init__(self) -> None:
        self.requests: list[Reached] = []
        self.answers: list[web.Response | float] = []
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.2)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(
            Reached(request.method, request.path_qs, dict(request.headers), await request.read())
        )
        answer = self.answers.pop(0) if self.answers else web.json_response([{"deal": 1}])
        if not isinstance(answer, web.Response):
            await asyncio.sleep(answer)
            return web.Response(text="late")
        return answer


class FakeView:
    """A runtime that has two runs."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def get(self, path: str, params: Mapping[str, str]) -> tuple[int, object]:
        self.asked.append((path, dict(params)))
        if path == "/runs":
            return 200, [{"run_id": "run_a", "error": "token s3cr3t-canary"}, {"run_id": "run_b"}]
        return 404, {"error": "not found"}


class Held:
    """The lease of a node that nobody doubts."""

    def held(self) -> bool:
        return True


@dataclass(frozen=True)
class RunJournal:
    """One run's journal in the real ledger, masked on the way in as the engine does."""

    ledger: SqliteLedger
    run_id: str
    redactor: Redactor
    attempt: int = 1

    async def record(
        self,
        type: EntryType,
        *,
        step: str | None = None,
        parent: str | None = None,
        data: Mapping[str, object] | None = None,
    ) -> None:
        masked = {key: self.redactor.mask_document(value) for key, value in (data or {}).items()}
        await self.ledger.record(
            self.run_id,
            type,
            at=datetime.now(UTC),
            attempt=self.attempt,
            step=step,
            parent=parent,
            data=masked,
        )


@dataclass
class AgentHouse:
    """Change the public fields before `run`."""

    folder: Path
    environment: dict[str, str] = field(
        default_factory=lambda: {"LOCAL_KEY": "key-canary-123456", "CRM_TOKEN": "s3cr3t-canary"}
    )
    settings: dict[str, Any] = field(default_factory=dict)
    connections: dict[str, Connection] = field(default_factory=dict)
    stores: dict[str, Store] = field(default_factory=dict)
    knowledge: dict[str, Knowledge] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    profiles: list[Profile] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    lease: Word = field(default_factory=Word)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._open(stack)
            self._stack = stack.pop_all()
        return self

    async def _open(self, stack: AsyncExitStack) -> None:
        enter = stack.enter_async_context
        self.clock = HurriedClock()
        self.ids = SystemIds(self.clock)
        self.redactor = Redactor(lambda: secret_values(self.snapshot(), self.env()))
        self.ledger = await enter(SqliteLedger(self.folder / "ledger.db", clock=self.clock))
        self.egress = await enter(Egress(["127.0.0.0/8"]))
        self.model = await enter(ModelServer())
        self.service = await enter(Service())
        self.view = FakeView()
        self.own: set[str] = set()
        self.causes = Causes(b"key", lambda url: origin_of(url) in self.own)
        self.executor = AgentExecutor(
            ledger=self.ledger,
            egress=self.egress,
            runtime_view=self.view,
            clock=self.clock,
            ids=self.ids,
            redactor=self.redactor,
            causes=self.causes,
            sandboxes=Sandboxes(
                egress=self.egress,
                causes=self.causes,
                clock=self.clock,
                ids=self.ids,
                workspace=self.folder,
                private=(self.folder / ".env", self.folder / ".amodal-rt"),
            ),
        )
        stack.push_async_callback(self.executor.close)
        self.probe = ConnectionProbe(self.executor.services, HouseCatalogue(self))
        self.settings = {
            "model": ("local:small",),
            "providers": {"local": self.provider("local", ProviderType.OPENAI_COMPATIBLE)},
        }

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def provider(self, name: str, kind: ProviderType) -> Provider:
        url = self.model.origin
        if kind not in {ProviderType.ANTHROPIC, ProviderType.GOOGLE}:
            url = self.model.openai_url
        return Provider(name=name, type=kind, base_url=url, api_key=SecretRef("LOCAL_KEY"))

    def rest(self, name: str = "crm", **changes: Any) -> Connection:
        """A REST connection to the recorded service, the operator's own unless told; kept."""
        given: dict[str, Any] = {
            "base_url": self.service.origin,
            "auth": ConnectionAuth(type=AuthType.BEARER, token=SecretRef("CRM_TOKEN")),
            "secrets": ("CRM_TOKEN",),
            "external": False,
        }
        self.connections[name] = Connection(
            name=name, protocol=Protocol.REST, hash=f"h-{name}", **(given | changes)
        )
        return self.connections[name]

    def mcp(self, name: str = "tools", **changes: Any) -> Connection:
        """A connection to the real MCP server over stdio, the operator's own unless told; kept."""
        server = McpServer(
            command=sys.executable,
            args=PYTHON_MCP,
            env={"MCP_CALLS": str(self.folder / "calls.jsonl")},
        )
        given: dict[str, Any] = {"mcp": server, "external": False} | changes
        self.connections[name] = Connection(
            name=name, protocol=Protocol.MCP, hash=f"h-{name}", **given
        )
        return self.connections[name]

    def mcp_calls(self) -> list[dict[str, Any]]:
        """What reached the MCP server."""
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def env(self) -> Environment:
        return Environment(process={"PATH": "/usr/bin:/bin", "HOME": "/tmp", **self.environment})

    def snapshot(self) -> Snapshot:
        return Snapshot(
            version=1,
            settings=WorkspaceSettings(**self.settings),
            connections=dict(self.connections),
            stores=dict(self.stores),
            knowledge=dict(self.knowledge),
            agents=dict(self.agents),
            profiles=tuple(self.profiles),
        )

    def automation(self, prompt: str = "Do it.", **changes: Any) -> Automation:
        given: dict[str, Any] = {
            "work": AgentWork(messages=(ChatMessage("user", prompt),)),
            "triggers": (ManualTrigger(),),
        }
        return Automation(name="auto", title="Auto", **(given | changes))

    async def context(
        self,
        automation: Automation | None = None,
        *,
        event: object = ...,
        previous: Previous | None = None,
        rehearse: bool = False,
        payload: object = None,
    ) -> RunContext:
        chosen = automation or self.automation()
        now = self.clock.now()
        start = Start(
            run_id=self.ids.run(),
            automation=chosen.name,
            title=chosen.title,
            trigger=TriggerKind.MANUAL,
            definition="hash",
            created_at=now,
            concurrency=100_000,
            on_limit=OnLimit.QUEUE,
            rehearse=rehearse,
            payload=payload,
        )
        [ref] = await self.ledger.admit([start])
        [run] = await self.ledger.claim(limit=1, overall=1000, now=now)
        assert run.run_id == ref.run_id
        facts = None
        if event is not ...:
            facts = Event(
                id=self.ids.event(), type="webhook", source="s", data=event, time=now,
                received_at=now, address=chosen.name,
            )  # fmt: skip
        definition = Definition(
            automation=chosen,
            hash="hash",
            document="{}",
            file="automations/auto.json",
            lines={"/writeEnabled": 7},
        )
        return RunContext(
            run=run,
            definition=definition,
            snapshot=self.snapshot(),
            environment=self.env(),
            journal=RunJournal(self.ledger, run.run_id, self.redactor),
            lease=Held(),
            event=facts,
            previous=previous,
        )

    async def run(self, automation: Automation | None = None, **changes: Any) -> Outcome:
        """Execute one run and keep its journal in `entries`."""
        context = await self.context(automation, **changes)
        try:
            if isinstance(context.definition.automation.work, CommandRun):
                return await CommandExecutor(self.executor.services).execute(context)
            return await self.execute(context)
        finally:
            self.entries = await self.ledger.entries(context.run.run_id)

    async def execute(self, context: RunContext) -> Outcome:
        """Carry the run of an agent that does not wait."""
        outcome = await self.executor.execute(context)
        assert isinstance(outcome, Outcome), outcome
        return outcome

    def types(self) -> list[str]:
        return [entry.type.value for entry in self.entries]

    def of(self, *types: EntryType) -> list[Entry]:
        return [entry for entry in self.entries if entry.type in types]

    def journal_text(self) -> str:
        return json.dumps([dict(entry.data) for entry in self.entries], ensure_ascii=False)


@dataclass(frozen=True)
class HouseCatalogue:
    """The house's workspace, as it is at each question."""

    house: AgentHouse

    def snapshot(self) -> Snapshot:
        return self.house.snapshot()

    def environment(self) -> Environment:
        return self.house.env()


def journal_of(house: AgentHouse, run: Run) -> RunJournal:
    """The journal of an attempt."""
    return RunJournal(house.ledger, run.run_id, house.redactor, attempt=run.attempt)


def request(method: str = "GET", endpoint: str = "/deals", **more: Any) -> Call:
    """A call of `request` over the connection `crm`."""
    arguments: dict[str, Any] = {"connection": "crm", "method": method, "endpoint": endpoint}
    return Call("request", arguments | more)


def calls_then_done(*calls: Call) -> tuple[Turn, Turn]:
    """One turn with all calls, then the last message."""
    return Turn(calls=calls), Turn(text="done")
