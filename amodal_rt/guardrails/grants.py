"""Which connections and tools a run may use at all, before any question of writing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from amodal_rt.domain.automation import Automation
from amodal_rt.domain.connection import Agent
from amodal_rt.domain.profile import BASH, Profile

REQUEST = "request"
"""The name that tool lists use for the requests of a REST or runtime connection."""
BUILT_IN = (
    "read_connection", "query_store", "write_store", "read_knowledge", "read_event", "emit_event",
    "dispatch_task", BASH, "propose_write",
)  # fmt: skip
"""Tools of the runtime itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """Allow-lists; None means all. `tools` are globs over `connection.tool`.

    A REST connection's one tool is `connection.request`. An entry without a dot names tools
    of the runtime (`query_store`) or `request` everywhere; as soon as one names a tool of the
    runtime, only those named are there. An empty list grants nothing.
    """

    connections: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None

    def connection(self, name: str) -> bool:
        """Whether the connection may be used."""
        return self.connections is None or name in self.connections

    def tool(self, connection: str, tool: str) -> bool:
        """Whether this tool of this connection may be called."""
        if not self.connection(connection):
            return False
        if self.tools is None:
            return True
        full = f"{connection}.{tool}"
        return any(fnmatchcase(full if "." in glob else tool, glob) for glob in self.tools)

    def built_in(self, tool: str, known: Iterable[str]) -> bool:
        """Whether a tool of the runtime itself is there; `known` are the names of all."""
        if self.tools is None:
            return True
        plain = [glob for glob in self.tools if "." not in glob]
        named = any(fnmatchcase(name, glob) for glob in plain for name in known)
        if not self.tools or named:
            return any(fnmatchcase(tool, glob) for glob in plain)
        return True

    def narrowed(self, tools: Sequence[str] | None) -> "NarrowedGrants":
        """For a sub-agent: what stands in both lists."""
        return NarrowedGrants(outer=self, tools=None if tools is None else tuple(tools))


@dataclass(frozen=True, slots=True, kw_only=True)
class BothGrants:
    """What two pairs of lists both allow: those of a run, and those of an agent within it."""

    one: Grants
    other: Grants

    def connection(self, name: str) -> bool:
        """Whether the connection may be used."""
        return self.one.connection(name) and self.other.connection(name)

    def tool(self, connection: str, tool: str) -> bool:
        """Whether this tool of this connection may be called."""
        return self.one.tool(connection, tool) and self.other.tool(connection, tool)

    def built_in(self, tool: str, known: Iterable[str]) -> bool:
        """Whether a tool of the runtime itself is there; `known` are the names of all."""
        names = tuple(known)
        return self.one.built_in(tool, names) and self.other.built_in(tool, names)

    def narrowed(self, tools: Sequence[str] | None) -> "NarrowedGrants":
        """For a sub-agent: what stands in all of the lists."""
        return NarrowedGrants(outer=self, tools=None if tools is None else tuple(tools))


@dataclass(frozen=True, slots=True, kw_only=True)
class NarrowedGrants:
    """Grants within grants: nothing that the outer ones do not allow, whatever is asked for."""

    outer: Grants | BothGrants
    tools: tuple[str, ...] | None = None

    def connection(self, name: str) -> bool:
        """Whether the connection may be used."""
        return self.outer.connection(name)

    def tool(self, connection: str, tool: str) -> bool:
        """Whether both lists have the tool; `connection__tool` is understood too."""
        if not self.outer.tool(connection, tool):
            return False
        names = {f"{connection}.{tool}", f"{connection}__{tool}", connection}
        names |= {REQUEST} if tool == REQUEST else set[str]()
        return self.tools is None or _any(names, self.tools)

    def built_in(self, tool: str, known: Iterable[str]) -> bool:
        """Whether both lists have the tool."""
        if not self.outer.built_in(tool, known):
            return False
        return self.tools is None or _any({tool}, self.tools)


def _any(names: Iterable[str], globs: Iterable[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs for name in names)


def grants_of(automation: Automation, agent: Agent | None, profile: Profile | None) -> Grants:
    """The automation's lists, each else its agent's, else everything; of the connections, those
    that its profile binds."""
    connections = _first(automation.connections, agent.connections if agent else None)
    bound = profile.connections if profile else None
    if bound is not None:
        connections = tuple(each for each in bound if connections is None or each in connections)
    return Grants(
        connections=connections, tools=_first(automation.tools, agent.tools if agent else None)
    )


def _first(
    own: tuple[str, ...] | None, inherited: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    return own if own is not None else inherited
