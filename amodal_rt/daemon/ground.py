"""What the house stands on: the ledger, the workspace and its files, the clock and the signals."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from amodal_rt.clock import Clock
from amodal_rt.daemon.ledgers import ledger_of
from amodal_rt.daemon.neighbours import SharedSignals
from amodal_rt.daemon.nodes import LocalLease
from amodal_rt.daemon.telling import Telling
from amodal_rt.delivery.callbacks import Callbacks
from amodal_rt.domain.automation import Lifecycle
from amodal_rt.ids import Ids
from amodal_rt.operations.identities import Edit
from amodal_rt.workspace.reading import IDENTITIES
from amodal_rt.workspace.rewrite import Witness, edit_file, set_status
from amodal_rt.workspace.service import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What everything else stands on; built at once, opened by the lifecycle."""

    root: Path
    state: Path
    clock: Clock
    ids: Ids
    signals: SharedSignals
    callbacks: Callbacks
    ledger: Telling
    lease: LocalLease
    workspace: Workspace

    async def write_status(self, name: str, status: Lifecycle, witness: Witness) -> None:
        """As `operations.automations.WriteStatus`."""
        await asyncio.to_thread(set_status, self.root, name, status, witness)
        await self.workspace.reload()

    async def write_identities(self, edit: Edit, witness: Witness) -> None:
        """As `operations.identities.WriteIdentities`."""
        await asyncio.to_thread(edit_file, self.root, IDENTITIES, edit, witness)
        await self.workspace.reload()


def lay_ground(
    root: Path, state: Path, *, variables: Mapping[str, str], clock: Clock, ids: Ids
) -> Ground:
    """The ledger and the workspace of `root`, neither of them open. Raises as `ledger_of`."""
    signals = SharedSignals()
    ledger = ledger_of(root, state, variables=variables, clock=clock, ids=ids)
    workspace = Workspace(root, archive=ledger, signals=signals, clock=clock, process_env=variables)
    return Ground(
        root=root,
        state=state,
        clock=clock,
        ids=ids,
        signals=signals,
        callbacks=Callbacks(),
        ledger=ledger,
        lease=LocalLease(clock),
        workspace=workspace,
    )
