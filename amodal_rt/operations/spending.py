"""Verbs about what models cost."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import timedelta

from amodal_rt.clock import Clock, iso
from amodal_rt.domain.budget import (
    Amount,
    Budget,
    Measure,
    Spent,
    Standing,
    day_budgets,
    day_ends,
    day_of,
    workspace_budgets,
)
from amodal_rt.errors import InvalidError, NotFoundError
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import Caller, Catalogue, SpendLedger

MOST_DAYS = 3_650

_KEYS: Mapping[str, Callable[[Spent], str]] = {
    "automation": lambda each: each.automation,
    "model": lambda each: each.model,
    "day": lambda each: each.day.isoformat(),
}
GROUPS = tuple(_KEYS)
"""What may be summed up by."""


class Spending:
    """What was spent, and how the budgets of today stand."""

    def __init__(self, catalogue: Catalogue, ledger: SpendLedger, *, clock: Clock) -> None:
        self._catalogue = catalogue
        self._ledger = ledger
        self._clock = clock

    async def show(
        self,
        caller: Caller,
        *,
        days: int = 1,
        by: str = "automation",
        automation: str | None = None,
    ) -> Document:
        """The last `days` days of the workspace, today included, summed up `by` automation, model
        or day, the dearest first (days: the newest); and the budgets of today.

        Raises InvalidError (`bad_group`, `bad_days`), NotFoundError (`automation_not_found`).
        """
        if by not in _KEYS:
            raise InvalidError(f"{by!r} is none of {', '.join(GROUPS)}", code="bad_group")
        if not 1 <= days <= MOST_DAYS:
            raise InvalidError(f"days must be between 1 and {MOST_DAYS:,}", code="bad_days")
        settings = self._catalogue.snapshot().settings
        today = day_of(settings, self._clock.now())
        since = today - timedelta(days=days - 1)
        rows = await self._ledger.spending(since=since, until=today, automation=automation)
        if automation is not None and not rows:
            self._require(automation)
        return {
            "since": since.isoformat(),
            "until": today.isoformat(),
            "day_ends_at": iso(day_ends(settings, today)),
            "by": by,
            "total": _usage(rows),
            "rows": _grouped(rows, by),
            "budgets": [_budget(each) for each in await self.standings(automation)],
        }

    async def standings(self, automation: str | None = None) -> list[Standing]:
        """How the budgets of today stand, those of all automations unless one is named. What is
        held back for requests under way is not among it."""
        today = day_of(self._catalogue.snapshot().settings, self._clock.now())
        rows = await self._ledger.spending(since=today, until=today)
        return [_standing(each, rows) for each in self._budgets_of(automation)]

    async def cost_today(self) -> float:
        """What models cost today, in dollars."""
        today = day_of(self._catalogue.snapshot().settings, self._clock.now())
        rows = await self._ledger.spending(since=today, until=today)
        return sum(each.cost_usd for each in rows)

    def _budgets_of(self, automation: str | None) -> list[Budget]:
        snapshot = self._catalogue.snapshot()
        found: dict[Budget, None] = dict.fromkeys(workspace_budgets(snapshot.settings))
        for name, state in snapshot.automations.items():
            if state.definition is not None and automation in (None, name):
                limits = state.definition.automation.limits
                found |= dict.fromkeys(day_budgets(snapshot.settings, name, limits, state.file))
        return list(found)

    def _require(self, automation: str) -> None:
        if automation not in self._catalogue.snapshot().automations:
            raise NotFoundError(f"no automation {automation}", code="automation_not_found")


def _grouped(rows: list[Spent], by: str) -> list[Document]:
    groups: defaultdict[str, list[Spent]] = defaultdict(list)
    for each in rows:
        groups[_KEYS[by](each)].append(each)
    found = [(name, _usage(each)) for name, each in groups.items()]
    if by == "day":
        found.sort(key=lambda each: each[0], reverse=True)
    else:
        found.sort(key=lambda each: (-_number(each[1]["cost_usd"]), each[0]))
    return [{by: name, **usage} for name, usage in found]


def _usage(rows: list[Spent]) -> Document:
    return {
        "requests": sum(each.requests for each in rows),
        "input_tokens": sum(each.input_tokens for each in rows),
        "output_tokens": sum(each.output_tokens for each in rows),
        "unpriced_tokens": sum(each.unpriced_tokens for each in rows),
        "cost_usd": round(sum(each.cost_usd for each in rows), 6),
    }


def _standing(budget: Budget, rows: list[Spent]) -> Standing:
    spent = Amount()
    for each in rows:
        if budget.automation in (None, each.automation):
            spent += each.amount
    return Standing(budget=budget, spent=spent.of(budget.measure), held=0)


def _budget(standing: Standing) -> Document:
    budget, used = standing.budget, standing.spent
    return {
        "automation": budget.automation,
        "measure": budget.measure.value,
        "limit": budget.limit,
        "spent": round(used, 6) if budget.measure is Measure.COST else int(used),
        "is_spent": used >= budget.limit,
        "rule": budget.rule,
    }


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
