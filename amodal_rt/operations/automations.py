"""The verbs of automations."""

from collections.abc import Awaitable, Callable

from amodal_rt.clock import Clock
from amodal_rt.domain.automation import Lifecycle
from amodal_rt.domain.cause import Cause
from amodal_rt.domain.invocation import InvokeAuth
from amodal_rt.domain.run import Run
from amodal_rt.domain.workspace import AutomationState
from amodal_rt.errors import ConflictError, NotFoundError
from amodal_rt.operations import automation_shapes, planning
from amodal_rt.operations.address import Address
from amodal_rt.operations.automation_shapes import Standing
from amodal_rt.operations.changes import Changes, Told
from amodal_rt.operations.facts import KnownFacts
from amodal_rt.operations.given import given_by_hand
from amodal_rt.operations.parked import counts_of
from amodal_rt.operations.shapes import Document
from amodal_rt.operations.starting import Starting, require_startable, runnable
from amodal_rt.operations.upcoming import Upcoming
from amodal_rt.operations.watched import Watched, noted, noted_in_full
from amodal_rt.ports import Caller, Catalogue, Ledger, LiveDates, OwnEvents
from amodal_rt.triggers.holds import creator_rule
from amodal_rt.workspace.rewrite import Witness

AUTOMATION = "automation"
"""The kind of an automation's versions in the archive."""
WriteStatus = Callable[[str, Lifecycle, Witness], Awaitable[None]]
"""Writes `status` into an automation's file, everything else kept as it was; live on return. The
witness is told right before.

Raises DeniedError (`read_only`), ConflictError, InvalidError or UnavailableError.
"""


