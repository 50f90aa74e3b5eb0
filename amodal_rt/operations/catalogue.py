"""The verbs of the catalogue: which types of event there are."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from amodal_rt.definitions.catalogue import BUILT_IN
from amodal_rt.definitions.words import suggestion
from amodal_rt.domain import glob
from amodal_rt.domain.connection import Connection, Protocol
from amodal_rt.domain.event_type import EventOrigin, EventType
from amodal_rt.domain.remote_trigger import RemoteType
from amodal_rt.errors import AmodalError, NotFoundError
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import Caller, Catalogue, TriggerConnections

RemoteTypes = Callable[[], Awaitable[Mapping[str, Sequence[RemoteType]]]]
"""What the MCP servers of the workspace can watch for, by connection. One that does not answer
is absent: never raises."""


class Servers:
    """Asks the MCP servers of the workspace, all at once."""

    def __init__(self, catalogue: Catalogue, connections: TriggerConnections) -> None:
        self._catalogue = catalogue
        self._connections = connections

    async def types(self) -> Mapping[str, Sequence[RemoteType]]:
        """As `RemoteTypes`."""
        environment = self._catalogue.environment()
        asked = [
            each
            for each in self._catalogue.snapshot().connections.values()
            if each.protocol is Protocol.MCP and not environment.missing(each.secrets)
        ]
        found = await asyncio.gather(*(self._offered(each) for each in asked))
        return {each.name: types for each, types in zip(asked, found, strict=True) if types}

    async def _offered(self, connection: Connection) -> Sequence[RemoteType]:
        try:
            return await self._connections.list_types(connection)
        except (AmodalError, TimeoutError):
            # Most servers know no triggers; the list is no place to complain of one.
            return ()


class EventTypes:
    """The built-in types, those of `events/` and those of MCP connections."""

    def __init__(self, catalogue: Catalogue, remote_types: RemoteTypes) -> None:
        self._catalogue = catalogue
        self._remote_types = remote_types

    async def list_all(
        self, caller: Caller, *, fitting: str | None = None, source: str | None = None
    ) -> list[Document]:
        """All, or those whose name the glob `fitting` stands for and that come from `source`."""
        return listed(await self._all(), fitting=fitting, source=source)

    async def show(self, caller: Caller, name: str) -> Document:
        """One type, whole. Raises NotFoundError with the nearest name."""
        # Servers are only asked when nobody nearer knows the name.
        found = BUILT_IN.get(name) or self._catalogue.snapshot().event_types.get(name)
        return in_full(found) if found else whole(name, await self._all())

    async def _all(self) -> Mapping[str, EventType]:
        remote = await self._remote_types()
        types = (
            _of_server(connection, each)
            for connection, offered in remote.items()
            for each in offered
        )
        own = self._catalogue.snapshot().event_types
        return {**{each.name: each for each in types}, **own, **BUILT_IN}


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
    )
