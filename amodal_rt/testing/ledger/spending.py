"""What models cost."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

from amodal_rt.domain.budget import Amount, Budget, Hold, Spent, Standing, room_for
from amodal_rt.domain.run import RunStatus
from amodal_rt.testing.ledger.part import Part


class SpendRows(Part):
    """`ports.SpendLedger` in memory."""

    async def reserve(self, hold: Hold, budgets: Sequence[Budget]) -> list[Standing]:
        def work() -> list[Standing]:
            self._require_held(hold.run_id, hold.term)
            for key, each in list(self.store.holds.items()):
                row = self.store.runs.get(each.run_id)
                state = (row.run.status, row.run.term) if row else None
                if state != (RunStatus.RUNNING, each.term):
                    self.store.holds.remove(key)
                    self._add(each.unanswered)
            stand = [self._standing(hold, each) for each in budgets]
            room = room_for(hold.wanted, stand)
            if room is not None:
                self.store.holds.put((hold.run_id, hold.step), replace(hold, wanted=room))
            return stand

        return await self._write("reserve", work)

    async def charge(self, hold: Hold, spent: Spent | None) -> None:
        def work() -> None:
            if self.store.holds.get((hold.run_id, hold.step)) is not None:
                self.store.holds.remove((hold.run_id, hold.step))
            if spent is not None:
                self._add(spent)

        await self._write("charge", work)

    async def spending(
        self, *, since: date, until: date | None = None, automation: str | None = None
    ) -> list[Spent]:
        self._check_reach()
        found = [
            each
            for each in self.store.spending.values()
            if since <= each.day <= (until or date.max) and automation in (None, each.automation)
        ]
        return sorted(found, key=lambda each: (-each.day.toordinal(), each.automation, each.model))

    def _add(self, spent: Spent) -> None:
        key = (spent.day, spent.automation, spent.model)
        before = self.store.spending.get(key)
        self.store.spending.put(key, _together(before, spent) if before else spent)

    def _standing(self, hold: Hold, budget: Budget) -> Standing:
        spent = _sum(
            each.amount
            for each in self.store.spending.values()
            if each.day == hold.day and budget.automation in (None, each.automation)
        )
        held = _sum(
            each.wanted
            for key, each in self.store.holds.items()
            if key != (hold.run_id, hold.step) and budget.automation in (None, each.automation)
        )
        measure = budget.measure
        return Standing(budget=budget, spent=spent.of(measure), held=held.of(measure))


def _sum(amounts: Iterable[Amount]) -> Amount:
    total = Amount()
    for each in amounts:
        total += each
    return total


def _together(one: Spent, other: Spent) -> Spent:
    return replace(
        one,
        requests=one.requests + other.requests,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        unpriced_tokens=one.unpriced_tokens + other.unpriced_tokens,
        cost_usd=one.cost_usd + other.cost_usd,
    )