class Automations:
    """What the files define, joined with what the ledger knows."""

    def __init__(
        self,
        catalogue: Catalogue,
        ledger: Ledger,
        facts: KnownFacts,
        starting: Starting,
        *,
        address: Address,
        write_status: WriteStatus,
        changes: Changes,
        clock: Clock,
    ) -> None:
        self._catalogue = catalogue
        self._ledger = ledger
        self._facts = facts
        self._starting = starting
        self._address = address
        self._write_status = write_status
        self._changes = changes
        self._clock = clock
        self._upcoming = Upcoming(clock)
        self._own: OwnEvents | None = None
        self._watched: Watched = _nothing

    def speak_with(self, own: OwnEvents) -> None:
        """From now on, say on the bus what is paused and resumed."""
        self._own = own

    def watch_with(self, watched: Watched) -> None:
        """From now on, show the triggers that MCP servers watch."""
        self._watched = watched

    async def list_all(self, caller: Caller) -> list[Document]:
        """All automations, by name."""
        rows: list[Document] = []
        for standing in await self.standings():
            watched = self._watched(standing.state.name)
            rows.append(noted(automation_shapes.automation(standing), watched))
            await self._breathe(len(rows))
        return rows

    async def show(self, caller: Caller, name: str) -> Document:
        """One automation, whole. Raises NotFoundError with the nearest name."""
        state = self._starting.state(name)
        standing = await self._standing(state)
        document = automation_shapes.automation_in_full(
            standing, local_only=self._address.local_only
        )
        document["approvals"] = await counts_of(self._ledger, name)
        return noted_in_full(document, self._watched(name), state)

    async def powers(self, caller: Caller, name: str) -> Document:
        """What it may do, by its file and those beside it, as `planning.powers`. Raises
        NotFoundError, InvalidError where there is no version of it."""
        state = self._starting.state(name)
        found = planning.powers(state.definition or runnable(state), self._catalogue.snapshot())
        return {**found, "approvals": await counts_of(self._ledger, name)}

    async def pause(self, caller: Caller, name: str, *, reason: str | None = None) -> Document:
        """Nothing of it starts until resumed; its pending runs are cancelled."""
        state = self._starting.state(name)
        before = self._facts.of(name)
        # Pausing once more must not wipe out why it was paused.
        why = reason if reason is not None or not before.paused else before.paused_reason
        await self._set_paused(caller, state, paused=True, reason=why)
        await self._facts.refresh()
        return await self.show(caller, name)

    async def pause_all(self, caller: Caller, *, reason: str | None = None) -> list[Document]:
        """Pause every automation that is not paused yet; returns all of them."""
        for state in self._catalogue.snapshot().automations.values():
            if not self._facts.of(state.name).paused:
                await self._set_paused(caller, state, paused=True, reason=reason)
        await self._facts.refresh()
        return await self.list_all(caller)

    async def resume(self, caller: Caller, name: str) -> Document:
        """Let it run again. Raises ConflictError (`paused_by_file`), naming file and line."""
        state = self._starting.state(name)
        definition = state.definition
        if definition and definition.automation.status is not Lifecycle.ACTIVE:
            raise ConflictError(
                f'"{definition.automation.title}" is {definition.automation.status} by its file: '
                f"{definition.place('/status')}",
                code="paused_by_file",
                hint=f"change it there, or run: ops automations activate {name}",
            )
        if self._facts.of(name).paused:
            await self._set_paused(caller, state, paused=False, reason=None)
            await self._facts.refresh()
        return await self.show(caller, name)

    async def activate(self, caller: Caller, name: str) -> Document:
        """Write `status: active` into its file.

        Raises InvalidError for what could not run then: a broken file, a workflow that is invalid
        or has no trigger node for what starts it, an unset variable. ConflictError,
        UnavailableError.
        """
        require_startable(self._starting.state(name))
        return await self._write(caller, name, Lifecycle.ACTIVE, "automation.activated")

    async def reset(self, caller: Caller, name: str) -> Document:
        """Write `status: draft` into its file."""
        return await self._write(caller, name, Lifecycle.DRAFT, "automation.reset")

    async def rotate_url(self, caller: Caller, name: str) -> Document:
        """Give it a new webhook URL; the old one is unknown from now on.

        Raises ConflictError (`no_webhook`) for an automation that has none.
        """
        state = self._starting.state(name)
        if state.definition is None or state.definition.automation.webhook is None:
            raise ConflictError(f"{name} has no webhook trigger", code="no_webhook")
        await self._ledger.rotate(name, caller=caller, at=self._clock.now())
        await self._address.refresh()
        await self._facts.refresh()
        return await self.show(caller, name)

    async def trigger(
        self,
        caller: Caller,
        name: str,
        *,
        payload: object = None,
        rehearse: bool = False,
        shown: InvokeAuth | None = None,
        cause: Cause | None = None,
    ) -> Document:
        """Start a run by hand, or for the run `cause`; returns at once with its document.

        Where the file says what a caller may give, it holds here too: raises as `given_by_hand`,
        for which `shown` is what the caller proved itself with, and as `Starting.start`.
        """
        definition = self._starting.definition(name, rehearse=rehearse)
        given = await given_by_hand(payload, definition, shown)
        return await self._starting.start(
            name, caller=caller, payload=given, rehearse=rehearse, cause=cause
        )

    def require(self, name: str) -> None:
        """Raise NotFoundError unless there is an automation of that name."""
        self._starting.state(name)

    async def require_known(self, name: str) -> None:
        """Raise NotFoundError unless there is such an automation, or ever was one, or a run of
        it."""
        try:
            self.require(name)
        except NotFoundError:
            if await self._ledger.versions_of(AUTOMATION, name, limit=1):
                return
            if name not in await self._ledger.last_runs():
                raise

    async def _write(self, caller: Caller, name: str, status: Lifecycle, action: str) -> Document:
        self._starting.state(name)
        told = Told(action=action, subject=name, data={"status": status.value})
        await self._changes.make(
            caller, lambda: told, lambda witness: self._write_status(name, status, witness)
        )
        return await self.show(caller, name)

    async def _set_paused(
        self, caller: Caller, state: AutomationState, *, paused: bool, reason: str | None
    ) -> None:
        now = self._clock.now()
        await self._ledger.set_paused(
            state.name, paused=paused, reason=reason, caller=caller, at=now
        )
        if self._own is not None:
            await self._own.tell(
                "automation.paused" if paused else "automation.resumed",
                source=f"/automations/{state.name}",
                subject=state.name,
                data={"automation": state.name, "reason": reason, "by": caller.actor},
            )

    async def standings(self) -> list[Standing]:
        """What the documents of all automations are made of, by name."""
        runs, dates = await self._ledger.last_runs(), await self._ledger.live_dates(AUTOMATION)
        automations = self._catalogue.snapshot().automations
        standings: list[Standing] = []
        for name, state in sorted(automations.items()):
            standings.append(self._stand(state, runs.get(name), dates.get(name)))
            await self._breathe(len(standings))
        return standings

    async def standing(self, name: str) -> Standing:
        """What the document of one is made of. Raises NotFoundError."""
        return await self._standing(self._starting.state(name))

    async def _breathe(self, done: int) -> None:
        # Thousands of rows in one go would keep every webhook waiting.
        if done % 100 == 0:
            await self._clock.sleep(0)

    async def _standing(self, state: AutomationState) -> Standing:
        runs, dates = await self._ledger.last_runs(), await self._ledger.live_dates(AUTOMATION)
        return self._stand(state, runs.get(state.name), dates.get(state.name))

    def _stand(
        self, state: AutomationState, last_run: Run | None, dates: LiveDates | None
    ) -> Standing:
        facts = self._facts.of(state.name)
        definition = state.definition
        runs = state.runnable and definition and automation_shapes.effective(definition, facts)
        has_webhook = definition is not None and definition.automation.webhook is not None
        identities = self._catalogue.snapshot().identities
        nobody = creator_rule(definition, identities) if definition else None
        return Standing(
            state=state,
            facts=facts,
            last_run=last_run,
            creator_rule=nobody,
            dates=dates,
            next_run_at=self._upcoming.next_run_at(definition)
            if definition and runs is Lifecycle.ACTIVE and nobody is None
            else None,
            webhook_url=self._address.webhook(state.name) if has_webhook else None,
        )


def _nothing(name: str) -> tuple[()]:
    """Where no server is asked to watch."""
    return ()
