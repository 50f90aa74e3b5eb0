"""Watches the workspace as a whole, for what no automation can report about itself."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from amodal_rt.clock import Clock, first_of
from amodal_rt.delivery.budgets import spent_budgets
from amodal_rt.delivery.conditions import COOLDOWN, Conditions, Sighting
from amodal_rt.delivery.overdue import Overdue
from amodal_rt.delivery.sightings import (
    BadFiles,
    disabled_targets,
    full_queue,
    has_room,
    held_tools,
    late_alerts,
    sighting_again,
    still_owed,
    was_told,
)
from amodal_rt.domain.condition import Condition, ConditionKind
from amodal_rt.domain.delivery import Target
from amodal_rt.errors import UnavailableError
from amodal_rt.ids import Ids
from amodal_rt.logs import Log, Spell
from amodal_rt.ports import (
    QUEUE_FULL,
    SNAPSHOT,
    BreakerLedger,
    Catalogue,
    ConditionLedger,
    FactLedger,
    NodeLedger,
    Outbox,
    ScheduleLedger,
    Signals,
    SpendLedger,
)

LOOK_SECONDS = 5.0
"""How often everything is looked at."""
SELDOM_SECONDS = 15.0
"""How often that which takes longer is: schedules, and alerts that are late."""

_log = Log("workspace")


class WatchLedger(
    ConditionLedger,
    BreakerLedger,
    Outbox,
    ScheduleLedger,
    FactLedger,
    NodeLedger,
    SpendLedger,
    Protocol,
):
    """What the watch needs of the ledger."""


class Watch:
    """Begins and ends the workspace's conditions.

    Several nodes watch one ledger: what they see in it they see alike, and each condition is
    ruled on in the ledger. Of a file a node sees its own copy: only the node that saw it
    invalid, or any once that one is gone, says that it is so no more.
    """

    def __init__(
        self,
        *,
        ledger: WatchLedger,
        catalogue: Catalogue,
        signals: Signals,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._ledger = ledger
        self._catalogue = catalogue
        self._signals = signals
        self._clock = clock
        self._conditions = Conditions(
            ledger=ledger, catalogue=catalogue, signals=signals, clock=clock, ids=ids
        )
        self._files = BadFiles(clock)
        self._overdue = Overdue(ledger, clock)
        self._held: Callable[[], Mapping[str, Sequence[str]]] = dict[str, Sequence[str]]
        self._unwatched = Spell(
            _log, clock, event="workspace.not_watched", over="workspace.watched"
        )
        self._seldom: list[Sighting] = []
        self._seldom_at = clock.monotonic()
        self.looked_at: float | None = None
        """When it last saw everything, by the monotonic clock; None before the first time."""
        self.degraded: tuple[str, ...] = ()
        """Alerts that reached nobody, one sentence each."""
        self.overdue: tuple[str, ...] = ()
        """Schedules that are overdue, one sentence each."""
        self.missing: tuple[str, ...] = ()
        """Folders whose files are gone, one sentence each."""

    def watch_tools_with(self, held: Callable[[], Mapping[str, Sequence[str]]]) -> None:
        """From now on, ask `held` which tools of which connections wait for an approval."""
        self._held = held

    async def run(self) -> None:
        """Look every few seconds, and at once when something happened, until cancelled."""
        refused = False
        with self._signals.listen(QUEUE_FULL) as full, self._signals.listen(SNAPSHOT) as snapshot:
            while True:
                try:
                    await self.look(refused=refused)
                    self._unwatched.ended()
                except UnavailableError as error:
                    # What cannot be recorded now is so still, or is over, at the next look.
                    self._unwatched.failed(error=error.message)
                # A defect in here must not end the daemon; the heartbeat stops with it.
                except Exception as error:  # noqa: BLE001
                    _log.exception("workspace.watch_failed", error)
                woken = await first_of(full(), snapshot(), self._clock.sleep(LOOK_SECONDS))
                refused = 0 in woken

    async def look(self, *, refused: bool = False) -> None:
        """See what is wrong and rule on it. Raises UnavailableError."""
        try:
            await self._look(refused=refused)
        except UnavailableError:
            # A slot that nobody could rule on meanwhile may be ruled on at once when it can be.
            self._overdue.start_over()
            self._seldom = []
            raise

    async def _look(self, *, refused: bool) -> None:
        snapshot = self._catalogue.snapshot()
        self._files.node = self._ledger.node_id
        invalid, seen = self._files.look(snapshot)
        seen += await full_queue(self._ledger, snapshot, refused=refused)
        seen += disabled_targets(await self._ledger.breakers())
        seen += held_tools(self._held())
        seen += await self._look_seldom()
        standing = {each.key: each for each in await self._ledger.conditions()}
        news = [each for each in seen if not self._is_settled(standing.get(each.key))]
        await self._conditions.begin_all(news)
        keys = invalid | {each.key for each in seen}
        for condition in standing.values():
            if condition.unreported and await was_told(self._ledger, condition):
                await self._conditions.heard(condition.key)
            elif condition.key not in keys and await self._is_over(condition):
                await self._conditions.end(condition.key)
            elif condition.key not in keys and not self._is_settled(condition):
                await self._conditions.begin(sighting_again(condition))
        self._conclude(await self._ledger.conditions())

    async def _look_seldom(self) -> list[Sighting]:
        elapsed = self._clock.monotonic()
        if elapsed - self._seldom_at >= SELDOM_SECONDS:
            self._seldom = await self._overdue.look(self._catalogue.snapshot())
            snapshot, now = self._catalogue.snapshot(), self._clock.now()
            self._seldom += await late_alerts(self._ledger, now)
            self._seldom += await spent_budgets(self._ledger, snapshot, now)
            self._seldom_at = elapsed
        return self._seldom

    def _conclude(self, standing: list[Condition]) -> None:
        self.degraded = tuple(
            f"an alert to {each.subject} did not arrive, and nobody could be told: {each.said}"
            for each in standing
            if each.unreported
        )
        self.overdue = tuple(
            f"the schedule of {each.subject} is overdue: {each.detail}"
            for each in standing
            if each.kind is ConditionKind.SCHEDULE_OVERDUE
        )
        self.missing = tuple(
            f"the files of {each.subject} are gone: {each.detail}"
            for each in standing
            if each.kind is ConditionKind.WORKSPACE_MISSING
        )
        self.looked_at = self._clock.monotonic()

    def _is_settled(self, known: Condition | None) -> bool:
        """Whether nothing would follow from seeing it (again): spares a commit each time."""
        if known is None:
            return False
        if known.told:
            return True
        if known.unreported and self._catalogue.snapshot().settings.alerts.targets:
            return False
        if not self._catalogue.snapshot().settings.alerts.targets:
            return known.unreported or known.kind is not ConditionKind.ALERT_FAILED
        told_at = known.alerted_at
        return told_at is not None and abs(self._clock.now() - told_at) < COOLDOWN

    async def _is_over(self, condition: Condition) -> bool:
        """Whether a condition that nobody sees now has ended."""
        match condition.kind:
            case ConditionKind.FILE_INVALID | ConditionKind.WORKSPACE_MISSING:
                return await self._may_judge(condition)
            case ConditionKind.QUEUE_FULL:
                return await has_room(self._ledger, self._catalogue.snapshot())
            case ConditionKind.DEAD_LETTER:
                return not self._sends(condition) or await self._ledger.has_delivered(
                    condition.since, automation=condition.automation, target=condition.target
                )
            case ConditionKind.ALERT_FAILED:
                if condition.unreported and await still_owed(self._ledger, condition):
                    return False
                unused = condition.target not in {each.key for each in self._alert_targets()}
                return unused or await self._ledger.has_delivered(
                    condition.since, target=condition.target
                )
            case _:
                return True

    async def _may_judge(self, condition: Condition) -> bool:
        if condition.seen_by in (None, self._ledger.node_id):
            return True
        nodes = await self._ledger.list_nodes()
        return condition.seen_by not in {each.node_id for each in nodes if each.gone_at is None}

    def _sends(self, condition: Condition) -> bool:
        """Whether the condition's automation sends its results to the condition's target."""
        state = self._catalogue.snapshot().automations.get(condition.automation or "")
        # What is unreadable now may send there when it is mended.
        if state is None or state.definition is None or condition.target is None:
            return state is not None
        delivery = state.definition.automation.delivery
        return condition.target in {each.key for each in (delivery.targets if delivery else ())}

    def _alert_targets(self) -> list[Target]:
        snapshot = self._catalogue.snapshot()
        found = list(snapshot.settings.alerts.targets)
        for state in snapshot.automations.values():
            if state.definition is None:
                continue
            automation = state.definition.automation
            found += automation.failure_alert.targets if automation.failure_alert else ()
            found += automation.approvals.targets
        return found
