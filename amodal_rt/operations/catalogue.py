"""The verbs of the catalogue: which types of event there are."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from amodal_rt.definitions.catalogue import BUILT_IN
from amodal_rt.definitions.words import suggestion
from amodal_rt.domain import glob
from amodal_rt.domain.connection import Connection, Protocol
from amodal_rt.domain.event_type import EventOrigin, EventType
from amodal_rt.domain.remote_trigger import RemoteType
from amodal_rt.errors import AmodalError, NotFoundError, UnavailableError
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import Caller, Catalogue, TriggerConnections
from amodal_rt.triggers.registrations import server_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What the server of one MCP connection can watch for; `failure` says why it could not be
    asked."""

    types: Sequence[RemoteType] = ()
    failure: str | None = None


RemoteTypes = Callable[[], Awaitable[Mapping[str, Offered]]]
"""What the MCP servers of the workspace can watch for, by connection. Never raises."""


async def no_servers() -> Mapping[str, Offered]:
    """Where nobody can be asked."""
    return {}


class Servers:
    """Asks the MCP servers of the workspace, all at once."""

    def __init__(self, catalogue: Catalogue, connections: TriggerConnections) -> None:
        self._catalogue = catalogue
        self._connections = connections

    async def types(self) -> Mapping[str, Offered]:
        """As `RemoteTypes`."""
        servers = [
            each
            for each in self._catalogue.snapshot().connections.values()
            if each.protocol is Protocol.MCP
        ]
        found = await asyncio.gather(*(self._offered(each) for each in servers))
        return {each.name: offered for each, offered in zip(servers, found, strict=True)}

    async def _offered(self, connection: Connection) -> Offered:
        if missing := self._catalogue.environment().missing(connection.secrets):
            return Offered(failure=f"{', '.join(missing)} is not set")
        try:
            return Offered(types=await self._connections.list_types(connection))
        except NotFoundError:
            # It is there, and knows no triggers, as most servers.
            return Offered()
        except AmodalError as error:
            return Offered(failure=error.message)
        except TimeoutError:
            return Offered(failure="it did not answer in time")


class EventTypes:
    """The built-in types, those of `events/` and those of MCP connections."""

    def __init__(self, catalogue: Catalogue, remote_types: RemoteTypes) -> None:
        self._catalogue = catalogue
        self._remote_types = remote_types

    async def list_all(
        self, caller: Caller, *, fitting: str | None = None, source: str | None = None
    ) -> list[Document]:
        """All, or those whose name the glob `fitting` stands for and that come from `source`.

        Raises UnavailableError (`source_unavailable`) where only a server could tell that cannot
        be asked; NotFoundError (`unknown_source`) where nothing is called like `source`.
        """
        remote = await self._remote_types()
        types = self._all(remote)
        found = listed(types, fitting=fitting, source=source)
        if not found:
            _require_asked(remote, source or (fitting or "").partition(".")[0])
        if source is not None and source not in {*_sources(types), *remote}:
            known = sorted({*_sources(types), *remote})
            raise NotFoundError(
                f"no source of events is called {source!r}",
                code="unknown_source",
                hint=suggestion(source, known) or f"there are {', '.join(known)}",
            )
        return found

    async def show(self, caller: Caller, name: str) -> Document:
        """One type, whole. Raises NotFoundError with the nearest name, and as `list_all`."""
        # Servers are only asked when nobody nearer knows the name.
        found = BUILT_IN.get(name) or self._catalogue.snapshot().event_types.get(name)
        if found is not None:
            return in_full(found)
        remote = await self._remote_types()
        types = self._all(remote)
        if name not in types and (server := server_of(name, remote)) is not None:
            _require_asked(remote, server[0])
        return whole(name, types)

    async def find(self, names: Collection[str]) -> Mapping[str, EventType]:
        """Those of the names that are known. Servers are only asked where one of them may be the
        one to know; of a server that cannot be asked none is."""
        snapshot = self._catalogue.snapshot()
        types: Mapping[str, EventType] = {**snapshot.event_types, **BUILT_IN}
        servers = [
            each.name for each in snapshot.connections.values() if each.protocol is Protocol.MCP
        ]
        if any(name not in types and server_of(name, servers) for name in names):
            types = self._all(await self._remote_types())
        return {name: types[name] for name in names if name in types}

    def _all(self, remote: Mapping[str, Offered]) -> Mapping[str, EventType]:
        types = (
            _of_server(connection, each)
            for connection, offered in remote.items()
            for each in offered.types
        )
        own = self._catalogue.snapshot().event_types
        return {**{each.name: each for each in types}, **own, **BUILT_IN}


def _require_asked(remote: Mapping[str, Offered], name: str) -> None:
    offered = remote.get(name)
    if offered is not None and offered.failure is not None:
        raise UnavailableError(
            f"the MCP server of {name} could not be asked what it watches for: {offered.failure}",
            code="source_unavailable",
            hint=f"ops connections test {name} says how it stands",
        )


def _sources(types: Mapping[str, EventType]) -> set[str]:
    return {name for each in types.values() for name in (each.source, each.origin.value) if name}


def listed(
    types: Mapping[str, EventType], *, fitting: str | None = None, source: str | None = None
) -> list[Document]:
    """Rows by name, of those types that are asked for."""
    return [row(each) for each in _wanted(types.values(), fitting, source)]


def whole(name: str, types: Mapping[str, EventType]) -> Document:
    """One of `types`. Raises NotFoundError with the nearest name."""
    if name not in types:
        raise NotFoundError(
            f"no event type is called {name!r}",
            code="event_type_not_found",
            hint=suggestion(name, types) or "ops events types lists them",
        )
    return in_full(types[name])


def row(found: EventType) -> Document:
    """One row of `ops events types`."""
    return {
        "type": found.name,
        "origin": found.origin.value,
        "source": found.source,
        "alias_of": found.alias_of,
        "description": found.description,
    }


def in_full(found: EventType) -> Document:
    """`ops events types TYPE`."""
    return {**row(found), "schema": found.schema, "sample": found.sample}


def _wanted(
    types: Iterable[EventType], fitting: str | None, source: str | None
) -> Sequence[EventType]:
    found = (
        each
        for each in types
        if (fitting is None or glob.fits(fitting, each.name))
        and (source is None or source in (each.source, each.origin.value))
    )
    return sorted(found, key=lambda each: each.name)


def _of_server(connection: str, found: RemoteType) -> EventType:
    return EventType(
        name=f"{connection}.{found.type}",
        origin=EventOrigin.CONNECTION,
        source=connection,
        description=found.description,
        schema={"type": "object", "properties": dict(found.params)},
        sample=found.sample(),
    )
