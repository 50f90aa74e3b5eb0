"""The bus in the ledger: events that wait to be matched, and those who watch for more."""

from collections.abc import Sequence
from typing import Protocol

from amodal_rt.domain.event import Event
from amodal_rt.domain.remote_trigger import RemoteTrigger
from amodal_rt.domain.run import Start
from amodal_rt.ports.audit import Act
from amodal_rt.ports.runs import RunRef


class BusLedger(Protocol):
    """Events from inside: stored with what caused them, matched in a transaction of their own.

    Those that `RunLedger.finish` is told of by its plan are stored in the same way.
    """

    async def emit(
        self,
        event: Event,
        *,
        step: str | None = None,
        parent: str | None = None,
        attempt: int = 1,
        term: int | None = None,
    ) -> bool:
        """Store an event that is still to be matched. False, and nothing written, when an event
        of its id is there.

        With `step`, together with an `event.emitted` entry in the journal of the run that is its
        `cause`. With `term`, raises ConflictError (`fenced`) and writes nothing unless that run
        is running under it. With either, raises NotFoundError when there is no such run.
        """
        ...

    async def unmatched(self, *, limit: int) -> list[Event]:
        """Events that wait to be matched, oldest first."""
        ...

    async def match(
        self, event_id: str, *, starts: Sequence[Start], missed: int
    ) -> list[RunRef] | None:
        """Rule on the starts of an event that waits, and count what it missed, in one
        transaction; it waits no longer. None, and nothing written, when it does not wait: of
        two nodes only one matches it."""
        ...

    async def replay(
        self, event_id: str, *, starts: Sequence[Start], act: Act | None = None
    ) -> list[RunRef]:
        """Rule on starts of an event once more, in one transaction with `act`; one ref each.
        A start whose automation has a run
        of it that was not skipped becomes `skipped/duplicate`. One that still waited to be
        matched waits no longer: these are its starts. Raises NotFoundError."""
        ...


class RemoteTriggerLedger(Protocol):
    """Which triggers MCP servers watch for us, and what each calls back with."""

    async def remote_triggers(self) -> list[RemoteTrigger]:
        """All of them, by automation and key."""
        ...

    async def set_remote_trigger(self, trigger: RemoteTrigger) -> None:
        """Insert or replace by (automation, key)."""
        ...

    async def remove_remote_trigger(self, automation: str, key: str) -> None:
        """Forget one: its token opens nothing from now on."""
        ...
