"""Where every schedule stands on record, and which of them have nobody behind them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from amodal_rt.domain import schedule
from amodal_rt.domain.holding import armed, holdings
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.ports import NodeLedger, ScheduleLedger, ScheduleState
from amodal_rt.triggers.arming import Armed, Key

AWAY = timedelta(hours=1)
"""How long the schedules of a node that is away stay as it left them: it may be restarting."""


class StandingLedger(ScheduleLedger, NodeLedger, Protocol):
    """What tells where schedules stand, and what other nodes hold."""


@dataclass(frozen=True, slots=True)
class Left:
    """A schedule on record that the files of this node do not have. `replaced` when they have
    another one under its key; `living` when a node that lives has it."""

    state: ScheduleState
    replaced: bool
    living: bool


class Standing:
    """The states of all schedules as last read, by automation and key."""

    def __init__(self, ledger: StandingLedger) -> None:
        self._ledger = ledger
        self._states: dict[str, dict[str, ScheduleState]] = {}
        self.others: set[str] = set()
        """Automations of which something stays on record for another node alone."""

    @property
    def names(self) -> Iterable[str]:
        """Automations of which something is on record."""
        return self._states.keys()

    def of(self, name: str) -> Mapping[str, ScheduleState]:
        """The states of one automation, by key."""
        return self._states.get(name, {})

    def find(self, key: Key) -> ScheduleState | None:
        """The state of one schedule, or None."""
        return self._states.get(key[0], {}).get(key[1])

    def note(self, state: ScheduleState) -> None:
        """Remember what is on record by now."""
        self._states.setdefault(state.automation, {})[state.key] = state

    async def read(self) -> None:
        """Read what any node put on record."""
        states: dict[str, dict[str, ScheduleState]] = {}
        for each in await self._ledger.schedule_states():
            states.setdefault(each.automation, {})[each.key] = each
        self._states = states

    async def put(self, states: Sequence[ScheduleState]) -> None:
        """Put these on record."""
        await self._ledger.set_schedule_states(states)
        for state in states:
            self.note(state)

    async def left(self, snapshot: Snapshot, names: Iterable[str]) -> list[Left]:
        """What stands on record of these automations and is not in the files of this node, nor,
        unless it is replaced here, in those of a node that was there a short time ago."""
        names = list(names)
        found = [each for name in names for each in self._foreign(snapshot, name)]
        self.others.difference_update(names)
        if not found:
            return []
        # Said before it is asked: of two nodes that see a file go, the later one forgets it.
        await self._ledger.hold(holdings(snapshot))
        living = await self._ledger.held_by_others()
        recent = await self._ledger.held_by_others(seen_within=AWAY)
        left: list[Left] = []
        for each in found:
            name, fingerprint = each.state.automation, each.state.fingerprint
            if each.replaced or fingerprint not in recent.get(name, ()):
                left.append(replace(each, living=fingerprint in living.get(name, ())))
            else:
                self.others.add(name)
        return left

    async def forget(self, left: Sequence[Left]) -> None:
        """Strike those off the record that nothing replaces."""
        gone: dict[str, set[str]] = {}
        for each in left:
            if not each.replaced:
                gone.setdefault(each.state.automation, set()).add(each.state.key)
        for name, keys in gone.items():
            kept = {key: state for key, state in self.of(name).items() if key not in keys}
            await self._ledger.remove_schedules(name, list(kept))
            self._states[name] = kept

    async def take_over(self, schedules: Sequence[Armed]) -> None:
        """Put these on record in the place of others under their keys that no node has."""
        if not schedules:
            return
        held = await self._ledger.held_by_others(seen_within=AWAY)
        mine: list[ScheduleState] = []
        for each in schedules:
            state = self.find(each.key)
            if state is None or state.fingerprint in held.get(state.automation, ()):
                continue
            mine.append(
                replace(
                    state,
                    fingerprint=each.fingerprint,
                    counted_from=min(state.counted_from, each.ruled),
                    last_slot=each.ruled,
                )
            )
        await self.put(mine)

    def _foreign(self, snapshot: Snapshot, name: str) -> Iterable[Left]:
        definition = armed(snapshot, name)
        file = snapshot.automations.get(name)
        if definition is None and file is not None and (file.definition is None or file.blocked):
            # A broken file is not a file that is gone: it goes on when it is mended.
            return
        crons = definition.automation.crons if definition else ()
        mine = {each.key: schedule.fingerprint(each.schedule) for each in crons}
        for key, state in self.of(name).items():
            if mine.get(key) != state.fingerprint:
                yield Left(state, replaced=key in mine, living=False)
