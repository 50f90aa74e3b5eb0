"""What models cost: `ports.SpendLedger`."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import Connection, select

from amodal_rt.domain.budget import Amount, Budget, Hold, Spent, Standing, room_for
from amodal_rt.storage import journal, tables
from amodal_rt.storage.dialect import Raw, driver
from amodal_rt.storage.part import Part
from amodal_rt.storage.rows import Row, storable

_SPENDING = tables.spending.c
_DEAD = (
    " FROM spend_holds WHERE NOT EXISTS (SELECT 1 FROM runs WHERE runs.id ="
    " spend_holds.run_id AND runs.status = 'running' AND runs.term = spend_holds.term)"
)
_FREE_DEAD = f"DELETE{_DEAD}"
_SUMS = (
    "SELECT COALESCE(SUM(cost_usd), 0), COALESCE(SUM(input_tokens + output_tokens), 0),"
    " COALESCE(SUM(unpriced_tokens), 0) FROM spending WHERE day = ?"
)
_HELD = (
    "SELECT COALESCE(SUM(cost_usd), 0), COALESCE(SUM(tokens), 0),"
    " COALESCE(SUM(unpriced_tokens), 0) FROM spend_holds WHERE NOT (run_id = ? AND step = ?)"
)
_OF_ONE = " AND automation = ?"
_HOLD = (
    "INSERT INTO spend_holds (run_id, step, term, automation, model, day, cost_usd, tokens,"
    " unpriced_tokens) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (run_id, step) DO UPDATE SET"
    " term = excluded.term, model = excluded.model, day = excluded.day,"
    " cost_usd = excluded.cost_usd, tokens = excluded.tokens,"
    " unpriced_tokens = excluded.unpriced_tokens"
)
_RELEASE = "DELETE FROM spend_holds WHERE run_id = ? AND step = ?"
_INTO = (
    "INSERT INTO spending (day, automation, model, requests, input_tokens, output_tokens,"
    " unpriced_tokens, cost_usd)"
)
_ADD = (
    " ON CONFLICT (day, automation, model) DO UPDATE SET"
    " requests = spending.requests + excluded.requests,"
    " input_tokens = spending.input_tokens + excluded.input_tokens,"
    " output_tokens = spending.output_tokens + excluded.output_tokens,"
    " unpriced_tokens = spending.unpriced_tokens + excluded.unpriced_tokens,"
    " cost_usd = spending.cost_usd + excluded.cost_usd"
)
_SPEND = f"{_INTO} VALUES (?, ?, ?, ?, ?, ?, ?, ?){_ADD}"
_COUNT_DEAD = (
    f"{_INTO} SELECT day, automation, model, COUNT(*), SUM(tokens), 0, SUM(unpriced_tokens),"
    f" SUM(cost_usd){_DEAD} GROUP BY day, automation, model{_ADD}"
)
"""As `Hold.unanswered`."""


class SpendRows(Part):
    """`ports.SpendLedger` over a database."""

    async def reserve(self, hold: Hold, budgets: Sequence[Budget]) -> list[Standing]:
        def work(connection: Connection) -> list[Standing]:
            journal.require_held(connection, hold.run_id, hold.term)
            raw = driver(connection)
            raw.execute(_COUNT_DEAD)
            raw.execute(_FREE_DEAD)
            stand = [_standing(raw, hold, each) for each in budgets]
            room = room_for(hold.wanted, stand)
            if room is not None:
                key = (hold.run_id, storable(hold.step), hold.term, hold.automation)
                key = (*key, storable(hold.model), hold.day.isoformat())
                raw.execute(_HOLD, (*key, room.cost_usd, room.tokens, room.unpriced_tokens))
            return stand

        return await self._database.write(work)

    async def charge(self, hold: Hold, spent: Spent | None) -> None:
        def work(connection: Connection) -> None:
            raw = driver(connection)
            raw.execute(_RELEASE, (hold.run_id, storable(hold.step)))
            if spent is not None:
                raw.execute(_SPEND, _values(spent))

        await self._database.write(work)

    async def spending(
        self, *, since: date, until: date | None = None, automation: str | None = None
    ) -> list[Spent]:
        query = select(tables.spending).where(_SPENDING.day >= since.isoformat())
        if until is not None:
            query = query.where(_SPENDING.day <= until.isoformat())
        if automation is not None:
            query = query.where(_SPENDING.automation == automation)
        query = query.order_by(_SPENDING.day.desc(), _SPENDING.automation, _SPENDING.model)

        def work(connection: Connection) -> list[Spent]:
            return [_to_spent(row) for row in connection.execute(query).mappings()]

        return await self._database.read(work)


def _standing(raw: Raw, hold: Hold, budget: Budget) -> Standing:
    one, own = (_OF_ONE, (budget.automation,)) if budget.automation is not None else ("", ())
    spent = _amount(raw, _SUMS + one, (hold.day.isoformat(), *own))
    held = _amount(raw, _HELD + one, (hold.run_id, storable(hold.step), *own))
    measure = budget.measure
    return Standing(budget=budget, spent=spent.of(measure), held=held.of(measure))


def _amount(raw: Raw, sql: str, parameters: Sequence[str]) -> Amount:
    # A sum of whole numbers is a decimal on PostgreSQL.
    cost, tokens, unpriced = raw.execute(sql, parameters).fetchone()
    return Amount(cost_usd=float(cost), tokens=int(tokens), unpriced_tokens=int(unpriced))


def _values(spent: Spent) -> tuple[str | int | float, ...]:
    key = (spent.day.isoformat(), spent.automation, storable(spent.model))
    counts = (spent.requests, spent.input_tokens, spent.output_tokens, spent.unpriced_tokens)
    return (*key, *counts, spent.cost_usd)


def _to_spent(row: Row) -> Spent:
    return Spent(
        day=date.fromisoformat(row["day"]),
        automation=row["automation"],
        model=row["model"],
        requests=row["requests"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        unpriced_tokens=row["unpriced_tokens"],
        cost_usd=row["cost_usd"],
    )
