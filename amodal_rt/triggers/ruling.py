"""Slots that are due come on record, whatever others put there before."""

import asyncio
from dataclasses import replace
from datetime import datetime

from amodal_rt.clock import Clock
from amodal_rt.domain.run import Start
from amodal_rt.ids import Ids
from amodal_rt.ports import RunRef, ScheduleState
from amodal_rt.triggers.arming import Armed, Asked, first_slot, last_slot
from amodal_rt.triggers.covering import Covering
from amodal_rt.triggers.given_up import SlotLedger
from amodal_rt.triggers.holds import Holds
from amodal_rt.triggers.missed import wishes_of
from amodal_rt.triggers.readying import Readying
from amodal_rt.triggers.standing import Standing

_AT_A_TIME = 250
"""After so many schedules others have a turn: ten thousand would hold up every webhook."""
_ADMITTED_AT_A_TIME = 5_000
"""So many starts are put on record while the next are got ready for it."""


async def take_turns(clock: Clock, number: int) -> None:
    """Let others have a turn now and then, in a loop that is at its `number`th schedule."""
    if number % _AT_A_TIME == 0:
        await clock.sleep(0)


class Ruling:
    """Asks the ledger for a row for every due slot, or part of a stretch, that has none.

    What the ledger refuses stands on record already; what may lie behind it is asked for again.
    """

    def __init__(
        self,
        ledger: SlotLedger,
        standing: Standing,
        covering: Covering,
        readying: Readying,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._ledger = ledger
        self._standing = standing
        self._covering = covering
        self._readying = readying
        self._clock = clock
        self._ids = ids

    async def rule(self, due: list[Armed], holds: Holds, now: datetime) -> None:
        """Put on record every slot of these up to `now`, as `holds` says what becomes of it."""
        while due:
            asked: list[Asked] = []
            for number, armed in enumerate(due, start=1):
                ready = self._readying.take(armed, holds, now)
                wishes = wishes_of(armed, holds, now, self._ids) if ready is None else ready
                asked.append((armed, wishes))
                if ready is None:
                    await take_turns(self._clock, number)
            await self._part_stretches(asked, holds, now)
            if await self._admit(asked):
                return
            due = await self._refused(asked, now)

    async def _part_stretches(self, asked: list[Asked], holds: Holds, now: datetime) -> None:
        """Have no stretch cover a slot that stands on record."""
        after: dict[str, datetime] = {}
        for armed, wishes in asked:
            if any(start.scheduled_until is not None for start in wishes):
                name = armed.definition.automation.name
                after[name] = min(armed.ruled, after.get(name, armed.ruled))
        if not after:
            return
        taken = await self._ledger.slots_on_record(after, until=now)
        for place, (armed, _) in enumerate(asked):
            known = taken.get(armed.definition.automation.name)
            if known:
                wishes = wishes_of(armed, holds, now, self._ids, known)
                asked[place] = (armed, wishes)

    async def _refused(self, asked: list[Asked], now: datetime) -> list[Armed]:
        """Some slots were on record already, by another node or another schedule of the
        automation. What must be asked for again: the rest of stretches that begin with one."""
        await self._standing.read()
        again: list[Armed] = []
        passed: list[ScheduleState] = []
        for armed, wishes in asked:
            state = self._standing.find(armed.key)
            if not wishes or state is None:
                continue
            last, seen = last_slot(wishes), state.last_slot or state.counted_from
            if state.fingerprint != armed.fingerprint:
                # How far another schedule has come says nothing of this one's slots; a row of
                # this one's, from before it was replaced, does.
                seen = await self._seen_in_rows(armed, wishes)
            if seen >= last:
                continue
            if all(start.count == 1 for start in wishes) and seen <= armed.ruled:
                # Left as it is, a schedule that never comes first would not move for years.
                passed.append(replace(state, last_slot=max(last, state.last_slot or last)))
                continue
            armed.go_on_after(seen if seen > armed.ruled else first_slot(wishes))
            if armed.next_at is not None and armed.next_at <= now:
                again.append(armed)
        await self._ledger.set_schedule_states(passed)
        return again

    async def _seen_in_rows(self, armed: Armed, wishes: list[Start]) -> datetime:
        if all(start.count == 1 for start in wishes):
            return armed.ruled
        return await self._covering.until(armed.definition, armed.trigger, first_slot(wishes))

    async def _admit(self, asked: list[Asked]) -> bool:
        """Put them on record; whether each of them gave a row."""
        admitted: list[asyncio.Task[list[RunRef]]] = []
        part: list[Start] = []
        wanted = 0
        for place, (_, wishes) in enumerate(asked, start=1):
            # Never parted: what follows a stretch must be refused with it.
            part += wishes
            if len(part) < _ADMITTED_AT_A_TIME and place < len(asked):
                continue
            wanted += len(part)
            admitted.append(asyncio.ensure_future(self._ledger.admit(part)))
            part = []
            # The writer has them when two turns are over, and works while we go on.
            await self._clock.sleep(0)
            await self._clock.sleep(0)
        return sum(len(refs) for refs in await asyncio.gather(*admitted)) == wanted
