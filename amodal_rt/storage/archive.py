"""Every version that was ever live: `ports.DefinitionArchive`."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, select

from amodal_rt.clock import from_millis, to_millis
from amodal_rt.ports import ArchivedDefinition, LiveDates
from amodal_rt.storage import tables
from amodal_rt.storage.dialect import upsert
from amodal_rt.storage.part import Part
from amodal_rt.storage.rows import Columns, Row


class ArchiveRows(Part):
    """`ports.DefinitionArchive` over a database."""

    async def record_live(self, versions: Sequence[ArchivedDefinition]) -> None:
        rows: list[Columns] = []
        lives: list[Columns] = []
        for version in versions:
            row: Columns = {
                "kind": version.kind,
                "name": version.name,
                "hash": version.hash,
                "file": version.file,
                "recorded_at": to_millis(version.recorded_at),
            }
            rows.append({**row, "document": version.document})
            lives.append({**row, "since": row["recorded_at"]})
        live = upsert(tables.live_definitions)
        live = live.on_conflict_do_update(
            index_elements=["kind", "name"],
            set_={name: live.excluded[name] for name in ("hash", "file", "recorded_at")},
        )

        def work(connection: Connection) -> None:
            connection.execute(upsert(tables.definition_versions).on_conflict_do_nothing(), rows)
            connection.execute(live, lives)

        if rows:
            await self._database.write(work)

    async def live(self) -> list[ArchivedDefinition]:
        versions, live = tables.definition_versions, tables.live_definitions
        query = (
            select(live, versions.c.document)
            .join(
                versions,
                (versions.c.kind == live.c.kind)
                & (versions.c.name == live.c.name)
                & (versions.c.hash == live.c.hash),
            )
            .order_by(live.c.kind, live.c.name)
        )

        def work(connection: Connection) -> list[ArchivedDefinition]:
            return [_to_archived(row) for row in connection.execute(query).mappings()]

        return await self._database.read(work)

    async def live_dates(self, kind: str) -> Mapping[str, LiveDates]:
        columns = tables.live_definitions.c
        query = select(columns.name, columns.since, columns.recorded_at).where(columns.kind == kind)

        def work(connection: Connection) -> Mapping[str, LiveDates]:
            return {
                name: LiveDates(
                    # One that an older release wrote beside this one says only the newer.
                    created_at=from_millis(changed if since is None else since),
                    updated_at=from_millis(changed),
                )
                for name, since, changed in connection.execute(query)
            }

        return await self._database.read(work)

    async def forget_live(self, kind: str, name: str) -> None:
        columns = tables.live_definitions.c
        statement = delete(tables.live_definitions).where(
            columns.kind == kind, columns.name == name
        )

        def work(connection: Connection) -> None:
            connection.execute(statement)

        await self._database.write(work)

    async def find_definition(
        self, hash: str, *, kind: str | None = None, name: str | None = None
    ) -> ArchivedDefinition | None:
        columns = tables.definition_versions.c
        query = (
            select(tables.definition_versions)
            .where(columns.hash == hash)
            .order_by(columns.recorded_at.desc())
            .limit(1)
        )
        if kind is not None:
            query = query.where(columns.kind == kind)
        if name is not None:
            query = query.where(columns.name == name)

        def work(connection: Connection) -> ArchivedDefinition | None:
            row = connection.execute(query).mappings().first()
            return None if row is None else _to_archived(row)

        return await self._database.read(work)

    async def versions_of(
        self, kind: str, name: str, *, limit: int = 100
    ) -> list[ArchivedDefinition]:
        columns = tables.definition_versions.c
        query = (
            select(tables.definition_versions)
            .where(columns.kind == kind, columns.name == name)
            .order_by(columns.recorded_at.desc(), columns.hash)
            .limit(limit)
        )

        def work(connection: Connection) -> list[ArchivedDefinition]:
            return [_to_archived(row) for row in connection.execute(query).mappings()]

        return await self._database.read(work)


def _to_archived(row: Row) -> ArchivedDefinition:
    return ArchivedDefinition(
        kind=row["kind"],
        name=row["name"],
        hash=row["hash"],
        document=row["document"],
        file=row["file"],
        recorded_at=from_millis(row["recorded_at"]),
    )
