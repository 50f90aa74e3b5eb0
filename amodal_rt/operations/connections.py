"""The verbs of connections and stores: what the workspace's agents may reach."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from amodal_rt.clock import Clock
from amodal_rt.domain.connection import Connection
from amodal_rt.operations import asked, shapes
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import Caller, Catalogue, Ledger, OwnEvents


class Probe(Protocol):
    """Looks through a connection as a run would."""

    async def tools(self, connection: Connection) -> Sequence[Mapping[str, object]]:
        """`{name, intent, description, rule}` of each tool or known endpoint."""
        ...

    def failure(self, connection: Connection) -> str | None:
        """Why it was not available when it was last needed, if it was not. Asks nobody."""
        ...

    async def approve(
        self, connection: Connection, names: tuple[str, ...] | None, caller: Caller
    ) -> Sequence[str]:
        """Let tools that are off be called as they are now; their names."""
        ...

    async def test(self, connection: Connection) -> Mapping[str, object]:
        """`{ok, status, detail}` of one read."""
        ...


class Connections:
    """Answers from the newest snapshot, and by asking the other end."""

    def __init__(self, catalogue: Catalogue, probe: Probe) -> None:
        self._catalogue = catalogue
        self._probe = probe
        self._own: OwnEvents | None = None

    def speak_with(self, own: OwnEvents) -> None:
        """From now on, say on the bus which connections answer."""
        self._own = own

    async def list_all(self, caller: Caller) -> list[Document]:
        """All, by name, with what each still needs, or why it failed when it was last needed."""
        environment = self._catalogue.environment()
        found = sorted(self._catalogue.snapshot().connections.items())
        rows: list[Document] = []
        for _, each in found:
            missing = environment.missing(each.secrets)
            row = shapes.connection(each, missing=missing)
            failure = None if missing else self._probe.failure(each)
            rows.append(row | {"state": f"failed: {failure}"} if failure else row)
        return rows

    async def tools(self, caller: Caller, name: str) -> list[Document]:
        """What it offers, each read, write or unknown, and the rule that says so."""
        return [dict(each) for each in await self._probe.tools(self._get(name))]

    async def approve(self, caller: Caller, name: str, tools: Sequence[str] | None) -> Document:
        """Approve tools that changed or are new, all or those named; `{connection, approved}`."""
        names = None if tools is None else tuple(tools)
        approved = await self._probe.approve(self._get(name), names, caller)
        return {"connection": name, "approved": list(approved)}

    async def test(self, caller: Caller, name: str) -> Document:
        """One read through it."""
        found = dict(await self._probe.test(self._get(name)))
        if self._own is not None:
            self._own.connection(name, ok=found["ok"] is True, detail=str(found.get("detail")))
        return found

    def _get(self, name: str) -> Connection:
        connections = self._catalogue.snapshot().connections
        if name not in connections:
            raise asked.unknown("connection", name, connections)
        return connections[name]


class Stores:
    """What runs have kept."""

    def __init__(self, catalogue: Catalogue, ledger: Ledger, *, clock: Clock) -> None:
        self._catalogue = catalogue
        self._ledger = ledger
        self._clock = clock

    async def list_all(self, caller: Caller) -> list[Document]:
        """The stores of the workspace with how many values each holds."""
        counts = await self._ledger.count_items()
        return [
            {"name": name, "count": counts.get(name, 0), "description": store.description}
            for name, store in sorted(self._catalogue.snapshot().stores.items())
        ]

    async def show(self, caller: Caller, name: str, *, limit: int = 100) -> list[Document]:
        """The newest values of one store. Raises NotFoundError."""
        stores = self._catalogue.snapshot().stores
        if name not in stores:
            raise asked.unknown("store", name, stores)
        items = await self._ledger.query(name, now=self._clock.now(), limit=limit)
        return [shapes.store_item(each) for each in items]
