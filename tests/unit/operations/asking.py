"""Asks `test-event` about one automation that a test writes."""

import json
from collections.abc import Mapping
from typing import Any

from desk import ADA, Desk, live

from amodal_rt.definitions.automation import parse_automation
from amodal_rt.domain.automation import Definition, OnLimit
from amodal_rt.domain.connection import Connection, McpServer, Protocol
from amodal_rt.domain.event_type import EventOrigin, EventType
from amodal_rt.domain.identity import Identities, Member
from amodal_rt.domain.integration import Integration
from amodal_rt.domain.run import Start
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.domain.workspace import Snapshot, WorkspaceSettings
from amodal_rt.guardrails.redaction import Redactor
from amodal_rt.operations.catalogue import EventTypes, Offered
from amodal_rt.operations.event_tests import EventTests
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import RunFilter

ENDPOINT = "auto_of_{}"
OPENED = "github.issues.opened"
ISSUE = {"action": "opened", "issue": {"number": 7, "title": "<b>It broke</b>", "draft": False}}
DEPLOYED = EventType(
    name="deploy.finished", origin=EventOrigin.WORKSPACE, source="events/deploy.finished.json",
    description="x", sample={"service": "shop"},
)  # fmt: skip
TEAM = Identities(members={"ada": Member(id="ada")}, owners={"github:ada-l": "ada"}, known=True)


def parsed(name: str, **keys: Any) -> Definition:
    text = json.dumps({"title": "T", "prompt": "Look at {{event}}.", **keys})
    found = parse_automation(
        text.encode(), file=f"automations/{name}.json", settings=WorkspaceSettings(),
        read_prompt=str,
    )  # fmt: skip
    assert found.definition is not None, found.problems
    return found.definition


class Asking:
    """Asks about an automation `a` that a test writes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        redactor = Redactor(lambda: ("s3cret-value",))
        self.tests = EventTests(
            desk.files,
            desk.facts,
            desk.starting,
            redactor,
            ledger=desk.ledger,
            endpoint_of=ENDPOINT.format,
            clock=desk.clock,
            ids=desk.ids,
        )

        self.tests.sample_from(EventTypes(desk.files, self._offered))
        self.integrations: dict[str, Integration] = {}
        self.servers: dict[str, Offered] = {}

    async def start(self, **changes: Any) -> str:
        """Let a run of `a` be on record."""
        now = self._desk.clock.now()
        start = Start(
            run_id=self._desk.ids.run(), automation="a", title="T", trigger=TriggerKind.EVENT,
            definition="d", created_at=now, concurrency=3, on_limit=OnLimit.QUEUE, **changes,
        )  # fmt: skip
        [ref] = await self._desk.ledger.admit([start])
        return ref.run_id

    async def _offered(self) -> Mapping[str, Offered]:
        return self.servers

    def write(self, **keys: Any) -> None:
        self._desk.files.add(live(parsed("a", **keys)))
        now = self._desk.files.current
        self._desk.files.current = Snapshot(
            version=now.version, automations=now.automations, identities=TEAM,
            event_types={DEPLOYED.name: DEPLOYED}, integrations=self.integrations,
            connections={
                name: Connection(
                    name=name, protocol=Protocol.MCP, mcp=McpServer(command="x"), hash="h"
                )
                for name in self.servers
            },
        )  # fmt: skip

    async def ask(self, asked: dict[str, Any], **keys: Any) -> Document:
        self.write(**keys)
        before = await self._on_record()
        found = await self.tests.test(ADA, "a", asked)
        assert await self._on_record() == before
        return found

    async def _on_record(self) -> object:
        ledger = self._desk.ledger
        return await ledger.list_runs(RunFilter(limit=9)), await ledger.list_events(limit=9)
