"""What the files ask MCP servers to watch for."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from amodal_rt.domain.connection import Connection, Protocol
from amodal_rt.domain.params import Param, ParamTest
from amodal_rt.domain.trigger import EventTrigger
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.ports import AutomationFacts
from amodal_rt.triggers.holds import hold_on

Place = tuple[str, str]
"""The automation, and the key of a trigger within it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One trigger of one automation, as its server is to be told of it.

    `fault` says why it cannot be.
    """

    automation: str
    key: str
    connection: Connection
    type: str
    params: Mapping[str, str]
    fault: str | None = None

    @property
    def place(self) -> Place:
        """What names it for good."""
        return self.automation, self.key

    @property
    def watcher(self) -> str:
        """What names it to the server: siblings must not share one callback."""
        return f"{self.connection.name}/{self.automation}/{self.key}"

    def same(self, other: "Registration") -> bool:
        """Whether a server that was told of one need not be told of the other."""
        return (
            self.connection.name == other.connection.name
            and self.connection.hash == other.connection.hash
            and self.type == other.type
            and self.params == other.params
        )


def registrations(
    snapshot: Snapshot, facts: Mapping[str, AutomationFacts]
) -> dict[Place, Registration]:
    """Those of all automations that may start by themselves now.

    Where an integration brings the events of a provider, a connection that is named like the
    first word of them is not asked for them too.
    """
    provided = {each.family for each in snapshot.integrations.values()}
    servers = {
        name: each
        for name, each in snapshot.connections.items()
        if each.protocol is Protocol.MCP and each.mcp is not None and name not in provided
    }
    if not servers:
        return {}
    found: dict[Place, Registration] = {}
    for name in snapshot.automations:
        definition = snapshot.find(name)
        if definition is None or hold_on(definition, facts.get(name), snapshot.identities):
            continue
        for trigger in definition.automation.triggers:
            if isinstance(trigger, EventTrigger):
                found |= {each.place: each for each in _of(name, trigger, servers)}
    return found


def server_of(event: str, names: Iterable[str]) -> tuple[str, str] | None:
    """The connection whose server knows an event of that name, and the name of it there; of
    several connections that fit the one with the longest name."""
    fitting = [name for name in names if event.startswith(f"{name}.") and event != f"{name}."]
    if not fitting:
        return None
    name = max(fitting, key=len)
    return name, event[len(name) + 1 :]


def _of(
    automation: str, trigger: EventTrigger, servers: Mapping[str, Connection]
) -> Iterable[Registration]:
    for number, condition in enumerate(trigger.conditions):
        found = server_of(condition.event, servers)
        if found is None:
            continue
        connection, type = found
        fault = None
        if "*" in type:
            fault = f"{condition.event} is a glob, and a server is told of each type by its name"
        yield Registration(
            automation=automation,
            # Which condition of which trigger: another order in the file is another key, and
            # costs one more round with the server.
            key=f"{trigger.key}.{number}",
            connection=servers[connection],
            type=type,
            params=_texts(condition.wanted.params),
            fault=fault,
        )


def _texts(params: Iterable[Param]) -> dict[str, str]:
    """What can be said to a server, which knows only equal texts; the rest is asked on arrival."""
    return {
        each.key: _text(each.values[0])
        for each in params
        if each.test is ParamTest.EQ and len(each.values) == 1
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
