"""The state of the daemon as measurements.

No label holds a name that somebody chose: of automations, models, targets and connections there
may be many, and what a stranger sends must never become a series.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from amodal_rt import __version__
from amodal_rt.clock import Clock
from amodal_rt.domain.census import Census
from amodal_rt.domain.condition import Condition, ConditionKind
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.errors import UnavailableError
from amodal_rt.operations.counted import Counted, LoopLag
from amodal_rt.operations.spending import Spending
from amodal_rt.ports import Catalogue, CensusLedger, ConditionLedger, NodeLedger


class Kind(StrEnum):
    """What may be done with the numbers of a family."""

    GAUGE = "gauge"
    COUNTER = "counter"
    SUMMARY = "summary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Measurements of one name, without `amodal_rt_` and `_total`: `labels` name what tells its
    `samples` apart, nothing where there is one. Of a summary they are `count` and `sum`."""

    name: str
    kind: Kind
    about: str
    samples: Mapping[tuple[str, ...], float]
    labels: Sequence[str] = ()


class MeasuredLedger(CensusLedger, ConditionLedger, NodeLedger, Protocol):
    """What is asked of the ledger."""


class Metrics:
    """Measures when it is asked. `counted` and `lag` are of this process, all else of the whole
    workspace, whichever node is asked."""

    def __init__(
        self, catalogue: Catalogue, ledger: MeasuredLedger, spending: Spending, *, clock: Clock
    ) -> None:
        self.counted = Counted()
        self.lag = LoopLag(clock)
        self._catalogue = catalogue
        self._ledger = ledger
        self._spending = spending
        self._began_at = clock.now()
        self._why_not_ready: Callable[[], str | None] = lambda: None

    def ready_with(self, why_not: Callable[[], str | None]) -> None:
        """Ask `why_not` from now on whether the daemon takes work."""
        self._why_not_ready = why_not

    async def families(self) -> list[Family]:
        """All of them. While the ledger does not answer, those that need none of it."""
        found = [*self._own(), *_of_files(self._catalogue.snapshot())]
        try:
            census, standing = await self._ledger.census(), await self._ledger.conditions()
            nodes = await self._ledger.list_nodes()
            money = await self._money()
        except UnavailableError:
            return [*found, _one("ledger_up", "Whether the ledger answers.", 0)]
        living = sum(each.gone_at is None for each in nodes)
        return [
            *found,
            _one("ledger_up", "Whether the ledger answers.", 1),
            *self._open(census),
            _conditions(standing),
            _one("nodes", "Daemons that live on this ledger.", living),
            *money,
        ]

    def _own(self) -> Iterator[Family]:
        counted = self.counted
        ready = self._why_not_ready() is None
        yield Family(
            name="build_info",
            kind=Kind.GAUGE,
            about="The version that runs.",
            labels=("version",),
            samples={(__version__,): 1},
        )
        began = self._began_at.timestamp()
        yield _one("start_time_seconds", "When this process began, since the Unix epoch.", began)
        yield _one("ready", "Whether this node takes work (as /readyz).", ready)
        lag = self.lag.worst
        yield _one("loop_lag_seconds", "The event loop's worst delay of the last minute.", lag)
        yield Family(
            name="runs_ended",
            kind=Kind.COUNTER,
            about="Runs that ended on this node since it began, skipped ones included.",
            labels=("status", "reason"),
            samples=dict(counted.runs),
        )
        yield Family(
            name="run_duration_seconds",
            kind=Kind.SUMMARY,
            about="How long runs were carried that ended on this node, their last attempt.",
            samples={("count",): counted.carried, ("sum",): counted.carried_seconds},
        )
        for name, about, label, counts in (
            ("events", "Events that came to this node, webhooks too.", "result", counted.events),
            ("delivery_attempts", "Tries to deliver a message.", "result", counted.attempts),
        ):
            yield Family(
                name=name,
                kind=Kind.COUNTER,
                about=about,
                labels=(label,),
                samples={(each,): count for each, count in counts.items()},
            )

    def _open(self, census: Census) -> Iterator[Family]:
        limits = self._catalogue.snapshot().settings.limits
        yield Family(
            name="runs_open",
            kind=Kind.GAUGE,
            about="Runs that wait (pending) or are carried (running), on all nodes.",
            labels=("status",),
            samples={("pending",): census.pending, ("running",): census.running},
        )
        yield _one("queue_limit", "How many may be pending (limits.queue).", limits.queue)
        yield Family(
            name="approvals_open",
            kind=Kind.GAUGE,
            about="What a person must decide: questions of workflows, and parked writes.",
            labels=("kind",),
            samples={("run",): census.asking, ("write",): census.parked},
        )
        yield _one("deliveries_owed", "Messages on their way.", census.owed)
        yield _one("dead_letters", "Messages that were given up and are kept.", census.dead)

    async def _money(self) -> list[Family]:
        standings = await self._spending.standings()
        shared = [each for each in standings if each.budget.automation is None]
        over = sum(each.is_spent for each in standings)
        cost = await self._spending.cost_today()
        return [
            _one("spend_today_usd", "What models cost today, in dollars.", cost),
            Family(
                name="budget_limit",
                kind=Kind.GAUGE,
                about="What all automations together may use today.",
                labels=("measure",),
                samples={(each.budget.measure.value,): each.budget.limit for each in shared},
            ),
            Family(
                name="budget_used",
                kind=Kind.GAUGE,
                about="What they used of it.",
                labels=("measure",),
                samples={(each.budget.measure.value,): each.spent for each in shared},
            ),
            _one("budgets_spent", "Budgets of today that are spent, own ones too.", over),
        ]


def _one(name: str, about: str, value: float) -> Family:
    return Family(name=name, kind=Kind.GAUGE, about=about, samples={(): value})


def _of_files(snapshot: Snapshot) -> Iterator[Family]:
    states = snapshot.automations.values()
    invalid = sum(each.invalid for each in states)
    stale = sum(each.stale for each in states)
    yield Family(
        name="automations",
        kind=Kind.GAUGE,
        about="Automations whose file is as it should be, or is not (invalid).",
        labels=("state",),
        samples={("valid",): len(states) - invalid, ("invalid",): invalid},
    )
    yield _one("automations_stale", "Automations that run their last good version.", stale)
    errors = sum(each.severity == "error" for each in snapshot.problems)
    yield _one("file_errors", "Errors in files beside the automations.", errors)
    yield _one("reloads", "Readings of the files since this process began.", snapshot.version)


def _conditions(standing: Sequence[Condition]) -> Family:
    kinds = [each.kind for each in standing]
    return Family(
        name="conditions",
        kind=Kind.GAUGE,
        about="What is wrong with the workspace as a whole, as its alerts tell it.",
        labels=("kind",),
        # All of them, or an alarm on one could not tell well from unknown.
        samples={(each.value,): kinds.count(each) for each in ConditionKind},
    )
