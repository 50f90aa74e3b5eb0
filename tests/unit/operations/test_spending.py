"""`ops spend`: what models cost, by whom, which and when; how the budgets of today stand."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from desk import Files

from amodal_rt.domain.budget import Amount, Hold, Spent
from amodal_rt.domain.workspace import WorkspaceSettings
from amodal_rt.errors import InvalidError, NotFoundError
from amodal_rt.operations.spending import Spending
from amodal_rt.ports import Caller
from amodal_rt.testing.clock import FakeClock
from amodal_rt.testing.ledger import MemoryLedger

CALLER = Caller(actor="ada", door="cli")
LATE = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)


async def _spending(zone: str = "UTC", *rows: Spent) -> Spending:
    clock, files = FakeClock(LATE), Files()
    settings = WorkspaceSettings(defaults={"timezone": zone})
    files.current = replace(files.current, settings=settings)
    ledger = MemoryLedger(clock=clock)
    for each in rows:
        hold = Hold(
            run_id="run_a", term=1, step="turn:1", automation=each.automation, model="a:b",
            day=each.day, wanted=Amount(),
        )  # fmt: skip
        await ledger.charge(hold, each)
    return Spending(files, ledger, clock=clock)


def _row(day: int, automation: str, model: str, cost: float) -> Spent:
    return Spent(
        day=date(2026, 3, day), automation=automation, model=model, cost_usd=cost, input_tokens=10
    )


ROWS = (
    _row(2, "digest", "a:dear", 1.5),
    _row(2, "watch", "a:cheap", 0.25),
    _row(1, "watch", "a:dear", 3.0),
)


@pytest.mark.parametrize(
    ("by", "days", "shown"),
    [
        ("automation", 1, [("digest", 1.5), ("watch", 0.25)]),
        ("automation", 2, [("watch", 3.25), ("digest", 1.5)]),
        ("model", 2, [("a:dear", 4.5), ("a:cheap", 0.25)]),
        ("day", 2, [("2026-03-02", 1.75), ("2026-03-01", 3.0)]),
    ],
)
async def test_it_is_summed_up_by_what_is_asked_for(
    by: str, days: int, shown: list[tuple[str, float]]
) -> None:
    found = await (await _spending("UTC", *ROWS)).show(CALLER, days=days, by=by)

    rows = found["rows"]
    assert isinstance(rows, list)
    assert [(each[by], each["cost_usd"]) for each in rows] == shown
    assert found["total"] == {
        "requests": 1 + days if days == 2 else 2,
        "input_tokens": 30 if days == 2 else 20,
        "output_tokens": 0,
        "unpriced_tokens": 0,
        "cost_usd": sum(each for _, each in shown),
    }


async def test_the_budget_of_today_is_that_of_the_workspaces_own_day() -> None:
    utc = await (await _spending("UTC", *ROWS)).show(CALLER)
    tokyo = await (await _spending("Asia/Tokyo", *ROWS)).show(CALLER)

    assert (utc["until"], utc["day_ends_at"]) == ("2026-03-02", "2026-03-03T00:00:00Z")
    assert (tokyo["until"], tokyo["day_ends_at"]) == ("2026-03-03", "2026-03-03T15:00:00Z")
    [cost, _] = utc["budgets"]  # pyright: ignore[reportGeneralTypeIssues]
    assert (cost["spent"], cost["limit"], cost["rule"]) == (
        1.75, 5.0, "limits.maxCostUsdPerDay, amodal.json",
    )  # fmt: skip
    assert tokyo["rows"] == []


async def test_what_makes_no_sense_is_refused() -> None:
    spending = await _spending()

    with pytest.raises(InvalidError, match="none of automation, model, day"):
        await spending.show(CALLER, by="colour")
    with pytest.raises(InvalidError):
        await spending.show(CALLER, days=0)
    with pytest.raises(NotFoundError):
        await spending.show(CALLER, automation="nobody")
