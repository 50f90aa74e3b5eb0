"""Budgets of the day that are spent, or nearly."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from amodal_rt.clock import iso
from amodal_rt.delivery.conditions import Sighting
from amodal_rt.domain.budget import (
    Amount,
    Budget,
    Spent,
    Standing,
    day_budgets,
    day_ends,
    day_of,
    workspace_budgets,
)
from amodal_rt.domain.condition import ConditionKind
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.ports import SpendLedger


async def spent_budgets(ledger: SpendLedger, snapshot: Snapshot, now: datetime) -> list[Sighting]:
    """One of each budget that is spent today or nearly; of none tomorrow."""
    today = day_of(snapshot.settings, now)
    rows = await ledger.spending(since=today, until=today)
    if not rows:
        return []
    until = iso(day_ends(snapshot.settings, today))
    stand = (
        Standing(budget=each, spent=_spent(rows, each).of(each.measure))
        for each in _budgets(snapshot, {each.automation for each in rows})
    )
    return [
        Sighting(
            kind=kind,
            about=f"{each.budget.automation or '*'} {each.budget.rule} {today}",
            subject="The budget of " + (each.budget.automation or "all automations"),
            automation=each.budget.automation,
            detail=f"{each.budget.said(each.spent)} of {today} ({each.budget.rule}); "
            f"it is full again at {until}",
        )
        for each in stand
        for kind in _kinds(each)
    ]


def _kinds(standing: Standing) -> Iterator[ConditionKind]:
    # One that is spent is nearly spent still: of that no end is told.
    if standing.is_near:
        yield ConditionKind.BUDGET_NEAR
    if standing.is_spent:
        yield ConditionKind.BUDGET_SPENT


def _budgets(snapshot: Snapshot, names: set[str]) -> Iterator[Budget]:
    yield from workspace_budgets(snapshot.settings)
    for name in sorted(names & snapshot.automations.keys()):
        state = snapshot.automations[name]
        if state.definition is not None:
            limits = state.definition.automation.limits
            for each in day_budgets(snapshot.settings, name, limits, state.file):
                if each.automation is not None:
                    yield each


def _spent(rows: Sequence[Spent], budget: Budget) -> Amount:
    total = Amount()
    for each in rows:
        if budget.automation in (None, each.automation):
            total += each.amount
    return total
