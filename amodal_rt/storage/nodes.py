"""Which daemons live: `ports.NodeLedger`."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from sqlalchemy import Connection, delete, func, insert, or_, select, text, update

from amodal_rt.clock import from_millis
from amodal_rt.domain.node import NodeRecord
from amodal_rt.ports import LAPSED
from amodal_rt.storage import tables
from amodal_rt.storage.part import Part
from amodal_rt.storage.rows import Row, instant

_NODES = tables.nodes.c
_RUNS = tables.runs.c
_TOLD = timedelta(days=1)
"""How long a node that is gone is listed."""


class NodeRows(Part):
    """`ports.NodeLedger`. A life that was retired claims, takes over and renews nothing."""

    _sole = True
    """Whether only one process can hold this ledger: then no lease ends by time alone."""
    _holds: str | None = None

    @property
    def node_id(self) -> str:
        return self._node

    async def join(self, *, host: str, pid: int, version: str, lease: timedelta) -> str:
        former, fresh, holds = self._node, self._ids.node(), self._holds

        def work(connection: Connection) -> str:
            now = self._moment(connection)
            _retire(connection, now, None if self._sole else [former])
            connection.execute(delete(tables.nodes).where(_NODES.gone_at <= now - _millis(_TOLD)))
            connection.execute(
                insert(tables.nodes).values(
                    id=fresh,
                    host=host,
                    pid=pid,
                    version=version,
                    started_at=now,
                    seen_at=now,
                    expires_at=now + _millis(lease),
                    holds=holds,
                )
            )
            return fresh

        self._node = await self._database.write(work)
        self._lives.add(fresh)
        self._joined = True
        if self._holds != holds:
            await self._tell_holdings()
        return fresh

    async def renew(self, *, lease: timedelta) -> bool:
        node = self._node

        def work(connection: Connection) -> bool:
            now = self._moment(connection)
            statement = (
                update(tables.nodes)
                .where(_NODES.id == node, _NODES.gone_at.is_(None))
                .values(seen_at=now, expires_at=now + _millis(lease))
            )
            return connection.execute(statement).rowcount > 0

        return await self._database.write(work)

    async def leave(self) -> None:
        node = self._node
        await self._database.write(
            lambda connection: _retire(connection, self._moment(connection), [node])
        )

    async def retire_lapsed(self) -> list[str]:
        if self._sole:
            return []
        node = self._node

        def lapsed(connection: Connection) -> list[str]:
            query = (
                select(_NODES.id)
                .where(_NODES.gone_at.is_(None), _NODES.id != node)
                .where(_NODES.expires_at <= self._moment(connection))
                .order_by(_NODES.id)
            )
            return list(connection.execute(query).scalars())

        def work(connection: Connection) -> list[str]:
            found = lapsed(connection) if self._may_act(connection, node) else []
            _retire(connection, self._moment(connection), found)
            return found

        # Asked every second: what is nearly always in vain must not cost a commit.
        if not await self._database.read(lapsed):
            return []
        return await self._database.write(work)

    async def list_nodes(self) -> list[NodeRecord]:
        carried = (
            select(func.count())
            .where(text(f"runs.{tables.RUNNING}"), _RUNS.node == _NODES.id)
            .correlate(tables.nodes)
            .scalar_subquery()
        )

        def work(connection: Connection) -> list[NodeRecord]:
            since = self._moment(connection) - _millis(_TOLD)
            query = (
                select(tables.nodes, carried.label("running"))
                .where(or_(_NODES.gone_at.is_(None), _NODES.gone_at > since))
                .order_by(_NODES.gone_at.is_not(None), _NODES.started_at.desc(), _NODES.id.desc())
            )
            return [_to_node(row) for row in connection.execute(query).mappings()]

        return await self._database.read(work)

    async def hold(self, holdings: Mapping[str, Collection[str]]) -> None:
        self._holds = json.dumps({name: sorted(each) for name, each in holdings.items()})
        await self._tell_holdings()

    async def held_by_others(
        self, *, seen_within: timedelta | None = None
    ) -> Mapping[str, frozenset[str]]:
        if self._sole:
            return {}
        query = select(_NODES.holds).where(_NODES.id != self._node, _NODES.holds.is_not(None))

        def work(connection: Connection) -> list[str]:
            now = self._moment(connection)
            if seen_within is None:
                lives = _NODES.gone_at.is_(None) & (_NODES.expires_at > now - _millis(LAPSED))
            else:
                lives = _NODES.seen_at >= now - _millis(seen_within)
            return list(connection.execute(query.where(lives)).scalars())

        found: dict[str, frozenset[str]] = {}
        for said in await self._database.read(work):
            for name, fingerprints in json.loads(said).items():
                found[name] = found.get(name, frozenset()).union(fingerprints)
        return found

    async def _tell_holdings(self) -> None:
        node, holds = self._node, self._holds
        if self._sole:
            # Nobody else can ask.
            return
        statement = update(tables.nodes).where(_NODES.id == node).values(holds=holds)

        def work(connection: Connection) -> None:
            connection.execute(statement)

        await self._database.write(work)


def _retire(connection: Connection, now: int, nodes: Sequence[str] | None) -> None:
    """End these lives; all of them for None."""
    statement = update(tables.nodes).where(_NODES.gone_at.is_(None)).values(gone_at=now)
    if nodes is not None:
        statement = statement.where(_NODES.id.in_(list(nodes)))
    connection.execute(statement)


def _millis(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


def _to_node(row: Row) -> NodeRecord:
    return NodeRecord(
        node_id=row["id"],
        host=row["host"],
        pid=row["pid"],
        version=row["version"],
        started_at=from_millis(row["started_at"]),
        seen_at=from_millis(row["seen_at"]),
        expires_at=from_millis(row["expires_at"]),
        gone_at=instant(row["gone_at"]),
        running=row["running"],
    )
