"""What the files ask MCP servers to watch for."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from amodal_rt.domain.connection import Connection, Protocol
from amodal_rt.domain.params import Param, ParamTest
from amodal_rt.domain.remote_trigger import SPARE
from amodal_rt.domain.trigger import EventTrigger
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.ports import AutomationFacts
from amodal_rt.triggers.callback_tokens import digest_of
from amodal_rt.triggers.holds import hold_on

_SHOWN = 64
"""How much of a type a key begins with, for people; what tells keys apart is their end."""

Place = tuple[str, str]
"""Whose it is, an automation's or nobody's, and a key of what is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a server is to be told of, once for all `automations` that it is for.

    `fault` says why it cannot be.
    """

    place: Place
    automations: tuple[str, ...]
    connection: Connection
    type: str
    params: Mapping[str, str]
    fault: str | None = None

    @property
    def watcher(self) -> str:
        """What names it to the server: siblings must not share one callback."""
        return "/".join((self.connection.name, *filter(None, self.place)))

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
    for name in sorted(snapshot.automations):
        definition = snapshot.find(name)
        if definition is None or hold_on(definition, facts.get(name), snapshot.identities):
            continue
        for trigger in definition.automation.triggers:
            if isinstance(trigger, EventTrigger):
                for each in _of(name, trigger, servers):
                    known = found.get(each.place, each)
                    names = dict.fromkeys((*known.automations, name))
                    found[each.place] = replace(known, automations=tuple(names))
    return found


def server_of(event: str, names: Iterable[str]) -> tuple[str, str] | None:
    """The connection whose server knows an event of that name, and the name of it there; of
    several connections that fit the one with the longest name."""
    fitting = [name for name in names if event.startswith(f"{name}.") and event != f"{name}."]
    if not fitting:
        return None
    name = max(fitting, key=len)
    return name, event[len(name) + 1 :]


def told_params(params: Iterable[Param]) -> dict[str, str]:
    """What can be said to a server, which knows only equal texts; the rest is asked on arrival."""
    return {
        each.key: _text(each.values[0])
        for each in params
        if each.test is ParamTest.EQ and len(each.values) == 1
    }


def _of(
    automation: str, trigger: EventTrigger, servers: Mapping[str, Connection]
) -> Iterable[Registration]:
    for condition in trigger.conditions:
        found = server_of(condition.event, servers)
        if found is None:
            continue
        name, type = found
        connection, params = servers[name], told_params(condition.wanted.params)
        fault = None
        if "*" in type:
            fault = f"{condition.event} is a glob, and a server is told of each type by its name"
        # A child of ours cannot tell who asks: of two that want the same, the last would have
        # its only callback.
        owner = automation if connection.mcp and connection.mcp.url is not None else ""
        yield Registration(
            place=(owner, _key(name, type, params)),
            automations=(automation,),
            connection=connection,
            type=type,
            params=params,
            fault=fault,
        )


def _key(connection: str, type: str, params: Mapping[str, str]) -> str:
    digest = digest_of(json.dumps([connection, type, sorted(params.items())]))
    return f"{type[:_SHOWN].replace(SPARE, '-')}/{digest[:16]}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
