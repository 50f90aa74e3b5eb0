"""The record, read and checked beside whoever writes it: `ports.AuditLedger`."""

from amodal_rt.domain.chain import Head, Verdict
from amodal_rt.domain.trail import TrailFilter, TrailRow
from amodal_rt.storage import sealing
from amodal_rt.storage.dialect import driver
from amodal_rt.storage.part import Part
from amodal_rt.storage.trail import trail_rows
from amodal_rt.storage.verifying import Verification


class AuditRows(Part):
    """`ports.AuditLedger` over a database."""

    async def trail(self, wanted: TrailFilter) -> list[TrailRow]:
        return await self._database.read(lambda connection: trail_rows(driver(connection), wanted))

    async def head(self) -> Head:
        return await self._database.read(lambda connection: sealing.head_of(driver(connection)))

    async def verify(self, kept: Head | None = None) -> Verdict:
        verification = Verification(kept)
        while await self._database.read(lambda connection: verification.step(driver(connection))):
            pass
        return verification.verdict()
