"""What models may cost: budgets of a day, and what was spent."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from amodal_rt.domain.automation import Limits
from amodal_rt.domain.workspace import WorkspaceSettings

NEAR = 0.8
"""The part of a budget from which on it counts as nearly spent."""


class Measure(StrEnum):
    """What a budget counts. Tokens are those that go in and those that come out."""

    COST = "cost_usd"
    TOKENS = "tokens"
    UNPRICED = "unpriced_tokens"
    """Tokens of models whose price nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """So much of each measure."""

    cost_usd: float = 0.0
    tokens: int = 0
    unpriced_tokens: int = 0

    def of(self, measure: Measure) -> float:
        """So much of this one."""
        match measure:
            case Measure.COST:
                return self.cost_usd
            case Measure.TOKENS:
                return self.tokens
            case Measure.UNPRICED:
                return self.unpriced_tokens

    def __add__(self, more: "Amount") -> "Amount":
        return Amount(
            cost_usd=self.cost_usd + more.cost_usd,
            tokens=self.tokens + more.tokens,
            unpriced_tokens=self.unpriced_tokens + more.unpriced_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A bound of what a day may use: of one automation, or (None) of all together. `rule` names
    the key and the file that set it."""

    automation: str | None
    measure: Measure
    limit: float
    rule: str

    def said(self, amount: float) -> str:
        """`$4.02 of $5.00` or `9,000 of 10,000 tokens`, for people."""
        if self.measure is Measure.COST:
            return f"{dollars(amount)} of {dollars(self.limit)}"
        what = "tokens" if self.measure is Measure.TOKENS else "tokens of models without a price"
        return f"{amount:,.0f} of {self.limit:,.0f} {what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What one request of a run to a model may use, held back from the budgets of `day` until
    it is settled. Nobody settles it any more once the run is not running under `term`: it is
    `unanswered` then."""

    run_id: str
    term: int
    step: str
    automation: str
    model: str
    day: date
    wanted: Amount

    @property
    def unanswered(self) -> "Spent":
        """What is counted of a request that left and whose answer nobody saw: its provider may
        bill all that was expected of it. Tokens that would come out are among those that go in."""
        return Spent(
            day=self.day,
            automation=self.automation,
            model=self.model,
            input_tokens=self.wanted.tokens,
            unpriced_tokens=self.wanted.unpriced_tokens,
            cost_usd=self.wanted.cost_usd,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a budget stands: what is spent of it, and what others hold."""

    budget: Budget
    spent: float
    held: float = 0.0

    @property
    def left(self) -> float:
        """What nobody has spent or holds."""
        return self.budget.limit - self.spent - self.held

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left, whatever is given back."""
        return self.spent >= self.budget.limit

    @property
    def is_near(self) -> bool:
        """Whether it is nearly spent, or wholly."""
        return self.spent + self.held >= NEAR * self.budget.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What requests of an automation to a model used on a day."""

    day: date
    automation: str
    model: str
    requests: int = 1
    input_tokens: int = 0
    output_tokens: int = 0
    unpriced_tokens: int = 0
    cost_usd: float = 0.0

    @property
    def amount(self) -> Amount:
        """As budgets count it."""
        return Amount(
            cost_usd=self.cost_usd,
            tokens=self.input_tokens + self.output_tokens,
            unpriced_tokens=self.unpriced_tokens,
        )

    @property
    def upwards(self) -> "Spent":
        """The same, nothing below zero: who counts backwards gives no budget back."""
        return replace(
            self,
            input_tokens=max(self.input_tokens, 0),
            output_tokens=max(self.output_tokens, 0),
            unpriced_tokens=max(self.unpriced_tokens, 0),
            cost_usd=max(self.cost_usd, 0.0),
        )


def day_budgets(
    settings: WorkspaceSettings, automation: str, limits: Limits, file: str
) -> tuple[Budget, ...]:
    """The budgets of a day that a run of the automation is held to."""
    own = (
        (Measure.COST, limits.max_cost_usd_per_day, "maxCostUsdPerDay"),
        (Measure.TOKENS, limits.max_tokens_per_day, "maxTokensPerDay"),
    )
    found = [
        Budget(automation=automation, measure=measure, limit=limit, rule=f"limits.{key}, {file}")
        for measure, limit, key in own
        if limit is not None
    ]
    return (*found, *workspace_budgets(settings))


def workspace_budgets(settings: WorkspaceSettings) -> tuple[Budget, ...]:
    """The budgets of a day that all runs share."""
    limits = settings.limits
    shared = (
        (Measure.COST, limits.max_cost_usd_per_day, "maxCostUsdPerDay"),
        (Measure.TOKENS, limits.max_tokens_per_day, "maxTokensPerDay"),
        (Measure.UNPRICED, limits.max_unpriced_tokens_per_day, "maxUnpricedTokensPerDay"),
    )
    return tuple(
        Budget(automation=None, measure=measure, limit=limit, rule=f"limits.{key}, amodal.json")
        for measure, limit, key in shared
        if limit is not None
    )


def zone_of(settings: WorkspaceSettings) -> ZoneInfo:
    """Where the workspace's days begin and end: `defaults.timezone`, else UTC."""
    name = settings.defaults.get("timezone")
    return ZoneInfo(name if isinstance(name, str) else "UTC")


def day_of(settings: WorkspaceSettings, now: datetime) -> date:
    """The workspace's day at that instant."""
    return now.astimezone(zone_of(settings)).date()


def day_ends(settings: WorkspaceSettings, day: date) -> datetime:
    """When the budgets of that day are full again."""
    return datetime.combine(day + timedelta(days=1), time(), zone_of(settings)).astimezone(UTC)


def dollars(amount: float) -> str:
    """`$4.02`, `$0.0031`: never less than is there."""
    return f"${amount:,.2f}" if amount == 0 or amount >= 0.01 else f"${amount:.2g}"


def room_for(wanted: Amount, stand: Sequence[Standing]) -> Amount | None:
    """What of `wanted` the budgets have left for it; None where one that it uses has nothing."""
    room = {measure: wanted.of(measure) for measure in Measure}
    for each in stand:
        measure = each.budget.measure
        if wanted.of(measure) <= 0:
            continue
        if each.left <= 0:
            return None
        room[measure] = min(room[measure], each.left)
    return Amount(
        cost_usd=room[Measure.COST],
        tokens=int(room[Measure.TOKENS]),
        unpriced_tokens=int(room[Measure.UNPRICED]),
    )
