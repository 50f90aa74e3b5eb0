"""A run's money: what a request may use is held back before it is sent, and counted after it.

The ledger is the truth about a day; what the run itself has used is told by its session.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.usage import RequestUsage

from amodal_rt.domain.budget import NEAR, Amount, Hold, Measure, Spent, Standing, dollars
from amodal_rt.domain.models import ModelChoice
from amodal_rt.executors.acting.account import Account
from amodal_rt.executors.acting.session import Session
from amodal_rt.executors.agent.failures import BudgetSpentError, SparedModelError
from amodal_rt.executors.agent.prices import cost_of

ANSWER_TOKENS = 1_000
"""How long an answer is taken to be before it is there."""
CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Purse:
    """Pays for the requests of one session to one model. `spares` says that a cheaper model
    stands behind this one, and is asked instead once a budget of cost is nearly spent."""

    session: Session
    choice: ModelChoice
    url: str | None
    spares: bool

    def cost(self, usage: RequestUsage) -> float | None:
        """In USD, or None where nobody knows the model's price."""
        prices = self.session.context.snapshot.settings.prices
        return cost_of(usage, self.choice, prices, self.url)

    async def reserve(
        self, messages: list[ModelMessage], parameters: ModelRequestParameters, step: str
    ) -> Hold:
        """Hold back what the request may use, as far as there is so much; waits while only
        others hold what is left.

        Raises BudgetSpentError where a budget has nothing left, and SparedModelError where the
        cheaper model is to be asked instead.
        """
        wanted = self._estimate(messages, parameters)
        self._check_run(wanted)
        return await Account(self.session).hold(wanted, step, self.choice.reference, self._settled)

    async def settle(self, hold: Hold, usage: RequestUsage | None) -> float | None:
        """Count what the request used, None for one that cost nothing; its cost, if known."""
        cost = self.cost(usage) if usage is not None else None
        spent = None
        if usage is not None:
            tokens = usage.input_tokens + usage.output_tokens
            spent = Spent(
                day=hold.day,
                automation=hold.automation,
                model=self.choice.reference,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                unpriced_tokens=tokens if cost is None else 0,
                cost_usd=cost or 0.0,
            )
        await Account(self.session).charge(hold, spent)
        return cost

    async def write_off(self, hold: Hold) -> Spent:
        """Count a request whose answer nobody saw; what is counted of it."""
        await Account(self.session).charge(hold, hold.unanswered)
        return hold.unanswered

    def _estimate(self, messages: list[ModelMessage], parameters: ModelRequestParameters) -> Amount:
        tools = (*parameters.function_tools, *parameters.output_tools)
        sent = len(ModelMessagesTypeAdapter.dump_json(messages))
        sent += sum(
            len(each.description or "") + len(json.dumps(each.parameters_json_schema))
            for each in tools
        )
        usage = RequestUsage(input_tokens=sent // CHARACTERS_PER_TOKEN, output_tokens=ANSWER_TOKENS)
        cost, tokens = self.cost(usage), usage.input_tokens + usage.output_tokens
        unpriced = tokens if cost is None else 0
        return Amount(cost_usd=cost or 0.0, tokens=tokens, unpriced_tokens=unpriced)

    def _check_run(self, wanted: Amount) -> None:
        """The run's own budget of cost; its tokens are counted by the library."""
        definition = self.session.context.definition
        limit = definition.automation.limits.max_cost_usd
        if limit is None or wanted.cost_usd <= 0:
            return
        session = self.session
        # Of attempts that were tried again too, whose answers are in no journal that goes on.
        parts = (session.context.run.usage, session.spent, session.tally)
        used = sum(each.cost_usd or 0.0 for each in parts)
        said = f"the run used {dollars(used)} of {dollars(limit)} "
        said += f"(limits.maxCostUsd, {definition.place('/limits/maxCostUsd')})"
        if self.spares and used >= NEAR * limit:
            raise SparedModelError(self.choice.reference, said)
        if used >= limit:
            raise BudgetSpentError(said)

    def _settled(self, hold: Hold, stand: Sequence[Standing]) -> bool:
        """Whether the request may go; False where it may once others are done."""
        asked = [each for each in stand if hold.wanted.of(each.budget.measure) > 0]
        near = next(filter(_nearly, asked), None)
        if self.spares and near is not None:
            raise SparedModelError(self.choice.reference, Account(self.session).said(near, hold))
        over = next((each for each in asked if each.is_spent), None)
        if over is not None:
            raise BudgetSpentError(Account(self.session).said(over, hold))
        return all(each.left > 0 for each in asked)


def _nearly(standing: Standing) -> bool:
    return standing.budget.measure is Measure.COST and standing.is_near
