"""What a run pays from: the ledger's budgets of a day, of which it is held back what a request or
a program may use before it starts, and counted after it what it used."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from amodal_rt.clock import iso
from amodal_rt.domain.budget import (
    Amount,
    Budget,
    Hold,
    Spent,
    Standing,
    day_budgets,
    day_ends,
    day_of,
    room_for,
)
from amodal_rt.domain.journal import EntryType
from amodal_rt.errors import UnavailableError
from amodal_rt.executors.acting.session import Session
from amodal_rt.logs import Log

WAIT_SECONDS = 1.0
"""How often is asked again for what others hold back."""

_RETRY_SECONDS = 0.5
_log = Log("executors.acting")

Settled = Callable[[Hold, Sequence[Standing]], bool]
"""Whether it may start; False where it may once others are done. Raises where it may not."""


@dataclass(frozen=True, slots=True)
class Account:
    """Of one session."""

    session: Session

    async def hold(self, wanted: Amount, step: str, model: str, settled: Settled) -> Hold:
        """Hold `wanted` back for a request to `model`, as far as there is so much; waits while
        `settled` says so."""
        session, clock = self.session, self.session.services.clock
        run, snapshot = session.context.run, session.context.snapshot
        definition = session.context.definition
        budgets = day_budgets(
            snapshot.settings, run.automation, definition.automation.limits, definition.file
        )
        while True:
            hold = Hold(
                run_id=run.run_id,
                term=run.term,
                step=step,
                automation=run.automation,
                model=model,
                day=day_of(snapshot.settings, clock.now()),
                wanted=wanted,
            )
            stand: Sequence[Standing] = await self._reserve(hold, budgets)
            if await self._may_start(hold, stand, settled):
                await self._warn(stand)
                return hold
            await clock.sleep(WAIT_SECONDS)

    async def _may_start(self, hold: Hold, stand: Sequence[Standing], settled: Settled) -> bool:
        try:
            return settled(hold, stand)
        except Exception:
            if room_for(hold.wanted, stand) is not None:
                # Else it would count as a request whose answer nobody saw.
                await self.charge(hold, None)
            raise

    async def charge(self, hold: Hold, spent: Spent | None) -> None:
        """Give back what was held, and count what was used."""
        while True:
            try:
                await self.session.services.ledger.charge(hold, spent and spent.upwards)
            except UnavailableError as error:
                _log.error("budget.ledger_waits", error=error.message)
                await self.session.services.clock.sleep(_RETRY_SECONDS)
            else:
                return

    def said(self, standing: Standing, hold: Hold) -> str:
        """How a budget stands that has nothing left, and from when there is more."""
        settings = self.session.context.snapshot.settings
        budget = standing.budget
        whose = "all automations" if budget.automation is None else "this automation"
        until = iso(day_ends(settings, hold.day))
        return (
            f"{whose} used {budget.said(standing.spent)} of {hold.day} ({budget.rule}); "
            f"more from {until}"
        )

    async def _reserve(self, hold: Hold, budgets: Sequence[Budget]) -> Sequence[Standing]:
        while True:
            try:
                return await self.session.services.ledger.reserve(hold, budgets)
            except UnavailableError as error:
                _log.error("budget.ledger_waits", error=error.message)
                await self.session.services.clock.sleep(_RETRY_SECONDS)

    async def _warn(self, stand: Sequence[Standing]) -> None:
        """Say once a run that a budget is nearly spent."""
        tally = self.session.tally
        for each in stand:
            rule = each.budget.rule
            if each.is_near and rule not in tally.warned:
                tally.warned.add(rule)
                note = f"nearly spent today: {each.budget.said(each.spent)} ({rule})"
                await self.session.context.journal.record(EntryType.RUN_NOTE, data={"note": note})
