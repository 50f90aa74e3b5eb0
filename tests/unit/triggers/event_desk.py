"""Automations that wait for events, and a matching over them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from amodal_rt.clock import SystemClock
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.connection import Connection, Protocol
from amodal_rt.domain.event import Event
from amodal_rt.domain.identity import Identities, Member
from amodal_rt.domain.integration import Integration
from amodal_rt.domain.run import Start
from amodal_rt.domain.trigger import SignatureScheme, WebhookAuth
from amodal_rt.domain.workspace import AutomationState, Snapshot
from amodal_rt.ids import SystemIds
from amodal_rt.ports import AutomationFacts
from amodal_rt.triggers.matching import Matching

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
OPENED = "github.issues.opened"
ADA = Member(id="ada", accounts=("github:ada-l", "slack:U1"))
TEAM = Identities(members={"ada": ADA}, owners=dict.fromkeys(ADA.accounts, "ada"), known=True)


def event(type: str = OPENED, data: object = None, **more: Any) -> Event:
    return replace(
        Event(
            id="evt_1", type=type, source="/integrations/github", time=NOW, received_at=NOW,
            data={"action": "opened", "issue": {"number": 7, "draft": False}}
            if data is None
            else data,
        ),
        **more,
    )  # fmt: skip


def snapshot(*definitions: Definition, **more: Any) -> Snapshot:
    states = {
        each.automation.name: AutomationState(
            name=each.automation.name, file=each.file, definition=each
        )
        for each in definitions
    }
    return Snapshot(version=1, automations=states, **more)


def integration(*own: str) -> dict[str, Integration]:
    auth = WebhookAuth(scheme=SignatureScheme.GITHUB, secrets=())
    return {"github": Integration(name="github", auth=auth, own_accounts=own)}


def connection(name: str, *, account: str | None = None) -> dict[str, Connection]:
    return {name: Connection(name=name, protocol=Protocol.MCP, hash="0", account=account)}


def starts(
    files: Snapshot, happened: Event, facts: dict[str, AutomationFacts] | None = None
) -> tuple[list[Start], int]:
    matching = Matching(SystemIds(SystemClock()))
    return matching.starts_for(happened, files, facts or {}, now=NOW)


def only(files: Snapshot, happened: Event, **more: Any) -> Start:
    (start,), missed = starts(files, happened, **more)
    assert missed == 0
    return start
