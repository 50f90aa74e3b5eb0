"""Which daemons live: `ports.NodeLedger`. Leases count by the clock of the ledger."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from amodal_rt.domain.node import NodeRecord
from amodal_rt.domain.run import Run
from amodal_rt.ports import LAPSED
from amodal_rt.testing.ledger.part import Part

_TOLD = timedelta(days=1)


class NodeRows(Part):
    """`ports.NodeLedger` in memory, as over a database that several nodes share."""

    _holds: Mapping[str, frozenset[str]] | None = None

    @property
    def node_id(self) -> str:
        return self._node

    async def join(self, *, host: str, pid: int, version: str, lease: timedelta) -> str:
        former, fresh, holds = self._node, self._ids.node(), self._holds

        def work() -> str:
            now = self._moment()
            nodes = self.store.nodes
            for key in nodes if self.store.sole else [former]:
                self._retire(key, now)
            for key in nodes:
                if (gone := nodes.get(key)) and gone.gone_at and gone.gone_at <= now - _TOLD:
                    nodes.remove(key)
            record = NodeRecord(
                node_id=fresh,
                host=host,
                pid=pid,
                version=version,
                started_at=now,
                seen_at=now,
                expires_at=now + lease,
            )
            nodes.put(fresh, record)
            if holds is not None:
                self.store.holdings.put(fresh, holds)
            return fresh

        self._node = await self._write("join", work)
        self._lives.add(fresh)
        self._joined = True
        if self._holds != holds:
            await self._tell_holdings()
        return fresh

    async def renew(self, *, lease: timedelta) -> bool:
        node = self._node

        def work() -> bool:
            known = self.store.nodes.get(node)
            if known is None or known.gone_at is not None:
                return False
            now = self._moment()
            self.store.nodes.put(node, replace(known, seen_at=now, expires_at=now + lease))
            return True

        return await self._write("renew", work)

    async def leave(self) -> None:
        node = self._node
        await self._write("leave", lambda: self._retire(node, self._moment()))

    async def retire_lapsed(self) -> list[str]:
        node = self._node

        def lapsed() -> list[str]:
            now = self._moment()
            if self.store.sole:
                return []
            return sorted(
                each.node_id
                for each in self.store.nodes.values()
                if each.gone_at is None and each.node_id != node and each.expires_at <= now
            )

        def work() -> list[str]:
            found = lapsed() if self._may_act(node) else []
            for each in found:
                self._retire(each, self._moment())
            return found

        self._check_reach()
        return await self._write("retire_lapsed", work) if lapsed() else []

    async def list_nodes(self) -> list[NodeRecord]:
        self._check_reach()
        since = self._moment() - _TOLD
        carried = [run.node for run in self._running()]
        known = [
            replace(each, running=carried.count(each.node_id))
            for each in self.store.nodes.values()
            if each.gone_at is None or each.gone_at > since
        ]
        known.sort(key=lambda each: (each.started_at, each.node_id), reverse=True)
        return sorted(known, key=lambda each: each.gone_at is not None)

    async def hold(self, holdings: Mapping[str, Collection[str]]) -> None:
        self._holds = {name: frozenset(each) for name, each in holdings.items()}
        await self._tell_holdings()

    async def held_by_others(
        self, *, seen_within: timedelta | None = None
    ) -> Mapping[str, frozenset[str]]:
        self._check_reach()
        now = self._moment()
        found: dict[str, frozenset[str]] = {}
        for each in self.store.nodes.values() if not self.store.sole else ():
            if seen_within is None:
                lives = each.gone_at is None and each.expires_at > now - LAPSED
            else:
                lives = each.seen_at >= now - seen_within
            if not lives or each.node_id == self._node:
                continue
            for name, fingerprints in (self.store.holdings.get(each.node_id) or {}).items():
                found[name] = found.get(name, frozenset[str]()) | fingerprints
        return found

    async def _tell_holdings(self) -> None:
        node, holds = self._node, self._holds
        assert holds is not None, "told after it was said"
        await self._write("hold", lambda: self.store.holdings.put(node, holds))

    def _running(self) -> list[Run]:
        return [row.run for row in self.store.runs.rows(self.store.runs.running)]

    def _retire(self, node: str, now: datetime) -> None:
        known = self.store.nodes.get(node)
        if known is not None and known.gone_at is None:
            self.store.nodes.put(node, replace(known, gone_at=now))
