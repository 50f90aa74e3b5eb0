"""One claimed run, from its claim to its outcome."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Protocol, TypeVar

from amodal_rt.clock import Clock
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.delivery import FailureState, Plan
from amodal_rt.domain.event import Event
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import AWAITING_APPROVAL, UNKNOWN_WRITE, Outcome, Waiting, failed
from amodal_rt.domain.profile import RunProfile
from amodal_rt.domain.run import FailedReason, Run, RunStatus
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.engine.ending import raised, retry_at, stopped
from amodal_rt.engine.masking import masked
from amodal_rt.engine.recovery import (
    Next,
    Ruling,
    entries_of,
    interrupted,
    seconds_left,
    tries_of,
)
from amodal_rt.engine.run_journal import RunJournal
from amodal_rt.engine.supervisor import Stop, Supervisor
from amodal_rt.errors import UnavailableError
from amodal_rt.failpoints import hit
from amodal_rt.logs import Log
from amodal_rt.ports import (
    EVENTS,
    OUTBOX,
    PARKED,
    EventLedger,
    EventRecord,
    Executor,
    JournalLedger,
    Lease,
    OutcomePlanner,
    OwnEvents,
    RunContext,
    RunLedger,
    RunRef,
    Signals,
    VersionedCatalogue,
    journal_topic,
)

T = TypeVar("T")
_NOT_KEPT = "the version that the run began with is not kept, and another one may not go on"
_RETRY_SECONDS = 1.0
_log = Log("engine")


class CarrierLedger(RunLedger, EventLedger, JournalLedger, Protocol):
    """What carrying needs of the ledger."""


class Carrier:
    """Carries one claimed run to its outcome.

    A run leaves exactly once and always with an outcome: an executor that raises, hangs or
    is cancelled still ends as a row in the ledger.
    """

    def __init__(
        self,
        *,
        ledger: CarrierLedger,
        catalogue: VersionedCatalogue,
        executor: Executor,
        planner: OutcomePlanner,
        signals: Signals,
        clock: Clock,
        mask: Callable[[str], str],
        lease: Lease,
    ) -> None:
        self._ledger = ledger
        self._catalogue = catalogue
        self._executor = executor
        self._lease = lease
        self._planner = planner
        self._signals = signals
        self._clock = clock
        self._mask = mask
        self.own: OwnEvents | None = None
        """What says on the bus how runs begin and end."""

    async def carry(
        self,
        run: Run,
        supervisor: Supervisor,
        cut_off: Callable[[Run], Awaitable[Ruling]],
    ) -> None:
        """Execute the run and commit what became of it. `cut_off` rules over a run that this
        process must stop in the middle."""
        snapshot = self._catalogue.snapshot()
        definition = snapshot.find_for(run)
        journal = RunJournal(
            run,
            self._ledger,
            signals=self._signals,
            clock=self._clock,
            mask=self._mask,
            fenced=lambda: supervisor.stop(Stop.LOST),
        )
        if definition is None:
            ended: Outcome | Waiting | Stop = _cannot_run(run, snapshot)
            # Whom to tell of it still stands in the version that cannot run.
            definition = self.definition_of(run)
        elif run.fault is not None:
            # What it should have been asked could not be said: no model can help.
            ended = failed(FailedReason.ERROR, run.fault)
        elif (begun := await self._begun_with(run, definition)) is None:
            ended = failed(FailedReason.INTERRUPTED, _NOT_KEPT)
        else:
            definition = begun
            ended = await self._execute(run, definition, snapshot, journal, supervisor)
        journal.close()
        if ended is Stop.LOST:
            _log.warning("run.abandoned", run=run.run_id, term=run.term)
            return
        if isinstance(ended, Stop):
            ruling = await self._durably(lambda: cut_off(run))
            if ruling.next is not Next.FAIL:
                self._signals.notify(journal_topic(run.run_id))
                return
            ended = interrupted(ruling)
        if isinstance(ended, Waiting):
            await self._durably(lambda: self._ledger.park(run, ended, at=self._clock.now()))
            self._signals.notify(journal_topic(run.run_id))
            return
        await self.settle(run, ended, definition, wrote=journal.wrote)

    async def settle(
        self, run: Run, outcome: Outcome, definition: Definition | None, *, wrote: bool
    ) -> None:
        """Commit the outcome with what it owes, or send the run back for another attempt."""
        outcome = self._masked(outcome)
        tries = await self._tries(run, outcome)
        now = self._clock.now()
        again = retry_at(run, outcome, definition, tries=tries, wrote=wrote, now=now)
        definition = definition or await self._version_of(run)
        try:
            written = await self._finish(run, outcome, definition, again)
        except Exception as error:  # noqa: BLE001  a run leaves always, whatever its outcome holds
            _log.exception("run.outcome_refused", error, run=run.run_id)
            text = f"the outcome could not be recorded: {type(error).__name__}"
            outcome = failed(FailedReason.ERROR, text)
            again = None
            written = await self._finish(run, outcome, definition, again)
        if not written:
            _log.warning("run.fenced", run=run.run_id, term=run.term)
            return
        self._announce(run, outcome, again)

    async def _tries(self, run: Run, outcome: Outcome) -> int:
        """How often it began afresh; asked of the journal only where its row cannot tell."""
        if not run.resumes or outcome.status is not RunStatus.FAILED:
            return run.attempt
        return await self._durably(lambda: tries_of(self._ledger, run))

    async def _begun_with(self, run: Run, current: Definition) -> Definition | None:
        """The version that a resumed run began with, or None where it is gone: half of the
        work would be done by other instructions. What the file does not allow any more is not
        done."""
        if not run.resumes or run.definition == current.hash:
            return current
        found = await self._durably(
            lambda: self._catalogue.find_version(run.automation, run.definition)
        )
        if found is None or current.automation.write_enabled:
            return found
        asks = current.automation.proposes and _may_write(found)
        lesser = replace(found.automation, write_enabled=False, proposes=asks)
        return replace(found, automation=lesser)

    def definition_of(self, run: Run) -> Definition | None:
        """The version of the run's automation that stands, even where it cannot run now."""
        state = self._catalogue.snapshot().automations.get(run.automation)
        return state.definition if state else None

    async def _version_of(self, run: Run) -> Definition | None:
        """The version that the run names: whom to tell stands there, where the file is gone or
        has another name now."""
        find = self._catalogue.find_version
        try:
            return await self._durably(lambda: find(run.automation, run.definition))
        except Exception as error:  # noqa: BLE001  the run leaves, told or not
            _log.exception("run.version_unreadable", error, run=run.run_id)
            return None

    async def _finish(
        self,
        run: Run,
        outcome: Outcome,
        definition: Definition | None,
        again: datetime | None,
    ) -> bool:
        now = self._clock.now()
        settings = self._catalogue.snapshot().settings
        say = self.own.ending(run) if self.own else None
        said = dict[str, tuple[Event, ...]]()

        def plan(state: FailureState) -> Plan:
            made = Plan()
            try:
                if definition is not None:
                    made = self._planner.plan(run, outcome, definition, state, now)
                if UNKNOWN_WRITE in outcome.notes and not made.messages:
                    made = self._planner.plan_unknown_write(run, outcome, settings, now)
            except Exception as error:  # noqa: BLE001  the outcome counts, told or not
                _log.exception("run.plan_failed", error, run=run.run_id)
                made = Plan(notes=(f"nothing is delivered: {type(error).__name__} in planning",))
            made = replace(made, notes=tuple(map(self._mask, made.notes)))
            if say is None:
                return made
            said["events"] = say(outcome, made.reason or outcome.reason, now)
            return replace(made, events=(*made.events, *said["events"]))

        written = await self._durably(
            lambda: self._ledger.finish(run, outcome, at=now, plan=plan, retry_at=again)
        )
        if written and said.get("events"):
            self._signals.notify(EVENTS)
        elif written and self.own and outcome.status is RunStatus.SKIPPED:
            # It owes nothing, and so nothing was planned for it.
            skipped = RunRef(run_id=run.run_id, automation=run.automation, status=outcome.status)
            self.own.note([skipped])
        return written

    async def _execute(
        self,
        run: Run,
        definition: Definition,
        snapshot: Snapshot,
        journal: RunJournal,
        supervisor: Supervisor,
    ) -> Outcome | Waiting | Stop:
        """How the run ended, or why it did not: it is LOST, or INTERRUPTED."""
        timeout = definition.automation.limits.timeout
        seconds = timeout.total_seconds()
        if run.resumes:
            before = await self._durably(lambda: entries_of(self._ledger, run))
            seconds = seconds_left(before, timeout)

        async def work() -> Outcome | Waiting:
            context = await self._context(run, definition, snapshot, journal)
            hit("run.before_execute")
            return await self._executor.execute(context)

        try:
            ended = await supervisor.watch(work(), seconds=seconds)
            hit("run.after_execute")
        except Exception as error:  # noqa: BLE001  whatever it is, the run has failed
            if supervisor.why is Stop.LOST:
                return Stop.LOST
            _log.warning("run.raised", run=run.run_id, error=self._mask(repr(error)))
            return raised(error, self._mask)
        if ended is Stop.DEADLINE or ended is Stop.CANCELLED:
            return stopped(ended, timeout)
        return ended

    async def _context(
        self, run: Run, definition: Definition, snapshot: Snapshot, journal: RunJournal
    ) -> RunContext:
        data: dict[str, object] = {"trigger": run.trigger.value, "definition": definition.hash}
        profile = run.profile or _profile(definition, snapshot)
        if profile is not None:
            data |= {"profile": profile.label, "isolation": profile.isolation.value}
        # Asked for together, the two writes share one commit: a model waits for no second flush.
        bind, previous = self._ledger.bind, self._ledger.previous
        _, _, event, before = await asyncio.gather(
            self._durably(
                lambda: bind(run.run_id, term=run.term, definition=definition.hash, profile=profile)
            ),
            journal.record(EntryType.RUN_STARTED, data=data),
            self._durably(lambda: self._find_event(run)),
            self._durably(lambda: previous(run.automation, run.conversation_key)),
        )
        if self.own and not run.resumes:
            await self.own.begun(run)
        _log.info("run.started", run=run.run_id, automation=run.automation, attempt=run.attempt)
        return RunContext(
            run=replace(run, definition=definition.hash, profile=profile),
            definition=definition,
            snapshot=snapshot,
            environment=self._catalogue.environment(),
            journal=journal,
            lease=self._lease,
            event=event.event if event else None,
            previous=before,
        )

    async def _find_event(self, run: Run) -> EventRecord | None:
        return await self._ledger.find_event(run.event_id) if run.event_id else None

    def _masked(self, outcome: Outcome) -> Outcome:
        return replace(
            outcome,
            error=self._mask(outcome.error) if outcome.error else None,
            text=self._mask(outcome.text) if outcome.text else outcome.text,
            payload=masked(outcome.payload, self._mask),
            output=tuple(self._mask(line) for line in outcome.output),
        )

    async def _durably(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Try until the ledger answers: a full disk must not lose an outcome, nor a database
        that is away fail a run."""
        while True:
            try:
                return await ask()
            except UnavailableError as error:
                _log.error("run.ledger_waits", code=error.code, error=error.message)
                await self._clock.sleep(_RETRY_SECONDS)

    def _announce(self, run: Run, outcome: Outcome, again: datetime | None) -> None:
        self._signals.notify(journal_topic(run.run_id))
        self._signals.notify(OUTBOX)
        if outcome.reason == AWAITING_APPROVAL:
            self._signals.notify(PARKED)
        name = "run.retried" if again else "run.finished"
        level = _log.info if outcome.status is not RunStatus.FAILED else _log.warning
        level(
            name,
            run=run.run_id,
            automation=run.automation,
            status=outcome.status.value,
            reason=outcome.reason,
            error=outcome.error,
        )


def _may_write(definition: Definition) -> bool:
    return definition.automation.write_enabled or definition.automation.proposes


def _profile(definition: Definition, snapshot: Snapshot) -> RunProfile | None:
    """The version that a run that begins now has, as it goes on record."""
    found = snapshot.profile_of(definition.automation)
    if found is None:
        return None
    return RunProfile(label=found.label, hash=found.hash, isolation=found.isolation)


def _cannot_run(run: Run, snapshot: Snapshot) -> Outcome:
    """Between its start and its claim, the automation went away or became invalid."""
    state = snapshot.automations.get(run.automation)
    if state is None:
        return Outcome(status=RunStatus.CANCELLED, error="the automation was deleted")
    wrong = next(iter(state.blocked or state.problems), None)
    text = wrong.sentence() if wrong else "no version of it can run"
    return failed(FailedReason.ERROR, f"the automation is invalid: {text}")
